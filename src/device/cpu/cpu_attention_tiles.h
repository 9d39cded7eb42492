// What the two passes of attention by tile kernels share: how the work is cut, and dense copies of
// heads.
//
// The query heads of one kv head are stacked, token by token, so that a tile of rows spans few
// tokens and little of it lies above the diagonal. Heads are copied out of [N, heads*S] first and
// padded with zeros: tokens and columns to whole vectors, so that no loop has a remainder.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
// <train_gpt>
#include <vector>
// </train_gpt>

#include "src/base/check.h"
#include "src/device/cpu/cpu_attention_chunks.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_tile_kernels.h"
#include "src/device/ops.h"

namespace pg::cpu {

constexpr int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

struct AttentionTiling {
  static constexpr int64_t kWantedChunks = 16;

  // `rows` of a query block, about.
  AttentionTiling(const AttentionShape& s, int64_t rows)
      : shape(s), group(s.heads / s.kv_heads), cols(round_up(s.head_dim, kTileLanes)) {
    PG_CHECK(s.heads % s.kv_heads == 0, "query heads are a multiple of kv heads");
    padded = round_up(s.first + round_up(s.tokens, 2), kTileLanes);
    stride = round_up(s.head_dim, 2 * kTileLanes);
    query_block = std::clamp<int64_t>(rows / group / 2 * 2, 2, padded);
    blocks = (s.tokens + query_block - 1) / query_block;
    const int64_t heads = std::max<int64_t>(s.batch * s.kv_heads, 1);
    parts = std::clamp((kWantedChunks + heads - 1) / heads, int64_t{1}, blocks);
  }
  int64_t chunks() const { return shape.batch * shape.kv_heads * parts; }
  int64_t max_rows() const { return group * query_block; }
  // Keys in whole panels: room for those of one head.
  int64_t panel_keys() const { return round_up(padded, kTilePanel); }
  int64_t panel_cols() const { return round_up(cols, kTilePanel); }
  // Of a query head's row in [N, H*S].
  int64_t query_offset(int64_t batch, int64_t token, int64_t head) const {
    return ((batch * shape.tokens + token) * shape.heads + head) * shape.head_dim;
  }

  AttentionShape shape;
  int64_t group;        // query heads per kv head
  int64_t cols;         // head size in whole vectors
  int64_t stride;       // elements from row to row of copied heads: whole vectors of pairs
  int64_t padded;       // keys, rounded up
  int64_t query_block;  // tokens of a block, even
  int64_t blocks;       // query blocks
  int64_t parts;  // chunks per kv head; part p has the query blocks p, p + parts, ...: balanced
  // <train_gpt>
  int64_t rows_beside = 0;  // of other sequences, in the batch row of a packed one
  // </train_gpt>
};

// One query block: tokens [begin, end), an even number. Row r is head r % group of token
// begin + r / group.
struct QueryBlock {
  QueryBlock(const AttentionTiling& tiling, int64_t index)
      : begin(index * tiling.query_block),
        end(std::min(begin + tiling.query_block, round_up(tiling.shape.tokens, 2))),
        real_end(std::min(end, tiling.shape.tokens)),
        keys(tiling.shape.first + end),
        rows(tiling.group * (end - begin)),
        group(tiling.group) {}
  int64_t token(int64_t row) const { return begin + row / group; }
  // The first row, even, of those that see a key.
  int64_t first_row(int64_t key) const {
    return std::max<int64_t>(key - (keys - end) - begin, 0) * group / 2 * 2;
  }
  int64_t begin, end;
  int64_t real_end;  // without the one that may be too many
  int64_t keys;      // that its last token sees
  int64_t rows, group;
};

// Calls body(row, token, head) for each real row of the block.
template <class Body>
void for_each_row(const AttentionTiling& tiling, const AttentionChunk& chunk,
                  const QueryBlock& block, const Body& body) {
  int64_t row = 0;
  for (int64_t t = block.begin; t < block.real_end; ++t) {
    for (int64_t g = 0; g < tiling.group; ++g) body(row++, t, chunk.kv_head * tiling.group + g);
  }
}

// For a head's few cache lines: of a known size it is two instructions, else a call.
template <class E>
void copy_elements(E* to, const E* from, int64_t count) {
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(E));
  int64_t i = 0;
  for (; i + kLine <= count; i += kLine) std::memcpy(to + i, from + i, 64);
  for (; i < count; ++i) to[i] = from[i];
}
inline void copy_elements(float* to, const bf16* from, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

template <class T>
void prefetch_row(const T* row, int64_t count) {
  for (int64_t i = 0; i < count; i += 64 / static_cast<int64_t>(sizeof(T))) {
    __builtin_prefetch(row + i);
  }
}

// A token's row of one head as elements E, zeros after it.
template <class T, class E>
void copy_head_row(E* to, const T* row, const AttentionTiling& tiling) {
  copy_elements(to, row, tiling.shape.head_dim);
  std::fill(to + tiling.shape.head_dim, to + tiling.stride, E{});
}

// Has the rows of tokens [begin, end) of the chunk's query heads in a tensor [N, H*S] fetched. They
// lie far apart, so that the processor fetches few by itself.
template <class T>
void prefetch_queries(const void* x, const AttentionTiling& tiling, const AttentionChunk& chunk,
                      int64_t begin, int64_t end) {
  if (x == nullptr) return;
  for (int64_t t = begin; t < std::min(end, tiling.shape.tokens); ++t) {
    prefetch_row(static_cast<const T*>(x) +
                     tiling.query_offset(chunk.batch, t, chunk.kv_head * tiling.group),
                 tiling.group * tiling.shape.head_dim);
  }
}

// Of the chunk's next query block, the rows that lie where [row, row + rows) lie in this one: all
// at once they would queue.
template <class T>
void prefetch_next_block(const void* x, const AttentionTiling& tiling, const AttentionChunk& chunk,
                         const QueryBlock& block, int64_t row, int64_t rows) {
  const int64_t ahead = tiling.parts * tiling.query_block;
  prefetch_queries<T>(x, tiling, chunk, block.token(row) + ahead,
                      block.token(row + rows - 1) + 1 + ahead);
}

// A kv head of x [N, K*S]: [padded, stride].
template <class T, class E>
void copy_kv_head(E* to, In x, const AttentionTiling& tiling, const AttentionChunk& chunk) {
  constexpr int64_t kAhead = 32;  // tokens
  const AttentionShape& s = tiling.shape;
  const int64_t stride = row_stride(x, s.kv_heads * s.head_dim);
  const int64_t keys = s.keys();
  const T* row = x.as<T>() + chunk.batch * keys * stride + chunk.kv_head * s.head_dim;
  for (int64_t t = 0; t < keys; ++t, to += tiling.stride, row += stride) {
    if (t + kAhead < keys) prefetch_row(row + kAhead * stride, s.head_dim);
    copy_head_row(to, row, tiling);
  }
  std::fill_n(to, (tiling.padded - keys) * tiling.stride, E{});
}

// The rows of a query block of x [N, H*S]: [rows, stride].
template <class T, class E>
void copy_query_rows(E* to, In x, const AttentionTiling& tiling, const AttentionChunk& chunk,
                     const QueryBlock& block) {
  for_each_row(tiling, chunk, block, [&](int64_t row, int64_t token, int64_t head) {
    copy_head_row(to + row * tiling.stride,
                  x.as<T>() + tiling.query_offset(chunk.batch, token, head), tiling);
  });
  const int64_t padding = (block.end - block.real_end) * tiling.group;
  std::fill_n(to + (block.rows - padding) * tiling.stride, padding * tiling.stride, E{});
}

// [rows] the number of tokens that a row sees: its own and those before.
inline void fill_ends(int64_t* ends, const QueryBlock& block) {
  for (int64_t t = block.begin; t < block.end; ++t, ends += block.group) {
    std::fill_n(ends, block.group, block.keys - block.end + t + 1);
  }
}

// Calls body.operator()<T, E>() with the activation type and that of elements that the kernel
// reads.
template <class Body>
void with_tile_types(DType dtype, const TileKernel& kernel, const Body& body) {
  if (kernel.pairs) {
    PG_CHECK(dtype == DType::kBF16, "a kernel of pairs reads bf16");
    body.template operator()<bf16, bf16>();
  } else {
    with_activation_type(dtype, [&]<class T>() { body.template operator()<T, float>(); });
  }
}

// to[begin + i] = scale from[i], or +=.
template <class T, class E>
void write_scaled(const TileKernel& kernel, Out to, int64_t begin, const float* from, float scale,
                  int64_t count) {
  if constexpr (std::is_same_v<T, E>) {
    if (to && !to.accumulate && count % kTileLanes == 0) {
      kernel.store_scaled(to.as<T>() + begin, from, scale, count);
      return;
    }
  }
  write<T>(to, begin, count, [=](int64_t i) { return scale * from[i]; });
}

// Elements E of a unit of 32 bits.
template <class E>
inline constexpr int64_t kUnitElements = 4 / static_cast<int64_t>(sizeof(E));

// <train_gpt>
// x behind its first so many elements.
template <class Operand>
Operand skip_elements(Operand x, int64_t elements) {
  if (!x) return x;
  using Byte = std::conditional_t<std::is_same_v<Operand, In>, const uint8_t, uint8_t>;
  x.data = static_cast<Byte*>(x.data) + elements * static_cast<int64_t>(dtype_bytes(x.dtype));
  return x;
}

// A sequence of packed rows: attention over it is that over a batch of it alone, with the same bits.
struct PackedSequence {
  // x [B*T, cols], view, from its first row on.
  template <class Operand>
  Operand rows_of(Operand x, int64_t cols) const {
    return skip_elements(x, (batch_row * row_tokens + begin) * row_stride(x, cols));
  }
  // lse [B, H, T] from its first on.
  template <class Operand>
  Operand lse_of(Operand lse) const {
    return skip_elements(lse, batch_row * tiling.shape.heads * row_tokens + begin);
  }
  int64_t batch_row, begin, row_tokens;  // its first row, of those of its batch row
  AttentionTiling tiling;
  int64_t first_chunk = 0, chunks_end = 0;
};

// The sequences in their order, `rows` of a query block. Their chunks count on from one to the next.
inline std::vector<PackedSequence> list_sequences(const AttentionShape& shape, int64_t rows) {
  const auto* const starts = shape.packed.starts.as<int32_t>();
  std::vector<PackedSequence> sequences;
  for (int64_t row = 0, end = 0; row < shape.rows(); row = end) {
    const int64_t batch_row = row / shape.tokens, begin = row % shape.tokens;
    PG_CHECK(starts[row] == begin, "a sequence begins at its first row");
    for (end = row + 1; end < shape.rows() && end % shape.tokens != 0;) {
      if (starts[end] != begin) break;
      ++end;
    }
    AttentionShape alone = shape;
    alone.packed = {};
    alone.batch = 1;
    alone.tokens = end - row;
    sequences.push_back({batch_row, begin, shape.tokens, AttentionTiling(alone, rows)});
  }
  // As many parts as all of them need to be chunks enough.
  const int64_t heads =
      std::max<int64_t>(static_cast<int64_t>(sequences.size()) * shape.kv_heads, 1);
  const int64_t parts = (AttentionTiling::kWantedChunks + heads - 1) / heads;
  int64_t chunks = 0;
  for (PackedSequence& s : sequences) {
    s.tiling.parts = std::min(parts, s.tiling.blocks);
    s.tiling.rows_beside = shape.tokens - s.tiling.shape.tokens;
    s.first_chunk = chunks;
    chunks += s.tiling.chunks();
    s.chunks_end = chunks;
  }
  return sequences;
}

// Of the chunk with that number.
inline const PackedSequence& sequence_of_chunk(const std::vector<PackedSequence>& sequences,
                                               int64_t chunk) {
  return *std::upper_bound(sequences.begin(), sequences.end(), chunk,
                           [](int64_t at, const PackedSequence& s) { return at < s.chunks_end; });
}
// </train_gpt>

}  // namespace pg::cpu
