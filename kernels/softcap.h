// The softcap of logits, which the loss and the log probabilities share.
#pragma once
#include "kernels/dialect.h"

namespace pg::kernels {

// c = cap tanh((z + shift) / width), or z where cap is 0; where `sides` is given, s tanh(z / s), s being
// sides[0] for z > 0 and sides[1] for the rest.
struct SoftcapArgs {
  float cap, shift, inverse_width;
  const float* sides;
};

// The same, read: what a thread keeps while it walks a row.
struct SidedSoftcap {
  float cap[2], inverse_width[2];  // of z + shift > 0, and of the rest
  float shift;
};

__device__ __forceinline__ SidedSoftcap read_form(const SoftcapArgs& args) {
  SidedSoftcap form = {{args.cap, args.cap}, {args.inverse_width, args.inverse_width}, args.shift};
  if (args.sides != nullptr) {
    PG_UNROLL
    for (int i = 0; i < 2; ++i) {
      form.cap[i] = args.sides[i];
      form.inverse_width[i] = 1.0f / args.sides[i];
    }
    form.shift = 0.0f;
  } else if (args.cap == 0.0f) {
    form.shift = 0.0f;
  }
  return form;
}

struct Softcapped {
  float value;  // c
  float slope;  // 1 - tanh^2
};

// With e = exp(-2|z|/width): tanh = (1 - e)/(1 + e) and 1 - tanh^2 = 4e/(1 + e)^2. e is at most 1, so
// nothing overflows and the slope keeps its relative accuracy in saturation. Near 0 the error is
// 2^-24 cap, absolute.
__device__ __forceinline__ Softcapped softcap(float z, const SidedSoftcap& form) {
  z += form.shift;
  const float cap = z > 0.0f ? form.cap[0] : form.cap[1];
  if (cap == 0.0f) return {z, 1.0f};
  const float e =
      __expf(-2.0f * (z > 0.0f ? form.inverse_width[0] : form.inverse_width[1]) * fabsf(z));
  const float q = __fdividef(1.0f, 1.0f + e);
  return {copysignf(cap * (1.0f - e) * q, z), 4.0f * e * q * q};
}

}  // namespace pg::kernels
