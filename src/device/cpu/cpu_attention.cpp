// Causal attention, forward, by tile kernels: FlashAttention-2's tiles (Dao 2023).
//
// A chunk packs k and v of one kv head once and walks its query blocks. For each, the softmax over
// up to kKeyBlock keys is one pass; longer rows go block by block with a running maximum. Of tiles
// on the diagonal, only the vectors with a visible score are computed.
#include "src/device/cpu/cpu_attention.h"

#include <limits>
#include <numbers>

#include "src/base/exact_math.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_attention_tiles.h"

namespace pg {
namespace {

using namespace cpu;

// 24 rows of 512 f32 scores fill L1; a panel of k serves all of them.
constexpr int64_t kKeyBlock = 512, kRows = 24;

enum AttentionSlot : size_t {
  kSlotHead,
  kSlotK,
  kSlotV,
  kSlotQ,
  kSlotScores,
  kSlotProbs,
  kSlotMix,
  kSlotMax,
  kSlotSum,
  kSlotEnds
};

template <class T, class E>
class AttentionOfChunk {
 public:
  AttentionOfChunk(const TileKernel& kernel, CpuScratch& scratch, const AttentionTiling& tiling,
                   Out y, Out lse)
      : kernel_(kernel), tiling_(tiling), y_(y), lse_(lse) {
    const int thread = thread_index();
    const auto buffer = [&]<class U>(U*& to, AttentionSlot slot, int64_t count) {
      to = static_cast<U*>(scratch.of_thread(thread, slot, static_cast<size_t>(count) * sizeof(U)));
    };
    const int64_t rows = tiling.max_rows();
    buffer(head_, kSlotHead, tiling.padded * tiling.stride);
    buffer(k_, kSlotK, tiling.panel_keys() * tiling.stride);
    buffer(v_, kSlotV, tiling.padded * tiling.panel_cols());
    buffer(q_, kSlotQ, rows * tiling.stride);
    buffer(scores_, kSlotScores, rows * kKeyBlock);
    buffer(probs_, kSlotProbs, rows * kKeyBlock);
    buffer(mix_, kSlotMix, rows * tiling.cols);
    buffer(max_, kSlotMax, rows);
    buffer(sum_, kSlotSum, rows * kTileLanes);
    buffer(ends_, kSlotEnds, rows);
  }

  void run(In q, In k, In v, const AttentionChunk& chunk) {
    const int64_t units = tiling_.stride / kUnit;
    copy_kv_head<T>(head_, k, tiling_, chunk);
    kernel_.pack_columns(k_, head_, tiling_.padded, units, units);
    copy_kv_head<T>(head_, v, tiling_, chunk);
    kernel_.pack_rows(v_, head_, tiling_.padded, tiling_.cols, tiling_.stride);
    for (int64_t i = chunk.part; i < tiling_.blocks; i += tiling_.parts) {
      const QueryBlock block(tiling_, i);
      copy_query_rows<T>(q_, q, tiling_, chunk, block);
      fill_ends(ends_, block);
      std::fill_n(max_, block.rows, -std::numeric_limits<float>::infinity());
      std::fill_n(sum_, block.rows * kTileLanes, 0.0f);
      for (int64_t key = 0; key < block.keys; key += kKeyBlock) {
        add_keys(q, chunk, block, key, std::min(kKeyBlock, block.keys - key));
      }
      write_block(chunk, block);
    }
  }

 private:
  static constexpr int64_t kUnit = kUnitElements<E>;

  // Adds keys [key, key + keys) to the mix of the block.
  void add_keys(In q, const AttentionChunk& chunk, const QueryBlock& block, int64_t key,
                int64_t keys) {
    for (int64_t panel = 0; panel < keys; panel += kTilePanel) multiply_panel(block, key, panel);
    for (int64_t row = block.first_row(key); row < block.rows; row += kTileRows) {
      const int64_t rows = std::min(kTileRows, block.rows - row);
      const int64_t seen = std::min(ends_[row + rows - 1] - key, keys);
      const int64_t width = round_up(seen, kTileLanes);
      if (key == 0) {
        prefetch_next_block<T>(q.data, tiling_, chunk, block, row, rows);
        prefetch_next_block<T>(y_.data, tiling_, chunk, block, row, rows);
      }
      float factor[kTileRows];
      kernel_.softmax({.scores = scores_ + row * kKeyBlock,
                       .probs = probs_ + row * kKeyBlock,
                       .row_stride = kKeyBlock,
                       .ends = ends_ + row,
                       .key = key,
                       .rows = rows,
                       .width = width,
                       .scale = scale(),
                       .max = max_ + row,
                       .sum = sum_ + row * kTileLanes,
                       .factor = factor});
      for (int64_t r = 0; key > 0 && r < rows; ++r) scale_mix(row + r, factor[r]);
      for (int64_t col = 0; col < tiling_.cols; col += kTilePanel) {
        kernel_.multiply({.a = probs_ + row * kKeyBlock,
                          .a_row = kKeyBlock / kUnit,
                          .b = v_ + tiling_.padded * col + key * kTilePanel,
                          .c = mix_ + row * tiling_.cols + col,
                          .c_row = tiling_.cols,
                          .rows = rows,
                          .cols = std::min(kTilePanel, tiling_.cols - col),
                          .steps = (seen + kUnit - 1) / kUnit,
                          .accumulate = key > 0});
      }
    }
  }

  // The scores of the keys of one panel, for the rows that see any of them.
  void multiply_panel(const QueryBlock& block, int64_t key, int64_t panel) {
    const int64_t begin = key + panel;
    for (int64_t row = block.first_row(begin), rows = 0; row < block.rows; row += rows) {
      const int64_t seen = ends_[std::min(row + kTileRows, block.rows) - 1] - begin;
      rows = seen >= kTilePanel ? block.rows - row : std::min(kTileRows, block.rows - row);
      kernel_.multiply({.a = q_ + row * tiling_.stride,
                        .a_row = tiling_.stride / kUnit,
                        .b = k_ + begin * tiling_.stride,
                        .c = scores_ + row * kKeyBlock + panel,
                        .c_row = kKeyBlock,
                        .rows = rows,
                        .cols = std::min(round_up(seen, kTileLanes), kTilePanel),
                        .steps = (tiling_.shape.head_dim + kUnit - 1) / kUnit});
    }
  }

  void scale_mix(int64_t row, float factor) {
    if (factor == 1.0f) return;
    float* const mix = mix_ + row * tiling_.cols;
#pragma omp simd
    for (int64_t j = 0; j < tiling_.cols; ++j) mix[j] *= factor;
  }

  void write_block(const AttentionChunk& chunk, const QueryBlock& block) {
    const AttentionShape& shape = tiling_.shape;
    for_each_row(tiling_, chunk, block, [&](int64_t row, int64_t token, int64_t head) {
      float* const sums = sum_ + row * kTileLanes;
      for (int64_t half = kTileLanes / 2; half > 0; half /= 2) {
        for (int64_t i = 0; i < half; ++i) sums[i] += sums[half + i];
      }
      const float sum = sums[0];
      write_scaled<T, E>(kernel_, y_, tiling_.query_offset(chunk.batch, token, head),
                         mix_ + row * tiling_.cols, 1.0f / sum, shape.head_dim);
      int64_t at = (chunk.batch * shape.heads + head) * shape.tokens + token;
      // <train_gpt>
      at += head * tiling_.rows_beside;
      // </train_gpt>
      write_scalar(lse_, at,
                   max_[row] * std::numbers::ln2_v<float> + static_cast<float>(log_f64(sum)));
    });
  }

  // Of scores, in base 2.
  float scale() const { return tiling_.shape.scale * std::numbers::log2e_v<float>; }

  const TileKernel& kernel_;
  const AttentionTiling& tiling_;
  const Out y_, lse_;
  E* head_;            // [padded, stride]
  E *k_, *v_;          // panels of columns and of rows
  E* q_;               // [rows, stride]
  float* scores_;      // [rows, kKeyBlock]
  E* probs_;           // [rows, kKeyBlock], not yet divided by the sum
  float* mix_;         // [rows, cols], likewise
  float *max_, *sum_;  // [rows], [rows, kTileLanes]
  int64_t* ends_;      // [rows]
};

// <train_gpt>
void attend_in_sequences(const TileKernel& kernel, CpuScratch& scratch, Out y, Out lse, In q, In k,
                         In v, const AttentionShape& shape) {
  PG_CHECK(shape.first == 0, "packed rows are all of the queries");
  const std::vector<PackedSequence> sequences = list_sequences(shape, kRows);
  if (sequences.empty()) return;
  const int64_t q_cols = shape.heads * shape.head_dim, kv_cols = shape.kv_heads * shape.head_dim;
  with_tile_types(q.dtype, kernel, [&]<class T, class E>() {
    parallel_chunks(sequences.back().chunks_end, [&](int64_t chunk) {
      const PackedSequence& s = sequence_of_chunk(sequences, chunk);
      AttentionOfChunk<T, E>(kernel, scratch, s.tiling, s.rows_of(y, q_cols), s.lse_of(lse))
          .run(s.rows_of(q, q_cols), s.rows_of(k, kv_cols), s.rows_of(v, kv_cols),
               AttentionChunk(s.tiling, chunk - s.first_chunk));
    });
  });
}
// </train_gpt>

}  // namespace

void attention_by_tiles(const TileKernel& kernel, CpuScratch& scratch, Out y, Out lse, In q, In k,
                        In v, const AttentionShape& shape) {
  // <train_gpt>
  if (shape.packed.starts) return attend_in_sequences(kernel, scratch, y, lse, q, k, v, shape);
  // </train_gpt>
  const AttentionTiling tiling(shape, kRows);
  with_tile_types(q.dtype, kernel, [&]<class T, class E>() {
    parallel_chunks(tiling.chunks(), [&](int64_t chunk) {
      AttentionOfChunk<T, E>(kernel, scratch, tiling, y, lse)
          .run(q, k, v, AttentionChunk(tiling, chunk));
    });
  });
}

}  // namespace pg
