// bfloat16 storage type: the upper 16 bits of an fp32, rounded to nearest even.
// Arithmetic happens in fp32; this type only stores. It compiles under nvcc too, so that kernels
// and host code share one definition, which is why the function qualifiers are macros here.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define PG_HOST_DEVICE __host__ __device__
#else
#define PG_HOST_DEVICE
#endif

namespace pg {

struct bf16 {
  uint16_t bits = 0;

  bf16() = default;
  PG_HOST_DEVICE explicit bf16(float value) {
    uint32_t u;
    memcpy(&u, &value, sizeof u);
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    // A NaN must stay a NaN: rounding could carry its mantissa into infinity.
    bits = static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : rounded);
  }
  PG_HOST_DEVICE explicit operator float() const {
    const uint32_t u = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &u, sizeof value);
    return value;
  }
};

static_assert(sizeof(bf16) == 2);

}  // namespace pg
