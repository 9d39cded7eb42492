// Eigenvectors of a symmetric matrix in double, with the same bits on every processor.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pg {

// The eigenvectors of a [n, n] for its `count` largest eigenvalues, largest first: [count, n], each of
// length 1, orthogonal to each other also where eigenvalues are equal. a must be finite.
std::vector<double> leading_eigenvectors(std::span<const double> a, int64_t n, int64_t count);

}  // namespace pg
