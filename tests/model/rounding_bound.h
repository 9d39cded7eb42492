// How far a device may stray from exact arithmetic over a whole model.
//
// On its way to a gradient a number passes at most every tensor of the plan and every weight once,
// and each rounds it: by at most u of itself when it is stored, and, where products are summed in
// f32, by 2^-24 per term. The network does not amplify relative errors: its norms hold sizes, the
// square of the MLP doubles an error that the residual stream beside it dilutes. So the error of a
// tensor is that of `roundings` independent factors 1 + e, which exceeds lambda times the root of
// the sum of their squares with a probability of 3e-8 (Hoeffding; tests/ops/tolerance.h).
#pragma once
#include <cmath>
#include <cstdint>

#include "tests/ops/tolerance.h"

namespace pg {

// Of a tensor, relative, in the 2-norm. longest_sum: the most terms that a sum of the model has.
inline double rounding_bound(DType stored, int64_t roundings, int64_t longest_sum) {
  const double stored_squared = std::pow(optest::unit_roundoff(stored), 2);
  const double summed_squared = static_cast<double>(longest_sum) * std::pow(optest::kUnitF32, 2);
  return optest::kLambda *
         std::sqrt(static_cast<double>(roundings) * (stored_squared + summed_squared));
}

}  // namespace pg
