// Checks an implementation of the softcap_xent kernels, the product's or a mutant's, against loops
// in double.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/softcap_xent.h"

namespace pg::kerneltest {

struct SoftcapXentFamily {
  decltype(&kernels::softcap_xent) forward;
  decltype(&kernels::softcap_xent_backward<float>) backward_f32;
  decltype(&kernels::softcap_xent_backward<bf16>) backward_bf16;
  decltype(&kernels::softcap_xent_sides_backward) sides_backward;
};

struct SoftcapXentCase {
  int64_t rows = 1, vocab = 1, targets = 1;
  float cap = 30.0f;
  size_t offset = 0;  // elements by which the tensors miss 16-byte alignment
  bool accumulate = false;
  float shift = 0.0f, width = 0.0f, z_loss = 0.0f;  // width 0: cap
  bool has_row_weights = false;
  bool has_sides = false;  // caps of kSides instead, and their gradients too
};

inline constexpr float kSides[2] = {20.0f, 35.0f};

// First failure of forward and both types of backward over all schedules, as check_rmsnorm; "" when
// there is none. Targets include skipped ones, equal ones and, at some rows, none at all; weights
// of either sign.
std::string check_softcap_xent(const SoftcapXentFamily& family, const SoftcapXentCase& shape);

}  // namespace pg::kerneltest
