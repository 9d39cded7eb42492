// One pass over matrices of equal shape: reads kInputs of them, writes kOutputs, and leaves partial
// sums over the rows or over everything. The ops on it say what happens to an element.
//
// A block takes a chunk of rows and a tile of columns. A thread keeps its 16 bytes of columns from
// row to row, so what depends on the column alone is loaded once and sums stay in registers; a warp
// takes every eighth row of the chunk. Chunks are those of column_sums.h. Where all matrices are dense
// and the op is the same for each column, the elements count as rows of one tile, whatever `dim` is.
//
// An op is a struct, in the inline namespace of its file, of
//   using Type;                         element type T of the matrices
//   static constexpr int kInputs, kOutputs, kSums;   kSums <= kMaxTotals
//   static constexpr bool kPerColumn;   depends on the column, and so do its sums
//   struct Args;                        what the kernel gets of it
//   Op(const Args&, first, columns)     of a thread: columns first ... first + kPackOf<T>
//   void apply(i, x, y)                 y[kOutputs] of x[kInputs], f32, for column first + i
//   float sums[kSums][kPackOf<T>]       what apply() adds up, from 0 on; absent inputs count as 0
//   void finish()                       the last step of the sums, if kSums > 0
#pragma once
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"
#include "kernels/row_views.h"
#include "kernels/total_sums.h"

namespace pg::kernels {

template <class T, int kInputs, int kOutputs>
struct RowMap {
  RowsIn<T> in[kInputs];
  RowsOut<T> out[kOutputs];
  int64_t rows = 0, columns = 0;
  int64_t count = 0;  // of elements; the last row may end early
};

// Blocks of an SM, at least: three have the warps that hide the memory's latency. Access by element
// needs more registers and is slow in any case.
template <bool kVector>
inline constexpr int kMapBlocks = kVector ? 3 : 2;

template <class Op>
using RowMapOf = RowMap<typename Op::Type, Op::kInputs, Op::kOutputs>;

// Elements of a row at columns first ... first + kPack; `left` are in the row and those after it.
template <int kPack>
__device__ __forceinline__ int size_of_pack(int64_t left, int64_t columns, int64_t first) {
  const int64_t size = (left < columns ? left : columns) - first;
  return size < 0 ? 0 : size < kPack ? static_cast<int>(size) : kPack;
}

// Null stays null: a matrix that is absent.
template <class Element>
__device__ __forceinline__ Element* row_of(Element* data, int64_t offset) {
  return data != nullptr ? data + offset : nullptr;
}

// values[i] = from[first + i] where that is less than `columns`, else 0; all ones for null.
template <int kPack>
__device__ __forceinline__ void load_columns(float (&values)[kPack], const float* from,
                                             int64_t first, int64_t columns) {
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) values[i] = from == nullptr ? 1.0f : 0.0f;
  if (from == nullptr || first >= columns) return;
  Pack<float, kPack> pack;
  if (reinterpret_cast<uintptr_t>(from) % 16 == 0 && first + kPack <= columns) {
    pack = load_pack<kPack, true>(from + first, 0, kPack);
  } else {
    pack = load_pack<kPack, false>(from + first, 0, static_cast<int>(columns - first));
  }
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) values[i] = pack.v[i];
}

// partial[chunk, column] = the block's sum over its rows, for the columns of its tile. shared
// [kBlockWarps, kPack, kSharedColumns<kPack>].
template <int kPack>
inline constexpr int kSharedColumns = kWarpThreads + kWarpThreads / kPack;  // no bank conflicts
template <int kPack>
__device__ __forceinline__ void store_column_sums(const float (&sums)[kPack], float* partial,
                                                  float* shared, int64_t columns) {
  constexpr int kWarpFloats = kPack * kSharedColumns<kPack>;
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarpThreads, warp = thread / kWarpThreads;
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) {
    shared[warp * kWarpFloats + i * kSharedColumns<kPack> + lane] = sums[i];
  }
  __syncthreads();
  constexpr int kTile = kWarpThreads * kPack;
  const int64_t column = int64_t{blockIdx.x} * kTile + thread;
  if (thread < kTile && column < columns) {
    const int at = thread % kPack * kSharedColumns<kPack> + thread / kPack;
    float sum = shared[at];
    PG_UNROLL
    for (int w = 1; w < kBlockWarps; ++w) sum += shared[w * kWarpFloats + at];
    partial[blockIdx.y * columns + column] = sum;
  }
  __syncthreads();  // `shared` serves the next sum as well
}

template <class Op, bool kVector>
__global__ void __launch_bounds__(kBlockThreads, kMapBlocks<kVector>)
    map_rows_kernel(RowMapOf<Op> map, typename Op::Args args, float* __restrict__ partial,
                    int64_t chunk_rows) {
  using T = typename Op::Type;
  constexpr int kPack = kPackOf<T>;
  // Rows whose loads are under way together: as many as registers hold.
  constexpr int kAtOnce = Op::kInputs + Op::kOutputs > 3 ? 1 : 6 / (Op::kInputs + Op::kOutputs);
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first = (int64_t{blockIdx.x} * kWarpThreads + thread % kWarpThreads) * kPack;
  const int64_t begin = blockIdx.y * chunk_rows;
  const int64_t end = begin + chunk_rows < map.rows ? begin + chunk_rows : map.rows;
  Op op(args, first, map.columns);

  for (int64_t row = begin + thread / kWarpThreads; row < end; row += kAtOnce * kBlockWarps) {
    Pack<T, kPack> in[kAtOnce][Op::kInputs], prior[kAtOnce][Op::kOutputs];
    int size[kAtOnce];  // of the row, from `first` on
    PG_UNROLL
    for (int r = 0; r < kAtOnce; ++r) {
      const int64_t at = row + r * kBlockWarps;
      size[r] =
          at < end ? size_of_pack<kPack>(map.count - at * map.columns, map.columns, first) : 0;
      PG_UNROLL
      for (int k = 0; k < Op::kInputs; ++k) {
        const T* const from = row_of(map.in[k].data, at * map.in[k].stride + first);
        in[r][k] = load_pack<kPack, kVector>(from, 0, from != nullptr ? size[r] : 0);
      }
      PG_UNROLL
      for (int k = 0; k < Op::kOutputs; ++k) {
        const T* const from = row_of(map.out[k].data, at * map.out[k].stride + first);
        prior[r][k] = load_pack<kPack, kVector>(from, 0, map.out[k].accumulate ? size[r] : 0);
      }
    }
    PG_UNROLL
    for (int r = 0; r < kAtOnce; ++r) {
      float out[Op::kOutputs][kPack];
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        float x[Op::kInputs], y[Op::kOutputs];
        PG_UNROLL
        for (int k = 0; k < Op::kInputs; ++k) x[k] = static_cast<float>(in[r][k].v[i]);
        op.apply(i, x, y);
        PG_UNROLL
        for (int k = 0; k < Op::kOutputs; ++k) out[k][i] = y[k];
      }
      PG_UNROLL
      for (int k = 0; k < Op::kOutputs; ++k) {
        if (map.out[k].accumulate) {
          PG_UNROLL
          for (int i = 0; i < kPack; ++i) out[k][i] += static_cast<float>(prior[r][k].v[i]);
        }
        T* const to = row_of(map.out[k].data, (row + r * kBlockWarps) * map.out[k].stride + first);
        store_pack<kVector>(to, out[k], 0, to != nullptr ? size[r] : 0, false);
      }
    }
  }

  if constexpr (Op::kSums > 0) {
    if (partial == nullptr) return;
    op.finish();
    if constexpr (Op::kPerColumn) {
      __shared__ float shared[kBlockWarps * kPack * kSharedColumns<kPack>];
      PG_UNROLL
      for (int k = 0; k < Op::kSums; ++k) {
        store_column_sums(op.sums[k], partial + k * (gridDim.y * map.columns), shared, map.columns);
      }
    } else {
      __shared__ float shared[Op::kSums][kBlockWarps];
      const int64_t blocks = int64_t{gridDim.x} * gridDim.y;
      PG_UNROLL
      for (int k = 0; k < Op::kSums; ++k) {
        float sum = op.sums[k][0];
        PG_UNROLL
        for (int i = 1; i < kPack; ++i) sum += op.sums[k][i];
        sum = row_sum<kBlockThreads>(sum, shared[k]);
        if (thread == 0) partial[k * blocks + int64_t{blockIdx.y} * gridDim.x + blockIdx.x] = sum;
      }
    }
  }
}

// Runs Op on [rows, dim] and sets to.out[k], k < kSums, to its sums: [dim] each of an op per column,
// else [1]. partial: column_partials() or total_partials() elements, unused where no sum is asked for.
template <class Op>
void map_rows(RowMapOf<Op> map, const typename Op::Args& args, const Totals& to, float* partial,
              int64_t rows, int64_t dim, Stream stream) {
  using T = typename Op::Type;
  constexpr int kPack = kPackOf<T>;
  bool has_sums = false;
  for (int k = 0; k < Op::kSums; ++k) has_sums = has_sums || to.out[k].data != nullptr;
  map.rows = rows;
  map.columns = dim;
  map.count = rows * dim;
  bool dense = !Op::kPerColumn;
  for (const RowsIn<T>& in : map.in) dense = dense && (in.data == nullptr || in.stride == dim);
  for (const RowsOut<T>& out : map.out) dense = dense && (out.data == nullptr || out.stride == dim);
  if (dense) {
    map.columns = kTileColumns<T>;
    map.rows = (map.count + map.columns - 1) / map.columns;
    for (RowsIn<T>& in : map.in) in.stride = map.columns;
    for (RowsOut<T>& out : map.out) out.stride = map.columns;
  }
  bool vector = (dense ? map.count : dim) % kPack == 0;
  const auto allow = [&](const T* data, int64_t stride) {
    vector = vector && (data == nullptr || has_vector_rows<kPack>(data, stride));
  };
  for (const RowsIn<T>& in : map.in) allow(in.data, in.stride);
  for (RowsOut<T>& out : map.out) {
    allow(out.data, out.stride);
    out.accumulate = out.accumulate && out.data != nullptr;
  }

  const int64_t chunks = count_row_chunks(map.rows), tiles = count_column_tiles<T>(map.columns);
  if (map.count > 0) {
    const auto run = [&](auto kernel) {
      launch(kernel, dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)),
             dim3(kBlockThreads), 0, stream, map, args, has_sums ? partial : nullptr,
             rows_per_chunk(map.rows));
    };
    vector ? run(&map_rows_kernel<Op, true>) : run(&map_rows_kernel<Op, false>);
  }
  if (!has_sums) return;
  if constexpr (Op::kPerColumn) {
    for (int k = 0; k < Op::kSums; ++k) {
      sum_chunks(to.out[k], partial + k * chunks * dim, nullptr, chunks, dim, stream);
    }
  } else if constexpr (Op::kSums > 0) {
    sum_totals(to, partial, Op::kSums, map.count > 0 ? chunks * tiles : 0, stream);
  }
}

}  // namespace pg::kernels
