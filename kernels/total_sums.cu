// A block a sum: it is one short read, so latency is all there is to it.
#include "kernels/total_sums.h"

#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace total_sums_kernels {

__global__ void __launch_bounds__(kBlockThreads)
    sum_totals_kernel(Totals totals, const float* __restrict__ partial, int64_t count) {
  __shared__ float warp_sums[kBlockWarps];
  constexpr int kAhead = 8;  // loads under way at a time
  const float* const from = partial + int64_t{blockIdx.x} * count;
  float sum = 0.0f;
  for (int64_t first = threadIdx.x; first < count; first += kAhead * kBlockThreads) {
    float values[kAhead];
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const int64_t at = first + i * kBlockThreads;
      values[i] = at < count ? from[at] : 0.0f;
    }
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) sum += values[i];
  }
  sum = row_sum<kBlockThreads>(sum, warp_sums);
  if (threadIdx.x == 0) store_value(blockIdx.x == 0 ? totals.out[0] : totals.out[1], 0, sum);
}

}  // namespace total_sums_kernels

void sum_totals(const Totals& out, const float* partial, int totals, int64_t count, Stream stream) {
  launch(&sum_totals_kernel, dim3(static_cast<unsigned>(totals)), dim3(kBlockThreads), 0, stream,
         out, partial, count);
}

}  // namespace pg::kernels
