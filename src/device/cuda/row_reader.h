// Operands of attention as what computes it reads them.
#pragma once
#include <type_traits>

#include "kernels/dense_rows.h"
#include "src/device/cuda/gpu_scratch.h"
#include "src/device/ops.h"

namespace pg {

template <class T>
struct Rows {
  const T* data;
  int64_t stride;
};

// Operands as the kernels read them: bf16 rows that are misaligned, as those of odd views are, are
// copied.
class RowReader {
 public:
  RowReader(GpuScratch& scratch, kernels::Stream stream) : scratch_(scratch), stream_(stream) {}

  template <class T>
  Rows<T> read(size_t slot, In x, int64_t rows, int64_t cols) const {
    const T* const data = x.as<T>();
    const int64_t stride = row_stride(x, cols);
    if constexpr (std::is_same_v<T, bf16>) {
      if (!kernels::has_16_byte_rows(data, stride)) {
        T* const dense = scratch_.of<T>(slot, rows * cols);
        kernels::copy_to_dense(dense, data, stride, rows, cols, stream_);
        return {dense, cols};
      }
    }
    return {data, stride};
  }

 private:
  GpuScratch& scratch_;
  kernels::Stream stream_;
};

}  // namespace pg
