// The Cholesky factor in double, with the bits of the plain loops on every processor: an element is
// one chain of fused multiply-adds over ascending k, whatever the blocks and threads.
#pragma once
#include <cstdint>
#include <span>

namespace pg {

// a [n, n], symmetric and given by its lower triangle, becomes L with L L^T = a there:
//   s = a_ij - sum_{k<j} L_ik L_jk;  L_jj = sqrt(s), L_ij = s (1 / L_jj).
// What lies above the diagonal is kept. False, with no meaning left in a, where a is not positive
// definite or not finite.
bool factor_cholesky(std::span<double> a, int64_t n);

}  // namespace pg
