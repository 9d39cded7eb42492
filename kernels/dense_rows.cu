// One element a thread: it is used for operands of unusual layout only.
#include "kernels/dense_rows.h"

#include "kernels/dialect.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace dense_rows_kernels {

template <class T>
__global__ void __launch_bounds__(kBlockThreads)
    copy_to_dense_kernel(T* dense, const T* data, int64_t stride, int64_t count, int64_t cols) {
  const int64_t i = int64_t{blockIdx.x} * kBlockThreads + static_cast<int>(threadIdx.x);
  if (i < count) dense[i] = data[i / cols * stride + i % cols];
}

}  // namespace dense_rows_kernels

template <class T>
void copy_to_dense(T* dense, const T* data, int64_t stride, int64_t rows, int64_t cols,
                   Stream stream) {
  const int64_t count = rows * cols;
  if (count == 0) return;
  launch(&copy_to_dense_kernel<T>,
         dim3(static_cast<unsigned>((count + kBlockThreads - 1) / kBlockThreads)),
         dim3(kBlockThreads), 0, stream, dense, data, stride, count, cols);
}

template void copy_to_dense<bf16>(bf16*, const bf16*, int64_t, int64_t, int64_t, Stream);

}  // namespace pg::kernels
