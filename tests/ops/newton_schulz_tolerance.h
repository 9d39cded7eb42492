// Error bound of the Newton-Schulz iteration, from the singular values of its matrix.
#pragma once
#include <span>

#include "tests/ops/op_case.h"

namespace pg::optest {

// Bound of the Frobenius norm of the error on u[rows, cols] when every stored matrix is rounded to
// a type of unit roundoff `compute_unit` and products are accumulated in f32.
double newton_schulz_error(const Values& u, int64_t rows, int64_t cols,
                           std::span<const NewtonSchulzCoefficients> steps, NewtonSchulzStart start,
                           double compute_unit);

}  // namespace pg::optest
