// What the per-head ops and their gradients share. They convert a whole row [heads*S] to floats in L1
// first: a head is too short to fill bf16 vectors, most of all its few rotated channels.
#pragma once
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "src/device/cpu/cpu_loops.h"

namespace pg::cpu {

// Calls body(size) with the head size of every record as a constant, which lets its loops unroll.
template <class Body>
void with_head_size(int64_t size, const Body& body) {
  if (size == 64) {
    body(std::integral_constant<int64_t, 64>());
  } else {
    body(size);
  }
}

template <class T>
void load_row(float* to, const T* from, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

template <class T>
void write_row(Out y, int64_t begin, const float* values, int64_t count) {
  write<T>(y, begin, count, [values](int64_t i) { return values[i]; });
}

template <class Size>
float dot(const float* a, const float* b, Size size) {
  return sum_products(
      size, [a](int64_t i) { return a[i]; }, [b](int64_t i) { return b[i]; });
}

// The rotation of one token: pairs (i, i + half), cos and sin apart for vector loads.
struct Rotation {
  float* cos;  // [half]
  float* sin;  // [half]
  int64_t half;
};

// From cos_sin[half, 2]; direction -1 turns back.
inline void load_rotation(const Rotation& to, const float* cos_sin, float direction) {
  for (int64_t i = 0; i < to.half; ++i) {
    to.cos[i] = cos_sin[2 * i];
    to.sin[i] = direction * cos_sin[2 * i + 1];
  }
}

inline void rotate(float* head, const Rotation& by) {
  const float* const cos = by.cos;
  const float* const sin = by.sin;
  float* const low = head;
  float* const high = head + by.half;
#pragma omp simd
  for (int64_t i = 0; i < by.half; ++i) {
    const float a = low[i], b = high[i];
    low[i] = std::fma(b, sin[i], a * cos[i]);
    high[i] = std::fma(-a, sin[i], b * cos[i]);
  }
}

inline constexpr float kXsaFloor = 1e-12f;  // of |v|; ops.h, xsa

// x[heads, size] -> gain rope(x r) in place, r[heads]. One loop over the heads per stage, so that
// heads overlap.
template <class Size>
void norm_rope_row(float* x, float* r, const float* gains, const Rotation& rotation, float eps,
                   int64_t heads, Size size) {
  const float inverse_size = 1.0f / static_cast<float>(size);
  for (int64_t h = 0; h < heads; ++h) {
    const float* const head = x + h * size;
    r[h] = 1.0f / std::sqrt(dot(head, head, size) * inverse_size + eps);
  }
  for (int64_t h = 0; h < heads; ++h) {
    float* const head = x + h * size;
    const float factor = r[h] * gains[h];
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) head[i] *= factor;
  }
  for (int64_t h = 0; h < heads; ++h) rotate(x + h * size, rotation);
}

template <class Size>
float inverse_norm(const float* v, Size size) {
  return 1.0f / std::max(std::sqrt(dot(v, v, size)), kXsaFloor);
}

}  // namespace pg::cpu
