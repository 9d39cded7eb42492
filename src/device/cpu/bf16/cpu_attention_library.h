// What the two passes of attention on a processor share: how the work is cut, and dense copies of
// heads.
//
// The query heads of one kv head are stacked, so that a tile of scores is one product of group *
// query_block rows. Heads are copied out of [N, heads*S] first: fast kernels want contiguous rows,
// and a copy is read many times. Tokens are padded with zeros to a multiple of 16, so that no loop
// has a remainder and no tile is odd.
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "src/base/check.h"
#include "src/device/cpu/cpu_attention_chunks.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/ops.h"

namespace pg::cpu {

struct ProductTiling {
  static constexpr int64_t kLanes = 16;  // floats of the widest vectors
  static constexpr int64_t kTileRows =
      128;  // rows of a score tile, over which packing k and v is spread
  // More query rows waste work above the diagonal at T = 256, fewer make small products.
  static constexpr int64_t kMaxProductBlock = 64;
  static constexpr int64_t kWantedChunks = 16;

  ProductTiling(const AttentionShape& s, int64_t key_block_size)
      : shape(s), group(s.heads / s.kv_heads), key_block(key_block_size) {
    PG_CHECK(s.heads % s.kv_heads == 0, "query heads are a multiple of kv heads");
    padded = (s.tokens + kLanes - 1) / kLanes * kLanes;
    const auto rows = static_cast<uint64_t>(std::max<int64_t>(kTileRows / group, 1));
    query_block = std::clamp(static_cast<int64_t>(std::bit_floor(rows)), kLanes, kMaxProductBlock);
    blocks = (padded + query_block - 1) / query_block;
    const int64_t heads = std::max<int64_t>(s.batch * s.kv_heads, 1);
    parts = std::clamp((kWantedChunks + heads - 1) / heads, int64_t{1}, blocks);
  }
  int64_t chunks() const { return shape.batch * shape.kv_heads * parts; }
  int64_t max_rows() const { return group * query_block; }
  int64_t max_keys() const { return std::min(key_block, padded); }

  AttentionShape shape;
  int64_t group;        // query heads per kv head
  int64_t padded;       // tokens, rounded up
  int64_t query_block;  // tokens of a tile; divides key_block
  int64_t key_block;
  int64_t blocks;  // query blocks
  int64_t parts;   // chunks per kv head; part p has the query blocks p, p + parts, ...: balanced
};

// One query block: tokens [begin, end) of the padded sequence.
struct ProductBlock {
  ProductBlock(const ProductTiling& tiling, int64_t index)
      : begin(index * tiling.query_block),
        end(std::min(begin + tiling.query_block, tiling.padded)),
        real_end(std::min(end, tiling.shape.tokens)),
        rows(tiling.group * (end - begin)) {}
  int64_t size() const { return end - begin; }
  int64_t begin, end;
  int64_t real_end;  // without padding
  int64_t rows;      // of the stacked tile [group, size]
};

// memcpy for a head's few cache lines: of a known size it is two instructions, else a call.
inline void copy_row(void* to, const void* from, size_t bytes) {
  constexpr size_t kLine = 64;
  auto* const out = static_cast<char*>(to);
  const auto* const in = static_cast<const char*>(from);
  size_t i = 0;
  for (; i + kLine <= bytes; i += kLine) std::memcpy(out + i, in + i, kLine);
  if (i < bytes) std::memcpy(out + i, in + i, bytes - i);
}

// Tokens [begin, end) of one head of x [N, heads*S] to [end - begin, S]; tokens past the sequence
// become zeros.
template <class T>
void gather_head(T* to, In x, const AttentionShape& shape, int64_t heads, int64_t batch,
                 int64_t head, int64_t begin, int64_t end) {
  const int64_t size = shape.head_dim, stride = row_stride(x, heads * size);
  const auto bytes = static_cast<size_t>(size) * sizeof(T);
  const int64_t real_end = std::min(end, shape.tokens);
  const T* from = x.as<T>() + (batch * shape.tokens + begin) * stride + head * size;
  for (int64_t t = begin; t < real_end; ++t, to += size, from += stride) {
    copy_row(to, from, bytes);
  }
  if (real_end < end) std::fill_n(to, (end - real_end) * size, T{});
}

// The query block of all query heads of a kv head, stacked: [group, size, S].
template <class T>
void gather_group(T* to, In x, const ProductTiling& tiling, const AttentionChunk& chunk,
                  const ProductBlock& block) {
  for (int64_t g = 0; g < tiling.group; ++g) {
    gather_head(to + g * block.size() * tiling.shape.head_dim, x, tiling.shape, tiling.shape.heads,
                chunk.batch, chunk.kv_head * tiling.group + g, block.begin, block.end);
  }
}

// Calls body(row, token, head) for each real row of the stacked tile.
template <class Body>
void for_each_row(const ProductTiling& tiling, const AttentionChunk& chunk,
                  const ProductBlock& block, const Body& body) {
  for (int64_t g = 0; g < tiling.group; ++g) {
    for (int64_t t = block.begin; t < block.real_end; ++t) {
      body(g * block.size() + t - block.begin, t, chunk.kv_head * tiling.group + g);
    }
  }
}

}  // namespace pg::cpu
