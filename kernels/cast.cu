// Bound by memory: a thread has all its loads under way before it stores.
#include "kernels/cast.h"

#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace cast_kernels {

constexpr int kThreadPacks = 4;

// Elements of the narrower type in 16 bytes.
template <class A, class B>
constexpr int kPackOfBoth = kPackOf<A> > kPackOf<B> ? kPackOf<A> : kPackOf<B>;

template <int kPack>
constexpr int64_t kBlockElements = int64_t{kBlockThreads} * kThreadPacks* kPack;

template <int kPack>
dim3 grid_of_elements(int64_t count) {
  return dim3(static_cast<unsigned>((count + kBlockElements<kPack> - 1) / kBlockElements<kPack>));
}

// The elements of a block: its offset, and how many up to the end.
template <int kPack>
struct BlockRange {
  int64_t begin;
  int size;

  __device__ explicit BlockRange(int64_t count)
      : begin(int64_t{blockIdx.x} * kBlockElements<kPack>),
        size(static_cast<int>(count - begin < kBlockElements<kPack> ? count - begin
                                                                    : kBlockElements<kPack>)) {}
  // Where the thread's k-th pack starts.
  __device__ int first(int k) const {
    return (k * kBlockThreads + static_cast<int>(threadIdx.x)) * kPack;
  }
};

template <class To, class From, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    cast_kernel(Dest<To> y, const From* __restrict__ x, int64_t count) {
  constexpr int kPack = kPackOfBoth<To, From>;
  const BlockRange<kPack> range(count);
  Pack<From, kPack> packs[kThreadPacks];
  PG_UNROLL
  for (int k = 0; k < kThreadPacks; ++k) {
    packs[k] = load_pack<kPack, kVector>(x + range.begin, range.first(k), range.size);
  }
  PG_UNROLL
  for (int k = 0; k < kThreadPacks; ++k) {
    float values[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) values[i] = static_cast<float>(packs[k].v[i]);
    store_pack<kVector>(y.data + range.begin, values, range.first(k), range.size, y.accumulate);
  }
}

template <bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    lerp_kernel(float* average, const float* x, const float* __restrict__ decay, int64_t count) {
  constexpr int kPack = kPackOf<float>;
  const BlockRange<kPack> range(count);
  Pack<float, kPack> averages[kThreadPacks], packs[kThreadPacks];
  PG_UNROLL
  for (int k = 0; k < kThreadPacks; ++k) {
    averages[k] = load_pack<kPack, kVector>(static_cast<const float*>(average) + range.begin,
                                            range.first(k), range.size);
    packs[k] = load_pack<kPack, kVector>(x + range.begin, range.first(k), range.size);
  }
  const float kept = *decay, taken = 1.0f - kept;
  PG_UNROLL
  for (int k = 0; k < kThreadPacks; ++k) {
    float values[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      values[i] = fmaf(kept, averages[k].v[i], taken * packs[k].v[i]);
    }
    store_pack<kVector>(average + range.begin, values, range.first(k), range.size, false);
  }
}

}  // namespace cast_kernels

template <class To, class From>
void cast(Dest<To> y, const From* x, int64_t count, Stream stream) {
  if (count == 0 || y.data == nullptr) return;
  constexpr int kPack = kPackOfBoth<To, From>;
  const bool vector = has_vector_rows<kPack>(x, count) && has_vector_rows<kPack>(y.data, count);
  launch(vector ? &cast_kernel<To, From, true> : &cast_kernel<To, From, false>,
         grid_of_elements<kPack>(count), dim3(kBlockThreads), 0, stream, y, x, count);
}

void lerp(float* average, const float* x, const float* decay, int64_t count, Stream stream) {
  if (count == 0) return;
  constexpr int kPack = kPackOf<float>;
  const bool vector = has_vector_rows<kPack>(x, count) && has_vector_rows<kPack>(average, count);
  launch(vector ? &lerp_kernel<true> : &lerp_kernel<false>, grid_of_elements<kPack>(count),
         dim3(kBlockThreads), 0, stream, average, x, decay, count);
}

template void cast<float, float>(Dest<float>, const float*, int64_t, Stream);
template void cast<float, bf16>(Dest<float>, const bf16*, int64_t, Stream);
template void cast<bf16, float>(Dest<bf16>, const float*, int64_t, Stream);
template void cast<bf16, bf16>(Dest<bf16>, const bf16*, int64_t, Stream);

}  // namespace pg::kernels
