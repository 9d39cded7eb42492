// A lane a column: neighbours read neighbours, and eight loads of each are under way at a time. The
// warps of a block share the chunks, so that few columns do not mean few loads.
#include "kernels/column_sums.h"

#include "kernels/dialect.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace column_sums_kernels {

template <class T>
__global__ void __launch_bounds__(kBlockThreads)
    sum_chunks_kernel(Dest<T> out, const float* __restrict__ partial,
                      const float* __restrict__ scale, int64_t chunks, int64_t dim) {
  __shared__ float of_warps[kBlockWarps][kWarpThreads];
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int64_t column = int64_t{blockIdx.x} * kWarpThreads + lane;
  constexpr int kAhead = 8;
  float sum = 0.0f;
  for (int64_t first = warp * kAhead; first < chunks; first += kBlockWarps * kAhead) {
    float values[kAhead];
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const bool is_inside = first + i < chunks && column < dim;
      values[i] = is_inside ? partial[(first + i) * dim + column] : 0.0f;
    }
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) sum += values[i];
  }
  of_warps[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || column >= dim) return;
  PG_UNROLL
  for (int i = 1; i < kBlockWarps; ++i) sum += of_warps[i][lane];
  if (scale != nullptr) sum *= *scale;
  T* const to = out.data + column;
  *to = round_to<T>(out.accumulate ? static_cast<float>(*to) + sum : sum);
}

}  // namespace column_sums_kernels

template <class T>
void sum_chunks(Dest<T> out, const float* partial, const float* scale, int64_t chunks, int64_t dim,
                Stream stream) {
  if (dim == 0 || out.data == nullptr) return;
  const dim3 grid(static_cast<unsigned>((dim + kWarpThreads - 1) / kWarpThreads));
  launch(&sum_chunks_kernel<T>, grid, dim3(kBlockThreads), 0, stream, out, partial, scale, chunks,
         dim);
}

template void sum_chunks<float>(Dest<float>, const float*, const float*, int64_t, int64_t, Stream);
template void sum_chunks<bf16>(Dest<bf16>, const float*, const float*, int64_t, int64_t, Stream);

}  // namespace pg::kernels
