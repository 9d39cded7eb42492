// A dense copy of rows that lie apart or are misaligned, for kernels that read 16 bytes at a time.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// Whether every row starts at a multiple of 16 bytes; stride in elements.
template <class T>
bool has_16_byte_rows(const T* data, int64_t stride) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 &&
         stride * static_cast<int64_t>(sizeof(T)) % 16 == 0;
}

// dense[rows, cols] = data, whose rows lie `stride` elements apart.
template <class T>
void copy_to_dense(T* dense, const T* data, int64_t stride, int64_t rows, int64_t cols,
                   Stream stream);

}  // namespace pg::kernels
