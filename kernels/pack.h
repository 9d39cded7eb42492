// Runs of consecutive row elements in registers. kVector kernels move them 16 bytes at a time; the
// others, for rows that are misaligned or end inside a pack, one element at a time. Either way a
// thread holds the same elements in the same order, so alignment never changes a result.
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

// Whether kVector kernels may read or write rows of `size` elements in packs of kCount.
template <int kCount, class T>
bool has_vector_rows(const T* rows, int64_t size) {
  return reinterpret_cast<uintptr_t>(rows) % 16 == 0 && size % kCount == 0;
}

// row[first .. first + kCount); zeros stand for what lies at or past `size`.
template <int kCount, bool kVector, class T>
__device__ __forceinline__ Pack<T, kCount> load_pack(const T* row, int first, int size) {
  Pack<T, kCount> pack{};
  if constexpr (kVector) {
    if (first < size) {
      PG_UNROLL
      for (int i = 0; i < kCount; i += kPackOf<T>) {
        const uint4 bytes = load_16_bytes(row + first + i);
        memcpy(static_cast<void*>(&pack.v[i]), &bytes, sizeof bytes);
      }
    }
  } else {
    PG_UNROLL
    for (int i = 0; i < kCount; ++i) {
      if (first + i < size) pack.v[i] = row[first + i];
    }
  }
  return pack;
}

// row[first .. first + kCount) = values, or += values; nothing at or past `size` is touched.
template <bool kVector, int kCount, class T>
__device__ __forceinline__ void store_pack(T* row, const float (&values)[kCount], int first,
                                           int size, bool accumulate) {
  Pack<T, kCount> pack{};
  if (accumulate) pack = load_pack<kCount, kVector>(static_cast<const T*>(row), first, size);
  PG_UNROLL
  for (int i = 0; i < kCount; ++i) {
    pack.v[i] =
        round_to<T>(accumulate ? add_rounded(static_cast<float>(pack.v[i]), values[i]) : values[i]);
  }
  if constexpr (kVector) {
    if (first < size) {
      PG_UNROLL
      for (int i = 0; i < kCount; i += kPackOf<T>) {
        uint4 bytes;
        memcpy(&bytes, &pack.v[i], sizeof bytes);
        store_16_bytes_to_global(row + first + i, bytes);
      }
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
  to.data[i] = to.accumulate ? add_rounded(to.data[i], value) : value;
}

}  // namespace pg::kernels
