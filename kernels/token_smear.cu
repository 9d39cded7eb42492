// One pass. Forward: threads load their runs of rows, the block's warps compute the rows' gates
// meanwhile, then every thread finishes its columns. Backward needs a product over the whole row, so a
// warp goes down a share of a chunk of rows, with the row, its neighbours and the gate of the next row
// at hand; dw and dscale are summed on the way in shared memory, added over warps, and by a second
// kernel over chunks.
#include "kernels/token_smear.h"

#include "kernels/column_sums.h"
#include "kernels/dialect.h"
#include "kernels/row_tiles.h"
#include "kernels/sigmoid.h"

namespace pg::kernels {
inline namespace token_smear_kernels {

constexpr int kRunRows = 8;
constexpr int kMostRows = kBlockThreads * kRunRows;  // of a block: where a thread holds a whole row
constexpr int kKeptPacks = 2;  // backward, per lane and tensor: what 128 registers hold

__device__ __forceinline__ bool reads_before(const SmearedTokens& shape, const int32_t* ids,
                                             int64_t row) {
  return (shape.first + row) % shape.tokens != 0 && int64_t{ids[row]} != shape.bos;
}

// w . x_t[0:width] of kRows rows from `row` on, 0 past `end`, equal in every lane. The loads of all
// rows are under way before the first is used.
template <int kRows, class T>
__device__ __forceinline__ void multiply_gates(float (&products)[kRows], const T* x, const float* w,
                                               int64_t row, int64_t end, int dim, int width) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const float own_w = lane < width ? w[lane] : 0.0f;
  T values[kRows];
  PG_UNROLL
  for (int i = 0; i < kRows; ++i) {
    values[i] = lane < width && row + i < end ? x[(row + i) * dim + lane] : T(0.0f);
  }
  PG_UNROLL
  for (int i = 0; i < kRows; ++i) products[i] = own_w * static_cast<float>(values[i]);
  for (int column = lane + kWarpThreads; column < width; column += kWarpThreads) {
    PG_UNROLL
    for (int i = 0; i < kRows; ++i) {
      if (row + i < end) products[i] += w[column] * static_cast<float>(x[(row + i) * dim + column]);
    }
  }
  PG_UNROLL
  for (int i = 0; i < kRows; ++i) products[i] = warp_sum(products[i]);
}

// factors[i] = scale g of the rows first + i below `end`, or 0 where none is read before.
template <class T>
__device__ __forceinline__ void compute_factors(float* factors, const T* x, const int32_t* ids,
                                                const float* w, float scale, int64_t first,
                                                int64_t end, const SmearedTokens& shape) {
  constexpr int kAhead = 4;
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  for (int64_t row = first + warp * kAhead; row < end; row += kBlockWarps * kAhead) {
    const bool has_row = lane < kAhead && row + lane < end;  // a lane a row, once they are summed
    const bool reads = has_row && reads_before(shape, ids, row + lane);
    float products[kAhead];
    multiply_gates(products, x, w, row, end, static_cast<int>(shape.dim),
                   static_cast<int>(shape.width));
    float product = products[0];
    PG_UNROLL
    for (int i = 1; i < kAhead; ++i) product = lane == i ? products[i] : product;
    if (has_row) factors[row + lane - first] = reads ? scale * sigmoid(product) : 0.0f;
  }
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads, 2)
    token_smear_kernel(Dest<T> y, const T* __restrict__ x, const int32_t* __restrict__ ids,
                       const float* __restrict__ w, const float* __restrict__ scale,
                       SmearedTokens shape, int column_bits) {
  __shared__ float factors[kMostRows];
  constexpr int kPack = kPackOf<T>;
  using Values = Pack<T, kPack>;
  const int dim = static_cast<int>(shape.dim);
  const TilePlace place = place_in_tile<kPack>(column_bits);
  const int64_t begin = place.run * kRunRows;
  const int64_t block_rows = int64_t{kMostRows} >> column_bits;
  const int64_t block_begin = blockIdx.x * block_rows;
  const int64_t block_end =
      block_begin + block_rows < shape.rows ? block_begin + block_rows : shape.rows;
  const auto load = [&](int64_t row) {
    return load_pack<kPack, kVector>(x + row * dim, place.column, dim);
  };
  Values values[kRunRows + 1] = {};  // from the row before the run on
  if (place.column < dim) {
    const bool has_front = begin < shape.rows && (shape.first + begin) % shape.tokens != 0;
    if (has_front) values[0] = load(begin - 1);
    PG_UNROLL
    for (int i = 0; i < kRunRows; ++i) {
      if (begin + i < shape.rows) values[i + 1] = load(begin + i);
    }
  }
  compute_factors(factors, x, ids, w, *scale, block_begin, block_end, shape);
  __syncthreads();
  if (place.column >= dim) return;
  PG_UNROLL
  for (int i = 0; i < kRunRows; ++i) {
    if (begin + i >= shape.rows) break;
    const float factor = factors[begin + i - block_begin];
    float out[kPack];
    unpack(values[i + 1], out);
    if (factor != 0.0f) {
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) out[j] += factor * static_cast<float>(values[i].v[j]);
    }
    store_pack<kVector>(y.data + (begin + i) * dim, out, place.column, dim, y.accumulate);
  }
}

// What a lane works on at a time, of a row and its neighbours; zeros where there is none.
template <class T, int kPack>
struct NeighbourPacks {
  Pack<T, kPack> dy, next_dy, x_before;

  __device__ __forceinline__ float multiply() const {
    float sum = 0.0f;
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      sum += static_cast<float>(dy.v[i]) * static_cast<float>(x_before.v[i]);
    }
    return sum;
  }
};

// partial [chunks, width + 1]: dw without its factor scale, and dscale; null where neither is asked
// for. A block has a chunk of rows, a warp an equal share of it.
template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads, 2)
    token_smear_backward_kernel(Dest<T> dx, float* __restrict__ partial, const T* __restrict__ dy,
                                const T* __restrict__ x, const int32_t* __restrict__ ids,
                                const float* __restrict__ w, const float* __restrict__ scale_at,
                                SmearedTokens shape, int64_t chunk_rows) {
  constexpr int kPack = kPackOf<T>, kStep = kWarpThreads * kPack, kKept = kKeptPacks * kStep;
  using Packs = NeighbourPacks<T, kPack>;
  PG_DYN_SHARED(float, sums);  // [kBlockWarps, width + 1]
  const int warp = static_cast<int>(threadIdx.x) / kWarpThreads;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int dim = static_cast<int>(shape.dim), width = static_cast<int>(shape.width);
  const int64_t rows = shape.rows;
  const float scale = *scale_at;
  const int64_t share = (chunk_rows + kBlockWarps - 1) / kBlockWarps;
  const int64_t chunk_begin = blockIdx.x * chunk_rows;
  const int64_t chunk_end = chunk_begin + chunk_rows < rows ? chunk_begin + chunk_rows : rows;
  const int64_t begin = chunk_begin + warp * share;
  const int64_t end = begin + share < chunk_end ? begin + share : chunk_end;

  float* const own_sums = sums + warp * (width + 1);
  for (int i = lane; i < width; i += kWarpThreads) own_sums[i] = 0.0f;  // this lane's alone
  float scale_sum = 0.0f;
  const auto compute_gate = [&](int64_t row) {
    float product[1];
    multiply_gates(product, x, w, row, rows, dim, width);
    return sigmoid(product[0]);
  };
  // Of the row: its place in the sequence, whether it reads the one before, and its gate.
  int64_t t = begin % shape.tokens;
  bool reads = begin < end && reads_before(shape, ids, begin);
  float gate = begin < end ? compute_gate(begin) : 0.0f;
  for (int64_t row = begin; row < end; ++row) {
    t = t + 1 < shape.tokens ? t + 1 : 0;
    const bool is_read = row + 1 < rows && t != 0 && int64_t{ids[row + 1]} != shape.bos;
    const auto load = [&](int column) {
      Packs packs{};
      packs.dy = load_pack<kPack, kVector>(dy + row * dim, column, dim);
      if (is_read) packs.next_dy = load_pack<kPack, kVector>(dy + (row + 1) * dim, column, dim);
      if (reads) packs.x_before = load_pack<kPack, kVector>(x + (row - 1) * dim, column, dim);
      return packs;
    };
    const int first = lane * kPack;
    Packs kept[kKeptPacks];
    PG_UNROLL
    for (int k = 0; k < kKeptPacks; ++k) kept[k] = load(first + k * kStep);
    const float next_gate = compute_gate(row + 1);
    float product = 0.0f;
    PG_UNROLL
    for (int k = 0; k < kKeptPacks; ++k) product += kept[k].multiply();
    for (int column = first + kKept; column < dim; column += kStep) {
      product += load(column).multiply();
    }
    product = warp_sum(product);
    const float slope = reads ? gate * (1.0f - gate) * product : 0.0f;
    if (reads) {
      scale_sum += gate * product;
      for (int i = lane; i < width; i += kWarpThreads) {
        own_sums[i] += slope * static_cast<float>(x[row * dim + i]);
      }
    }
    const auto store = [&](const Packs& packs, int column) {
      float out[kPack];
      unpack(packs.dy, out);
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) {
        out[j] += scale * next_gate * static_cast<float>(packs.next_dy.v[j]);
        if (column + j < width) out[j] += scale * slope * w[column + j];
      }
      store_pack<kVector>(dx.data + row * dim, out, column, dim, dx.accumulate);
    };
    if (dx.data != nullptr) {
      PG_UNROLL
      for (int k = 0; k < kKeptPacks; ++k) store(kept[k], first + k * kStep);
      for (int column = first + kKept; column < dim; column += kStep) store(load(column), column);
    }
    gate = next_gate;
    reads = is_read;
  }
  if (partial == nullptr) return;
  if (lane == 0) own_sums[width] = scale_sum;
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i <= width; i += kBlockThreads) {
    float sum = 0.0f;
    for (int from = 0; from < kBlockWarps; ++from) sum += sums[from * (width + 1) + i];
    partial[blockIdx.x * int64_t{width + 1} + i] = sum;
  }
}

// dw[width] and dscale[1] from partial [chunks, width + 1]: a warp a column, whose lanes add every
// 32nd chunk, and then what lanes have. column_sums.h would leave a few threads to go through all
// chunks.
__global__ void __launch_bounds__(kBlockThreads)
    add_token_smear_chunks_kernel(Dest<float> dw, Dest<float> dscale,
                                  const float* __restrict__ partial,
                                  const float* __restrict__ scale, int64_t chunks, int64_t width) {
  const int64_t column = row_of_thread<kWarpThreads>();
  if (column > width) return;
  const int lane = thread_in_row<kWarpThreads>();
  float sum = 0.0f;
  for (int64_t chunk = lane; chunk < chunks; chunk += kWarpThreads) {
    sum += partial[chunk * (width + 1) + column];
  }
  sum = warp_sum(sum);
  if (lane > 0) return;
  if (column < width) store_value(dw, column, *scale * sum);
  if (column == width) store_value(dscale, 0, sum);
}

}  // namespace token_smear_kernels

template <class T>
void token_smear(Dest<T> y, const T* x, const int32_t* ids, const float* w, const float* scale,
                 const SmearedTokens& shape, Stream stream) {
  if (shape.rows == 0 || y.data == nullptr) return;
  constexpr int kPack = kPackOf<T>;
  const bool vector =
      has_vector_rows<kPack>(x, shape.dim) && has_vector_rows<kPack>(y.data, shape.dim);
  with_vector(vector, [&]<bool kVector>() {
    launch_over_runs<kPack>(&token_smear_kernel<T, kVector>, (shape.rows + kRunRows - 1) / kRunRows,
                            shape.dim, stream, y, x, ids, w, scale, shape);
  });
}

int64_t count_token_smear_sums(const SmearedTokens& shape) {
  return count_row_chunks(shape.rows) * (shape.width + 1);
}

template <class T>
void token_smear_backward(Dest<T> dx, Dest<float> dw, Dest<float> dscale, const T* dy, const T* x,
                          const int32_t* ids, const float* w, const float* scale,
                          const SmearedTokens& shape, float* partial, Stream stream) {
  constexpr int kPack = kPackOf<T>;
  const int64_t chunks = count_row_chunks(shape.rows);
  const bool sums = dw.data != nullptr || dscale.data != nullptr;
  if (chunks > 0 && (sums || dx.data != nullptr)) {
    const bool vector = has_vector_rows<kPack>(dy, shape.dim) &&
                        has_vector_rows<kPack>(x, shape.dim) &&
                        has_vector_rows<kPack>(dx.data, shape.dim);
    const size_t shared = static_cast<size_t>(kBlockWarps * (shape.width + 1)) * sizeof(float);
    with_vector(vector, [&]<bool kVector>() {
      launch(&token_smear_backward_kernel<T, kVector>, dim3(static_cast<unsigned>(chunks)),
             dim3(kBlockThreads), shared, stream, dx, sums ? partial : nullptr, dy, x, ids, w,
             scale, shape, rows_per_chunk(shape.rows));
    });
  }
  if (sums) {
    launch(&add_token_smear_chunks_kernel, grid_of_rows<kWarpThreads>(shape.width + 1),
           dim3(kBlockThreads), 0, stream, dw, dscale, partial, scale, chunks, shape.width);
  }
}

template void token_smear<float>(Dest<float>, const float*, const int32_t*, const float*,
                                 const float*, const SmearedTokens&, Stream);
template void token_smear<bf16>(Dest<bf16>, const bf16*, const int32_t*, const float*, const float*,
                                const SmearedTokens&, Stream);
template void token_smear_backward<float>(Dest<float>, Dest<float>, Dest<float>, const float*,
                                          const float*, const int32_t*, const float*, const float*,
                                          const SmearedTokens&, float*, Stream);
template void token_smear_backward<bf16>(Dest<bf16>, Dest<float>, Dest<float>, const bf16*,
                                         const bf16*, const int32_t*, const float*, const float*,
                                         const SmearedTokens&, float*, Stream);

}  // namespace pg::kernels
