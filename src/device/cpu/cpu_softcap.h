// What the loss and the log probabilities of softcapped logits share.
#pragma once
// <parts>
#include <algorithm>
// </parts>
#include <bit>
#include <cstdint>
#include <limits>

#include "src/base/simd_math.h"
#include "src/device/ops.h"

namespace pg::cpu {

// Floats ordered as integers: compilers vectorise an integer maximum without -ffast-math. Its own
// inverse.
inline int32_t order_bits(int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }

inline float max_of(const float* z, int64_t count) {
  int32_t largest = std::numeric_limits<int32_t>::min();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) {
    const int32_t ordered = order_bits(std::bit_cast<int32_t>(z[i]));
    largest = ordered > largest ? ordered : largest;
  }
  return std::bit_cast<float>(order_bits(largest));
}

// <parts>
// Where tanh's argument and c are of the sides' caps.
struct LogitSides {
  float up, down, inverse_up, inverse_down;

  explicit LogitSides(In sides)
      : up(sides.as<float>()[0]),
        down(sides.as<float>()[1]),
        inverse_up(1.0f / up),
        inverse_down(1.0f / down) {}
  float cap(float z) const { return z > 0 ? up : down; }
  float inverse(float z) const { return z > 0 ? inverse_up : inverse_down; }
};

// Whether compute_tanh() leaves c itself.
inline bool leaves_capped(const Softcap& cap) { return cap.cap == 0 || cap.sides; }
// </parts>

// t = scale tanh((z + shift) / width), or c itself where there is no cap or one of each side. A loop of its own: with the exponential or the maximum in one loop the
// chain is too long for a processor to overlap iterations (1.4 times slower on Zen 5).
inline void compute_tanh(float* t, const float* z, const Softcap& cap, int64_t vocab,
                         float scale = 1.0f) {
  float inverse_cap = 1.0f / cap.cap;
  // <parts>
  inverse_cap = 1.0f / cap.width;
  if (cap.sides) {
    const LogitSides sides(cap.sides);
#pragma omp simd
    for (int64_t i = 0; i < vocab; ++i) {
      t[i] = sides.cap(z[i]) * tanh_simd(z[i] * sides.inverse(z[i]));
    }
    return;
  }
  if (cap.cap == 0) {
    std::copy(z, z + vocab, t);
    return;
  }
  if (const float shift = cap.shift; shift != 0) {
#pragma omp simd
    for (int64_t i = 0; i < vocab; ++i) t[i] = scale * tanh_simd((z[i] + shift) * inverse_cap);
    return;
  }
  // </parts>
#pragma omp simd
  for (int64_t i = 0; i < vocab; ++i) t[i] = scale * tanh_simd(z[i] * inverse_cap);
}

}  // namespace pg::cpu
