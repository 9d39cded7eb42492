// The softcap of logits, which the loss and the log probabilities share.
#pragma once
#include "kernels/dialect.h"

namespace pg::kernels {

// c = cap tanh((z + shift) / width), or z where cap is 0.
struct SoftcapArgs {
  float cap, shift, inverse_width;
};

struct Softcapped {
  float value;  // c
  float slope;  // 1 - tanh^2
};

// With e = exp(-2|z|/width): tanh = (1 - e)/(1 + e) and 1 - tanh^2 = 4e/(1 + e)^2. e is at most 1, so
// nothing overflows and the slope keeps its relative accuracy in saturation. Near 0 the error is
// 2^-24 cap, absolute.
__device__ __forceinline__ Softcapped softcap(float z, const SoftcapArgs& args) {
  const float cap = args.cap;
  if (cap == 0.0f) return {z, 1.0f};
  z += args.shift;
  const float e = __expf(-2.0f * args.inverse_width * fabsf(z));
  const float q = __fdividef(1.0f, 1.0f + e);
  return {copysignf(cap * (1.0f - e) * q, z), 4.0f * e * q * q};
}

}  // namespace pg::kernels
