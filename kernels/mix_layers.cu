// A warp has a row: its lanes make the shares, keep them in shared memory, and then go over the row by 16
// bytes, so that each layer is read once. Backward leaves u of each row and layer behind, from which a
// second kernel adds up dw and da: a thread an element, a block a chunk of rows.
#include "kernels/mix_layers.h"

#include "kernels/column_sums.h"
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"
#include "kernels/sigmoid.h"

namespace pg::kernels {
inline namespace mix_layers_kernels {

constexpr float kGeluFactor = 1.5957691216057308f;  // 2 sqrt(2/pi)
constexpr float kGeluCube = 0.044715f;

// gelu(x) = x gelu_gate(x)
__device__ __forceinline__ float gelu_gate(float x) {
  return sigmoid(kGeluFactor * fmaf(kGeluCube * x * x, x, x));
}

// shares[j] = c_j of the row whose gelu(h) are in `gelus`, and 1 more for the last layer; a lane a
// layer.
__device__ __forceinline__ void compute_shares(float* shares, const float* gelus, const float* w,
                                               const float* a, const MixedLayers& s) {
  const int j = thread_in_row<kWarpThreads>();
  if (j >= s.count) return;
  float share = j + 1 == s.count ? a[j] + 1.0f : a[j];
  for (int k = 0; k < s.hidden; ++k) share = fmaf(w[j * s.hidden + k], gelus[k], share);
  shares[j] = share;
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    mix_layers_kernel(Dest<T> y, LayerInputs<T> layers, const T* __restrict__ h,
                      const float* __restrict__ w, const float* __restrict__ a, MixedLayers shape) {
  constexpr int kPack = kPackOf<T>;
  PG_DYN_SHARED(float, shared);  // [kBlockWarps, hidden + kMostLayers]
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= shape.rows) return;
  const int lane = thread_in_row<kWarpThreads>(), dim = static_cast<int>(shape.dim);
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  float* const gelus = shared + warp * (shape.hidden + kMostLayers);
  float* const shares = gelus + shape.hidden;
  for (int k = lane; k < shape.hidden; k += kWarpThreads) {
    const float x = static_cast<float>(h[row * shape.hidden + k]);
    gelus[k] = x * gelu_gate(x);
  }
  __syncwarp();
  compute_shares(shares, gelus, w, a, shape);
  __syncwarp();
  for (int first = lane * kPack; first < dim; first += kWarpThreads * kPack) {
    float out[kPack] = {};
    for (int j = 0; j < shape.count; ++j) {
      const Pack<T, kPack> pack = load_pack<kPack, kVector>(layers.x[j] + row * dim, first, dim);
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        out[i] = fmaf(shares[j], static_cast<float>(pack.v[i]), out[i]);
      }
    }
    store_pack<kVector>(y.data + row * dim, out, first, dim, y.accumulate);
  }
}

// slopes[rows, count] = u, as in mix_layers.h.
template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    mix_layers_backward_kernel(LayerGradients<T> gradients, Dest<T> dh, float* __restrict__ slopes,
                               const T* __restrict__ dy, LayerInputs<T> layers,
                               const T* __restrict__ h, const float* __restrict__ w,
                               const float* __restrict__ a, MixedLayers shape) {
  constexpr int kPack = kPackOf<T>;
  PG_DYN_SHARED(float, shared);  // [kBlockWarps, hidden + 2 kMostLayers]
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= shape.rows) return;
  const int lane = thread_in_row<kWarpThreads>(), dim = static_cast<int>(shape.dim);
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  float* const gelus = shared + warp * (shape.hidden + 2 * kMostLayers);
  float* const shares = gelus + shape.hidden;
  float* const along = shares + kMostLayers;
  for (int k = lane; k < shape.hidden; k += kWarpThreads) {
    const float x = static_cast<float>(h[row * shape.hidden + k]);
    gelus[k] = x * gelu_gate(x);
  }
  __syncwarp();
  compute_shares(shares, gelus, w, a, shape);
  __syncwarp();
  for (int j = 0; j < shape.count; ++j) {
    const Dest<T> dx = gradients.dx[j];
    float sum = 0.0f;
    for (int first = lane * kPack; first < dim; first += kWarpThreads * kPack) {
      const Pack<T, kPack> dy_pack = load_pack<kPack, kVector>(dy + row * dim, first, dim);
      const Pack<T, kPack> pack = load_pack<kPack, kVector>(layers.x[j] + row * dim, first, dim);
      float out[kPack];
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const float gradient = static_cast<float>(dy_pack.v[i]);
        sum = fmaf(gradient, static_cast<float>(pack.v[i]), sum);
        out[i] = shares[j] * gradient;
      }
      if (dx.data != nullptr) {
        store_pack<kVector>(dx.data + row * dim, out, first, dim, dx.accumulate);
      }
    }
    sum = warp_sum(sum);
    if (lane > 0) continue;
    along[j] = sum;
    slopes[row * shape.count + j] = sum;
  }
  __syncwarp();
  if (dh.data == nullptr) return;
  for (int k = lane; k < shape.hidden; k += kWarpThreads) {
    float sum = 0.0f;
    for (int j = 0; j < shape.count; ++j) sum = fmaf(along[j], w[j * shape.hidden + k], sum);
    const float x = static_cast<float>(h[row * shape.hidden + k]), g = gelu_gate(x);
    const float inner = kGeluFactor * fmaf(3.0f * kGeluCube * x, x, 1.0f);
    const float value = fmaf(x * g * (1.0f - g), inner, g) * sum;
    T* const to = dh.data + row * shape.hidden + k;
    *to = round_to<T>(dh.accumulate ? static_cast<float>(*to) + value : value);
  }
}

// Of a chunk of rows: [chunks, count * hidden] for dw and [chunks, count] for da; null where it is not
// asked for.
struct LayerSums {
  float* weights;
  float* shares;
};

template <class T>
__global__ void __launch_bounds__(kBlockThreads)
    sum_layer_slopes_kernel(LayerSums sums, const float* __restrict__ slopes,
                            const T* __restrict__ h, MixedLayers shape, int64_t chunk_rows) {
  const int weights = shape.count * shape.hidden;
  const int element = static_cast<int>(blockIdx.x) * kBlockThreads + static_cast<int>(threadIdx.x);
  if (element >= weights + shape.count) return;
  const bool is_weight = element < weights;
  const int layer = is_weight ? element / shape.hidden : element - weights;
  const int column = is_weight ? element - layer * shape.hidden : 0;
  const int64_t begin = blockIdx.y * chunk_rows;
  const int64_t end = begin + chunk_rows < shape.rows ? begin + chunk_rows : shape.rows;
  float sum = 0.0f;
  for (int64_t row = begin; row < end; ++row) {
    float value = 1.0f;
    if (is_weight) {
      const float x = static_cast<float>(h[row * shape.hidden + column]);
      value = x * gelu_gate(x);
    }
    sum = fmaf(slopes[row * shape.count + layer], value, sum);
  }
  if (is_weight && sums.weights != nullptr)
    sums.weights[blockIdx.y * int64_t{weights} + element] = sum;
  if (!is_weight && sums.shares != nullptr) {
    sums.shares[blockIdx.y * int64_t{shape.count} + layer] = sum;
  }
}

template <class T>
bool has_vector_layers(const LayerInputs<T>& layers, const MixedLayers& shape) {
  bool vector = true;
  for (int j = 0; j < shape.count; ++j) {
    vector = vector && has_vector_rows<kPackOf<T>>(layers.x[j], shape.dim);
  }
  return vector;
}

}  // namespace mix_layers_kernels

template <class T>
void mix_layers(Dest<T> y, const LayerInputs<T>& layers, const T* h, const float* w, const float* a,
                const MixedLayers& shape, Stream stream) {
  if (shape.rows == 0 || y.data == nullptr) return;
  const size_t shared =
      static_cast<size_t>(kBlockWarps * (shape.hidden + kMostLayers)) * sizeof(float);
  const bool vector =
      has_vector_layers(layers, shape) && has_vector_rows<kPackOf<T>>(y.data, shape.dim);
  launch(vector ? &mix_layers_kernel<T, true> : &mix_layers_kernel<T, false>,
         grid_of_rows<kWarpThreads>(shape.rows), dim3(kBlockThreads), shared, stream, y, layers, h,
         w, a, shape);
}

int64_t count_mix_layers_floats(const MixedLayers& shape) {
  return shape.count * (shape.rows + count_row_chunks(shape.rows) * (int64_t{shape.hidden} + 1));
}

template <class T>
void mix_layers_backward(const LayerGradients<T>& gradients, Dest<T> dh, Dest<float> dw,
                         Dest<float> da, const T* dy, const LayerInputs<T>& layers, const T* h,
                         const float* w, const float* a, const MixedLayers& shape, float* work,
                         Stream stream) {
  const int64_t chunks = count_row_chunks(shape.rows);
  const int64_t weights = int64_t{shape.count} * shape.hidden;
  float* const slopes = work;
  float* const weight_sums = slopes + shape.rows * shape.count;
  float* const share_sums = weight_sums + chunks * weights;
  if (shape.rows > 0) {
    bool vector = has_vector_layers(layers, shape) && has_vector_rows<kPackOf<T>>(dy, shape.dim);
    for (int j = 0; j < shape.count; ++j) {
      vector = vector && has_vector_rows<kPackOf<T>>(gradients.dx[j].data, shape.dim);
    }
    const size_t shared =
        static_cast<size_t>(kBlockWarps * (shape.hidden + 2 * kMostLayers)) * sizeof(float);
    launch(vector ? &mix_layers_backward_kernel<T, true> : &mix_layers_backward_kernel<T, false>,
           grid_of_rows<kWarpThreads>(shape.rows), dim3(kBlockThreads), shared, stream, gradients,
           dh, slopes, dy, layers, h, w, a, shape);
  }
  if (dw.data == nullptr && da.data == nullptr) return;
  if (shape.rows > 0) {
    const LayerSums partial = {dw.data != nullptr ? weight_sums : nullptr,
                               da.data != nullptr ? share_sums : nullptr};
    const int64_t tiles = (weights + shape.count + kBlockThreads - 1) / kBlockThreads;
    launch(&sum_layer_slopes_kernel<T>,
           dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)), dim3(kBlockThreads),
           0, stream, partial, slopes, h, shape, rows_per_chunk(shape.rows));
  }
  sum_chunks(dw, weight_sums, nullptr, chunks, weights, stream);
  sum_chunks(da, share_sums, nullptr, chunks, shape.count, stream);
}

template void mix_layers<float>(Dest<float>, const LayerInputs<float>&, const float*, const float*,
                                const float*, const MixedLayers&, Stream);
template void mix_layers<bf16>(Dest<bf16>, const LayerInputs<bf16>&, const bf16*, const float*,
                               const float*, const MixedLayers&, Stream);
template void mix_layers_backward<float>(const LayerGradients<float>&, Dest<float>, Dest<float>,
                                         Dest<float>, const float*, const LayerInputs<float>&,
                                         const float*, const float*, const float*,
                                         const MixedLayers&, float*, Stream);
template void mix_layers_backward<bf16>(const LayerGradients<bf16>&, Dest<bf16>, Dest<float>,
                                        Dest<float>, const bf16*, const LayerInputs<bf16>&,
                                        const bf16*, const float*, const float*, const MixedLayers&,
                                        float*, Stream);

}  // namespace pg::kernels
