// Checks an implementation of the rmsnorm kernels, the product's or a mutant's, against loops in
// double.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/rmsnorm.h"

namespace pg::kerneltest {

struct RmsnormFamily {
  decltype(&kernels::rmsnorm<float>) forward_f32;
  decltype(&kernels::rmsnorm<bf16>) forward_bf16;
  decltype(&kernels::rmsnorm_backward<float>) backward_f32;
  decltype(&kernels::rmsnorm_backward<bf16>) backward_bf16;
};

struct RmsnormCase {
  int64_t rows = 1, dim = 1;
  size_t offset = 0;  // elements by which the tensors miss 16-byte alignment
  bool accumulate = false;
};

// First failure of forward and backward in both types over all schedules: a value off, a guard
// overwritten, a schedule that changes a bit, a launch that throws. "" when there is none.
std::string check_rmsnorm(const RmsnormFamily& family, const RmsnormCase& shape);

}  // namespace pg::kerneltest
