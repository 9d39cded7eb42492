// The softcap of logits, which the loss and the log probabilities share.
#pragma once
#include "kernels/dialect.h"

namespace pg::kernels {

// c = cap tanh((z + shift) / width), or z where cap is 0.
struct SoftcapArgs {
  float cap, shift, inverse_width;
};

// c = s tanh(z / s), s = up where z > 0 and down elsewhere.
struct SidedSoftcap {
  float up, down, inverse_up, inverse_down;
};

// What a thread keeps while it walks a row: kSided is whether `sides` [2] takes the place of `args`.
template <bool kSided>
__device__ __forceinline__ auto read_form(const SoftcapArgs& args, const float* sides) {
  if constexpr (kSided) {
    return SidedSoftcap{sides[0], sides[1], 1.0f / sides[0], 1.0f / sides[1]};
  } else {
    return args;
  }
}

struct Softcapped {
  float value;  // c
  float slope;  // 1 - tanh^2
};

// With e = exp(-2|z|/width): tanh = (1 - e)/(1 + e) and 1 - tanh^2 = 4e/(1 + e)^2. e is at most 1, so
// nothing overflows and the slope keeps its relative accuracy in saturation. Near 0 the error is
// 2^-24 cap, absolute.
__device__ __forceinline__ Softcapped cap_by_tanh(float z, float cap, float inverse_width) {
  const float e = __expf(-2.0f * inverse_width * fabsf(z));
  const float q = __fdividef(1.0f, 1.0f + e);
  return {copysignf(cap * (1.0f - e) * q, z), 4.0f * e * q * q};
}

__device__ __forceinline__ Softcapped softcap(float z, const SoftcapArgs& form) {
  if (form.cap == 0.0f) return {z, 1.0f};
  z += form.shift;
  return cap_by_tanh(z, form.cap, form.inverse_width);
}

// What belongs to the sign of z, by its bit: a predicate an element would be more than there are. The
// sides of 0 make no difference.
__device__ __forceinline__ float of_sign(float z, float up, float down) {
  const unsigned mask = 0u - (__float_as_uint(z) >> 31);
  return __uint_as_float((__float_as_uint(up) & ~mask) | (__float_as_uint(down) & mask));
}

__device__ __forceinline__ Softcapped softcap(float z, const SidedSoftcap& form) {
  return cap_by_tanh(z, of_sign(z, form.up, form.down),
                     of_sign(z, form.inverse_up, form.inverse_down));
}

}  // namespace pg::kernels
