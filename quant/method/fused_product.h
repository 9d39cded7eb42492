// C += A B with the same bits on every processor: an element of C is one chain of fused multiply-adds
// that starts from what C holds and takes k in ascending order, so neither vectors nor blocks nor
// threads change it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace pg {

// A place in a vector.
inline size_t at(int64_t index) { return static_cast<size_t>(index); }

// Columns of C and B that lie side by side: whole vectors on every processor.
constexpr int64_t kFusedColumns = 64;

// Element (r, k) is data[r row_stride + k k_stride].
template <class T>
struct FusedOperand {
  const T* data;
  int64_t row_stride, k_stride;
};

// kCount rows of C, kSteps steps of k: as many numbers of A and vectors of B as fit registers.
template <int64_t kCount, int64_t kSteps, class T>
inline void add_fused_steps(const FusedOperand<T>& a, const T* __restrict b, T* __restrict c) {
  T factor[kCount][kSteps];
  for (int64_t r = 0; r < kCount; ++r) {
    for (int64_t k = 0; k < kSteps; ++k) {
      factor[r][k] = a.data[r * a.row_stride + k * a.k_stride];
    }
  }
#pragma omp simd
  for (int64_t j = 0; j < kFusedColumns; ++j) {
    for (int64_t r = 0; r < kCount; ++r) {
      T sum = c[r * kFusedColumns + j];
      for (int64_t k = 0; k < kSteps; ++k)
        sum = std::fma(factor[r][k], b[k * kFusedColumns + j], sum);
      c[r * kFusedColumns + j] = sum;
    }
  }
}

template <int64_t kCount, class T>
inline void add_fused_rows(FusedOperand<T> a, const T* b, int64_t count_k, T* c) {
  constexpr int64_t kSteps = 4;
  int64_t k = 0;
  for (; k + kSteps <= count_k; k += kSteps, a.data += kSteps * a.k_stride) {
    add_fused_steps<kCount, kSteps>(a, b + k * kFusedColumns, c);
  }
  for (; k < count_k; ++k, a.data += a.k_stride) {
    add_fused_steps<kCount, 1>(a, b + k * kFusedColumns, c);
  }
}

// C [rows, kFusedColumns] += A [rows, count_k] B [count_k, kFusedColumns], C and B contiguous.
template <class T>
void add_fused_product(const FusedOperand<T>& a, const T* b, int64_t rows, int64_t count_k, T* c) {
  // So many rows of B stay in the first-level cache while those of A and C pass.
  constexpr int64_t kBlock = 16384 / (kFusedColumns * static_cast<int64_t>(sizeof(T)));
  for (int64_t begin = 0; begin < count_k; begin += kBlock) {
    const int64_t steps = std::min(kBlock, count_k - begin);
    const T* const block = b + begin * kFusedColumns;
    int64_t r = 0;
    const auto rows_from = [&](int64_t row) {
      return FusedOperand<T>{a.data + row * a.row_stride + begin * a.k_stride, a.row_stride,
                             a.k_stride};
    };
    for (; r + 2 <= rows; r += 2) {
      add_fused_rows<2>(rows_from(r), block, steps, c + r * kFusedColumns);
    }
    if (r < rows) add_fused_rows<1>(rows_from(r), block, steps, c + r * kFusedColumns);
  }
}

}  // namespace pg
