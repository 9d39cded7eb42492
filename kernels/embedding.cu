// Forward: a copy, four rows a thread under way. Backward: rows are sorted by id (sort_ids.h), then
// the threads of a table row add its rows of dy up in registers: dy is read once, the table written
// once, and no two threads add to one place. An id of many rows would keep the whole GPU waiting, so
// those of more than kPieceRows are cut into pieces from their first row on, whose sums a kernel before
// leaves in f32.
#include "kernels/embedding.h"

#include "kernels/dialect.h"
#include "kernels/row_tiles.h"
#include "kernels/sort_ids.h"

namespace pg::kernels {
inline namespace embedding_kernels {

constexpr int kRunRows = 4;
// Blocks that an SM is to hold, which leaves registers for eight loads under way.
template <bool kVector>
constexpr int kSumBlocks = kVector ? 3 : 2;
constexpr int64_t kPieceRows = 128;  // the average of 65,536 rows on 512 ids

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    embed_kernel(Dest<T> y, const int32_t* __restrict__ ids, const T* __restrict__ table,
                 int64_t rows, int dim, int column_bits) {
  const TilePlace place = place_in_tile<kPackOf<T>>(column_bits);
  if (place.column >= dim) return;
  copy_rows<kRunRows, kVector>(y, place.run * kRunRows, rows, place.column, dim,
                               [&](int64_t row) { return table + int64_t{ids[row]} * dim; });
}

// Sums of pieces stand in slots, two for every kPieceRows places of the sorted rows: for the piece
// that starts there as the first of its id, and for one that starts there and is not. There cannot be
// two of either, since pieces but the last of an id are kPieceRows long.
int64_t count_piece_slots(int64_t rows) { return 2 * ((rows + kPieceRows - 1) / kPieceRows); }

__device__ __forceinline__ int64_t slot_of_piece(int64_t id_start, int64_t piece) {
  return 2 * (id_start / kPieceRows + piece) + (piece > 0 ? 1 : 0);
}

// Sorted places of a piece; empty where a slot has none.
struct Piece {
  int64_t begin = 0, end = 0;
};

__device__ __forceinline__ Piece piece_of_slot(int64_t slot, const SortedIds& sorted,
                                               int64_t rows) {
  const int64_t window = slot / 2 * kPieceRows, window_end = window + kPieceRows;
  const bool is_first = slot % 2 == 0;
  // The first piece of an id that has another holds the place behind the window, or ends there.
  const int64_t inside = is_first ? window_end : window;
  if (inside >= rows) return {};
  const int32_t id = sorted.ids[inside];
  const int64_t start = sorted.starts[id], end = sorted.starts[id + 1];
  if (end - start <= kPieceRows) return {};
  if (is_first) {
    if (start < window || start >= window_end) return {};
    return {start, start + kPieceRows};
  }
  const int64_t pieces_before = (window - start + kPieceRows - 1) / kPieceRows;
  const int64_t begin = start + (pieces_before > 0 ? pieces_before : 1) * kPieceRows;
  if (begin >= window_end || begin >= end) return {};
  return {begin, begin + kPieceRows < end ? begin + kPieceRows : end};
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads, kSumBlocks<kVector>)
    sum_pieces_kernel(float* __restrict__ sums, SortedIds sorted, const T* __restrict__ dy,
                      int64_t rows, int64_t slots, int dim, int column_bits) {
  constexpr int kPack = kPackOf<T>;
  const TilePlace place = place_in_tile<kPack>(column_bits);
  if (place.run >= slots || place.column >= dim) return;
  const Piece piece = piece_of_slot(place.run, sorted, rows);
  if (piece.begin == piece.end) return;
  float sum[kPack] = {};
  add_rows<T, kVector>(sum, piece.end - piece.begin, place.column, dim,
                       [&](int64_t i) { return dy + int64_t{sorted.rows[piece.begin + i]} * dim; });
  store_pack<kVector>(sums + place.run * dim, sum, place.column, dim, false);
}

template <class Table, class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads, kSumBlocks<kVector>)
    sum_ids_kernel(Dest<Table> dtable, SortedIds sorted, const T* __restrict__ dy,
                   const float* __restrict__ piece_sums, int64_t vocab, int dim, int column_bits) {
  constexpr int kPack = kPackOf<T>;
  const TilePlace place = place_in_tile<kPack>(column_bits);
  if (place.run >= vocab || place.column >= dim) return;
  const int64_t start = sorted.starts[place.run], end = sorted.starts[place.run + 1];
  if (start == end && dtable.accumulate) return;
  float sum[kPack] = {};
  if (end - start <= kPieceRows) {
    add_rows<T, kVector>(sum, end - start, place.column, dim,
                         [&](int64_t i) { return dy + int64_t{sorted.rows[start + i]} * dim; });
  } else {
    const int64_t pieces = (end - start + kPieceRows - 1) / kPieceRows;
    add_rows<float, kVector>(sum, pieces, place.column, dim,
                             [&](int64_t i) { return piece_sums + slot_of_piece(start, i) * dim; });
  }
  store_pack<kVector>(dtable.data + place.run * dim, sum, place.column, dim, dtable.accumulate);
}

}  // namespace embedding_kernels

template <class T>
void embed(Dest<T> y, const int32_t* ids, const T* table, int64_t rows, int64_t dim,
           Stream stream) {
  if (rows == 0 || y.data == nullptr) return;
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_rows<kPack>(table, dim) && has_vector_rows<kPack>(y.data, dim);
  with_vector(vector, [&]<bool kVector>() {
    launch_over_runs<kPack>(&embed_kernel<T, kVector>, (rows + kRunRows - 1) / kRunRows, dim,
                            stream, y, ids, table, rows, dim);
  });
}

int64_t count_scatter_ids(int64_t rows, int64_t vocab) { return count_sort_values(rows, vocab); }
int64_t count_scatter_sums(int64_t rows, int64_t dim) { return count_piece_slots(rows) * dim; }

template <class Table, class T>
void embed_backward(Dest<Table> dtable, const int32_t* ids, const T* dy, int64_t rows,
                    int64_t vocab, int64_t dim, int32_t* id_work, float* sum_work, Stream stream) {
  if (vocab == 0 || dtable.data == nullptr) return;
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_rows<kPack>(dy, dim) && has_vector_rows<kPack>(sum_work, dim) &&
                      has_vector_rows<kPack>(dtable.data, dim);
  const SortedIds sorted = sort_ids(id_work, ids, rows, vocab, stream);
  with_vector(vector, [&]<bool kVector>() {
    if (rows > kPieceRows) {
      const int64_t slots = count_piece_slots(rows);
      launch_over_runs<kPack>(&sum_pieces_kernel<T, kVector>, slots, dim, stream, sum_work, sorted,
                              dy, rows, slots, dim);
    }
    launch_over_runs<kPack>(&sum_ids_kernel<Table, T, kVector>, vocab, dim, stream, dtable, sorted,
                            dy, sum_work, vocab, dim);
  });
}

template void embed<float>(Dest<float>, const int32_t*, const float*, int64_t, int64_t, Stream);
template void embed<bf16>(Dest<bf16>, const int32_t*, const bf16*, int64_t, int64_t, Stream);
template void embed_backward<float, float>(Dest<float>, const int32_t*, const float*, int64_t,
                                           int64_t, int64_t, int32_t*, float*, Stream);
template void embed_backward<float, bf16>(Dest<float>, const int32_t*, const bf16*, int64_t,
                                          int64_t, int64_t, int32_t*, float*, Stream);
template void embed_backward<bf16, bf16>(Dest<bf16>, const int32_t*, const bf16*, int64_t, int64_t,
                                         int64_t, int32_t*, float*, Stream);

}  // namespace pg::kernels
