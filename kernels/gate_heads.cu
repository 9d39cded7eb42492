// A warp has a row: its lanes share the products that make a gate, keep the row's gates in shared
// memory, and then go over the row by 16 bytes. Backward leaves the slope of each gate behind, from which
// a second kernel adds up dw and db: a thread an element, a block a chunk of rows; column_sums.h adds the
// chunks.
#include "kernels/gate_heads.h"

#include "kernels/column_sums.h"
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"
#include "kernels/sigmoid.h"

namespace pg::kernels {
inline namespace gate_heads_kernels {

// a . b of `count` elements, equal in every lane.
template <class A, class B>
__device__ __forceinline__ float multiply_by_warp(const A* a, const B* b, int count) {
  float sum = 0.0f;
  for (int i = thread_in_row<kWarpThreads>(); i < count; i += kWarpThreads) {
    sum = fmaf(static_cast<float>(a[i]), static_cast<float>(b[i]), sum);
  }
  return warp_sum(sum);
}

// The sigmoid of head h.
template <class T>
__device__ __forceinline__ float compute_gate(const T* n, const float* w, const float* b, int h,
                                              const GatedHeads& s) {
  const float product = multiply_by_warp(n, w + int64_t{h} * s.width, s.width);
  return sigmoid(fmaf(s.scale, product, b != nullptr ? b[h] : 0.0f));
}

// y = factors[h] x of a row; all lanes of its warp.
template <bool kVector, class T>
__device__ __forceinline__ void scale_heads(T* y, bool accumulate, const T* x, const float* factors,
                                            const GatedHeads& s) {
  constexpr int kPack = kPackOf<T>;
  const int columns = s.heads * s.size;
  for (int first = thread_in_row<kWarpThreads>() * kPack; first < columns;
       first += kWarpThreads * kPack) {
    const Pack<T, kPack> pack = load_pack<kPack, kVector>(x, first, columns);
    int head = first / s.size, place = first - head * s.size;
    float out[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      out[i] = head < s.heads ? factors[head] * static_cast<float>(pack.v[i]) : 0.0f;
      if (++place == s.size) {
        place = 0;
        ++head;
      }
    }
    store_pack<kVector>(y, out, first, columns, accumulate);
  }
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    gate_heads_kernel(Dest<T> y, const T* __restrict__ x, const T* __restrict__ n,
                      const float* __restrict__ w, const float* __restrict__ b, GatedHeads shape) {
  PG_DYN_SHARED(float, shared);  // [kBlockWarps, heads]
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= shape.rows) return;
  const int lane = thread_in_row<kWarpThreads>();
  float* const gates = shared + static_cast<int>(threadIdx.x) / kWarpThreads * shape.heads;
  for (int h = 0; h < shape.heads; ++h) {
    const float gate = shape.factor * compute_gate(n + row * shape.dim, w, b, h, shape);
    if (lane == 0) gates[h] = gate;
  }
  __syncwarp();
  const int64_t at = row * shape.heads * shape.size;
  scale_heads<kVector>(y.data + at, y.accumulate, x + at, gates, shape);
}

// slopes[rows, heads] = u, as in gate_heads.h.
template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    gate_heads_backward_kernel(Dest<T> dx, Dest<T> dn, float* __restrict__ slopes,
                               const T* __restrict__ dy, const T* __restrict__ x,
                               const T* __restrict__ n, const float* __restrict__ w,
                               const float* __restrict__ b, GatedHeads shape) {
  constexpr int kPack = kPackOf<T>;
  PG_DYN_SHARED(float, shared);  // [kBlockWarps, 2, heads]
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= shape.rows) return;
  const int lane = thread_in_row<kWarpThreads>();
  float* const gates = shared + static_cast<int>(threadIdx.x) / kWarpThreads * 2 * shape.heads;
  float* const scaled = gates + shape.heads;
  const int64_t at = row * shape.heads * shape.size;
  for (int h = 0; h < shape.heads; ++h) {
    const float gate = compute_gate(n + row * shape.dim, w, b, h, shape);
    const int64_t head_at = at + int64_t{h} * shape.size;
    const float along = multiply_by_warp(dy + head_at, x + head_at, shape.size);
    if (lane > 0) continue;
    gates[h] = shape.factor * gate;
    const float slope = shape.factor * gate * (1.0f - gate) * along;
    scaled[h] = shape.scale * slope;
    slopes[row * shape.heads + h] = slope;
  }
  __syncwarp();
  if (dx.data != nullptr) {
    scale_heads<kVector>(dx.data + at, dx.accumulate, dy + at, gates, shape);
  }
  if (dn.data == nullptr) return;
  const int dim = static_cast<int>(shape.dim);
  const int end = dn.accumulate ? shape.width : dim;  // nothing is added to the rest
  for (int first = lane * kPack; first < end; first += kWarpThreads * kPack) {
    float out[kPack] = {};
    for (int h = 0; h < shape.heads; ++h) {
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        if (first + i >= shape.width) break;
        out[i] = fmaf(scaled[h], w[int64_t{h} * shape.width + first + i], out[i]);
      }
    }
    store_pack<kVector>(dn.data + row * dim, out, first, dim, dn.accumulate);
  }
}

// What the sums of a chunk of rows are: of the gates' weights, [chunks, heads * width], and biases,
// [chunks, heads]; null where they are not asked for.
struct GateSums {
  float* weights;
  float* biases;
};

template <class T>
__global__ void __launch_bounds__(kBlockThreads)
    sum_gate_slopes_kernel(GateSums sums, const float* __restrict__ slopes, const T* __restrict__ n,
                           GatedHeads shape, int64_t chunk_rows) {
  const int weights = shape.heads * shape.width;
  const int element = static_cast<int>(blockIdx.x) * kBlockThreads + static_cast<int>(threadIdx.x);
  if (element >= weights + shape.heads) return;
  const bool is_bias = element >= weights;
  const int head = is_bias ? element - weights : element / shape.width;
  const int column = is_bias ? 0 : element - head * shape.width;
  const int64_t begin = blockIdx.y * chunk_rows;
  const int64_t end = begin + chunk_rows < shape.rows ? begin + chunk_rows : shape.rows;
  constexpr int kAhead = 4;  // loads that are under way together
  float sum = 0.0f;
  for (int64_t row = begin; row < end; row += kAhead) {
    float slope[kAhead], value[kAhead];
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const bool is_inside = row + i < end;
      slope[i] = is_inside ? slopes[(row + i) * shape.heads + head] : 0.0f;
      value[i] =
          is_inside && !is_bias ? static_cast<float>(n[(row + i) * shape.dim + column]) : 1.0f;
    }
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) sum = fmaf(slope[i], value[i], sum);
  }
  if (is_bias && sums.biases != nullptr)
    sums.biases[blockIdx.y * int64_t{shape.heads} + head] = sum;
  if (!is_bias && sums.weights != nullptr) {
    sums.weights[blockIdx.y * int64_t{weights} + element] = shape.scale * sum;
  }
}

}  // namespace gate_heads_kernels

template <class T>
void gate_heads(Dest<T> y, const T* x, const T* n, const float* w, const float* b,
                const GatedHeads& shape, Stream stream) {
  if (shape.rows == 0 || y.data == nullptr) return;
  const size_t shared = static_cast<size_t>(kBlockWarps * shape.heads) * sizeof(float);
  const int64_t columns = int64_t{shape.heads} * shape.size;
  const bool vector =
      has_vector_rows<kPackOf<T>>(x, columns) && has_vector_rows<kPackOf<T>>(y.data, columns);
  launch(vector ? &gate_heads_kernel<T, true> : &gate_heads_kernel<T, false>,
         grid_of_rows<kWarpThreads>(shape.rows), dim3(kBlockThreads), shared, stream, y, x, n, w, b,
         shape);
}

int64_t count_gate_heads_floats(const GatedHeads& shape) {
  return shape.heads * (shape.rows + count_row_chunks(shape.rows) * (int64_t{shape.width} + 1));
}

template <class T>
void gate_heads_backward(Dest<T> dx, Dest<T> dn, Dest<float> dw, Dest<float> db, const T* dy,
                         const T* x, const T* n, const float* w, const float* b,
                         const GatedHeads& shape, float* work, Stream stream) {
  const int64_t chunks = count_row_chunks(shape.rows), weights = int64_t{shape.heads} * shape.width;
  const int64_t columns = int64_t{shape.heads} * shape.size;
  float* const slopes = work;
  float* const weight_sums = slopes + shape.rows * shape.heads;
  float* const bias_sums = weight_sums + chunks * weights;
  const bool sums = dw.data != nullptr || db.data != nullptr;
  if (shape.rows > 0 && (sums || dx.data != nullptr || dn.data != nullptr)) {
    const size_t shared = static_cast<size_t>(2 * kBlockWarps * shape.heads) * sizeof(float);
    const bool vector = has_vector_rows<kPackOf<T>>(dy, columns) &&
                        has_vector_rows<kPackOf<T>>(dx.data, columns) &&
                        has_vector_rows<kPackOf<T>>(dn.data, shape.dim);
    launch(vector ? &gate_heads_backward_kernel<T, true> : &gate_heads_backward_kernel<T, false>,
           grid_of_rows<kWarpThreads>(shape.rows), dim3(kBlockThreads), shared, stream, dx, dn,
           slopes, dy, x, n, w, b, shape);
  }
  if (!sums) return;
  if (shape.rows > 0) {
    const GateSums partial = {dw.data != nullptr ? weight_sums : nullptr,
                              db.data != nullptr ? bias_sums : nullptr};
    const int64_t tiles = (weights + shape.heads + kBlockThreads - 1) / kBlockThreads;
    launch(&sum_gate_slopes_kernel<T>,
           dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)), dim3(kBlockThreads),
           0, stream, partial, slopes, n, shape, rows_per_chunk(shape.rows));
  }
  sum_chunks(dw, weight_sums, nullptr, chunks, weights, stream);
  sum_chunks(db, bias_sums, nullptr, chunks, shape.heads, stream);
}

template void gate_heads<float>(Dest<float>, const float*, const float*, const float*, const float*,
                                const GatedHeads&, Stream);
template void gate_heads<bf16>(Dest<bf16>, const bf16*, const bf16*, const float*, const float*,
                               const GatedHeads&, Stream);
template void gate_heads_backward<float>(Dest<float>, Dest<float>, Dest<float>, Dest<float>,
                                         const float*, const float*, const float*, const float*,
                                         const float*, const GatedHeads&, float*, Stream);
template void gate_heads_backward<bf16>(Dest<bf16>, Dest<bf16>, Dest<float>, Dest<float>,
                                        const bf16*, const bf16*, const bf16*, const float*,
                                        const float*, const GatedHeads&, float*, Stream);

}  // namespace pg::kernels
