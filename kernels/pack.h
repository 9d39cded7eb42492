// Runs of consecutive row elements in registers, moved 16 bytes at a time where the row is aligned
// and one by one where it is not or ends. Either way the values and their order are the same, so
// alignment never changes a result.
#pragma once
#include "kernels/dialect.h"

namespace pg::kernels {

template <class T, int kCount>
struct Pack {
  static_assert(kCount * sizeof(T) % 16 == 0);
  T v[kCount];
};

// Elements of T in 16 bytes.
template <class T>
inline constexpr int kPackOf = 16 / static_cast<int>(sizeof(T));

__device__ __forceinline__ bool is_aligned_16(const void* address) {
  return reinterpret_cast<uintptr_t>(address) % 16 == 0;
}

// row[first .. first + kCount); zeros stand for what lies at or past `size`. aligned: of the row's
// start.
template <int kCount, class T>
__device__ __forceinline__ Pack<T, kCount> load_pack(const T* row, int first, int size,
                                                     bool aligned) {
  Pack<T, kCount> pack;
  if (aligned && first + kCount <= size) {
    PG_UNROLL
    for (int i = 0; i < kCount; i += kPackOf<T>) {
      const uint4 bytes = load_16_bytes(row + first + i);
      memcpy(static_cast<void*>(&pack.v[i]), &bytes, sizeof bytes);
    }
  } else {
    PG_UNROLL
    for (int i = 0; i < kCount; ++i) pack.v[i] = first + i < size ? row[first + i] : T(0.0f);
  }
  return pack;
}

// row[first .. first + kCount) = values, or += values; nothing at or past `size` is touched.
template <int kCount, class T>
__device__ __forceinline__ void store_pack(T* row, const float (&values)[kCount], int first,
                                           int size, bool aligned, bool accumulate) {
  Pack<T, kCount> pack;
  if (accumulate) {
    pack = load_pack<kCount>(static_cast<const T*>(row), first, size, aligned);
    PG_UNROLL
    for (int i = 0; i < kCount; ++i) {
      pack.v[i] = round_to<T>(static_cast<float>(pack.v[i]) + values[i]);
    }
  } else {
    PG_UNROLL
    for (int i = 0; i < kCount; ++i) pack.v[i] = round_to<T>(values[i]);
  }
  if (aligned && first + kCount <= size) {
    PG_UNROLL
    for (int i = 0; i < kCount; i += kPackOf<T>) {
      uint4 bytes;
      memcpy(&bytes, &pack.v[i], sizeof bytes);
      store_16_bytes(row + first + i, bytes);
    }
  } else {
    PG_UNROLL
    for (int i = 0; i < kCount; ++i) {
      if (first + i < size) row[first + i] = pack.v[i];
    }
  }
}

// to.data[i] = value, or += value; nothing when it is not computed.
__device__ __forceinline__ void store_value(Dest<float> to, int64_t i, float value) {
  if (to.data == nullptr) return;
  to.data[i] = to.accumulate ? to.data[i] + value : value;
}

}  // namespace pg::kernels
