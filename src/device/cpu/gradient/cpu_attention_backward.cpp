// Causal attention, backward, by tile kernels: FlashAttention-2's recomputation (Dao 2023).
//
// With p = exp(scale q kT - lse) and D = rowsum(dy y): dv = pT dy, ds = p (dy vT - D), dq = scale
// ds k, dk = scale dsT q. A tile of scores lives in L1 only; what the products read of it are its
// roundings: p and ds with pairs along the rows for dv and dk, ds with pairs along the keys for dq.
#include <numbers>

#include "src/base/check.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_attention.h"
#include "src/device/cpu/cpu_attention_tiles.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/gradient/cpu_attention_shares.h"
#include "src/device/cpu/gradient/cpu_tile_gradients.h"

namespace pg {
namespace {

using namespace cpu;

// Three roundings of 192 rows of 128 keys take 144 KiB of L2; more rows pass over dk and dv less
// often.
constexpr int64_t kBackwardKeys = 128, kBackwardRows = 192;

enum BackwardSlot : size_t {
  kBackwardHead,
  kBackwardKColumns,
  kBackwardKRows,
  kBackwardVColumns,
  kBackwardQ,
  kBackwardQRows,
  kBackwardDy,
  kBackwardDyRows,
  kBackwardY,
  kBackwardScores,
  kBackwardDProbs,
  kBackwardProbs,
  kBackwardDScores,
  kBackwardDScoreRows,
  kBackwardDq,
  kBackwardLse,
  kBackwardDelta,
  kBackwardEnds,
  kBackwardSums
};

struct Tensors {
  Out dq, dk, dv;
  In dy, y, lse, q, k, v;
};

template <class T, class E>
class Backward {
 public:
  // sums_k, sums_v [padded, cols]: where this chunk leaves its share of dk / scale and dv.
  Backward(const TileKernel& kernel, CpuScratch& scratch, const AttentionTiling& tiling,
           const Tensors& tensors, float* sums_k, float* sums_v)
      : kernel_(kernel), tiling_(tiling), tensors_(tensors), sums_k_(sums_k), sums_v_(sums_v) {
    const int thread = thread_index();
    const auto buffer = [&]<class U>(U*& to, BackwardSlot slot, int64_t count) {
      to = static_cast<U*>(scratch.of_thread(thread, slot, static_cast<size_t>(count) * sizeof(U)));
    };
    const int64_t rows = tiling.max_rows(), stride = tiling.stride;
    buffer(head_, kBackwardHead, tiling.padded * stride);
    buffer(k_columns_, kBackwardKColumns, tiling.panel_keys() * stride);
    buffer(k_rows_, kBackwardKRows, tiling.padded * tiling.panel_cols());
    buffer(v_columns_, kBackwardVColumns, tiling.panel_keys() * stride);
    buffer(q_, kBackwardQ, rows * stride);
    buffer(q_rows_, kBackwardQRows, rows * tiling.panel_cols());
    buffer(dy_, kBackwardDy, rows * stride);
    buffer(dy_rows_, kBackwardDyRows, rows * tiling.panel_cols());
    buffer(y_, kBackwardY, rows * stride);
    buffer(scores_, kBackwardScores, kTileRows * kTilePanel);
    buffer(dprobs_, kBackwardDProbs, kTileRows * kTilePanel);
    buffer(probs_, kBackwardProbs, rows * kBackwardKeys);
    buffer(dscores_, kBackwardDScores, rows * kBackwardKeys);
    buffer(dscore_rows_, kBackwardDScoreRows, kernel.pairs ? rows * kBackwardKeys : 0);
    if (!kernel.pairs) dscore_rows_ = dscores_;
    buffer(dq_, kBackwardDq, rows * tiling.cols);
    buffer(lse_, kBackwardLse, rows);
    buffer(delta_, kBackwardDelta, rows);
    buffer(ends_, kBackwardEnds, rows);
  }

  void run(const AttentionChunk& chunk) {
    const int64_t units = tiling_.stride / kUnit;
    copy_kv_head<T>(head_, tensors_.v, tiling_, chunk);
    kernel_.pack_columns(v_columns_, head_, tiling_.padded, units, units);
    copy_kv_head<T>(head_, tensors_.k, tiling_, chunk);
    kernel_.pack_columns(k_columns_, head_, tiling_.padded, units, units);
    kernel_.pack_rows(k_rows_, head_, tiling_.padded, tiling_.cols, tiling_.stride);
    std::fill_n(sums_k_, tiling_.padded * tiling_.cols, 0.0f);
    std::fill_n(sums_v_, tiling_.padded * tiling_.cols, 0.0f);
    for (int64_t i = chunk.part; i < tiling_.blocks; i += tiling_.parts) {
      const QueryBlock block(tiling_, i);
      load_block(chunk, block);
      for (int64_t key = 0; key < block.end; key += kBackwardKeys) {
        add_keys(chunk, block, key, std::min(kBackwardKeys, block.end - key));
      }
      write_dq(chunk, block);
    }
  }

 private:
  static constexpr int64_t kUnit = kUnitElements<E>;

  void load_block(const AttentionChunk& chunk, const QueryBlock& block) {
    const AttentionShape& shape = tiling_.shape;
    copy_query_rows<T>(q_, tensors_.q, tiling_, chunk, block);
    copy_query_rows<T>(dy_, tensors_.dy, tiling_, chunk, block);
    copy_query_rows<T>(y_, tensors_.y, tiling_, chunk, block);
    gradients_.multiply_rows(delta_, dy_, y_, block.rows, tiling_.stride);
    fill_ends(ends_, block);
    kernel_.pack_rows(q_rows_, q_, block.rows, tiling_.cols, tiling_.stride);
    kernel_.pack_rows(dy_rows_, dy_, block.rows, tiling_.cols, tiling_.stride);
    // A padded row: dy = 0 and D = 0 make every gradient 0 as long as p is finite.
    std::fill_n(lse_, block.rows, 0.0f);
    for_each_row(tiling_, chunk, block, [&](int64_t row, int64_t token, int64_t head) {
      int64_t at = (chunk.batch * shape.heads + head) * shape.tokens + token;
      // <train_gpt>
      at += head * tiling_.rows_beside;
      // </train_gpt>
      lse_[row] = tensors_.lse.as<float>()[at] * std::numbers::log2e_v<float>;
    });
  }

  // The shares of keys [key, key + keys) in dq, dk and dv.
  void add_keys(const AttentionChunk& chunk, const QueryBlock& block, int64_t key, int64_t keys) {
    for (int64_t panel = 0; panel < keys; panel += kTilePanel) {
      const int64_t begin = key + panel;
      for (int64_t row = block.first_row(begin); row < block.rows; row += kTileRows) {
        const int64_t rows = std::min(kTileRows, block.rows - row);
        if (begin == 0) prefetch(chunk, block, row, rows);
        const int64_t seen = ends_[row + rows - 1] - begin;
        differentiate(row, rows, key, panel, std::min(seen, kTilePanel));
      }
    }
    for (int64_t i = 0; i < keys; i += kTileRows) {
      const int64_t tile = std::min(kTileRows, keys - i);
      if (tensors_.dv) add_to_keys(block, key, i, tile, probs_, dy_rows_, sums_v_);
      if (tensors_.dk) add_to_keys(block, key, i, tile, dscores_, q_rows_, sums_k_);
    }
    if (!tensors_.dq) return;
    for (int64_t row = block.first_row(key); row < block.rows; row += kTileRows) {
      add_to_queries(block, row, key, keys);
    }
  }

  void prefetch(const AttentionChunk& chunk, const QueryBlock& block, int64_t row, int64_t rows) {
    const Tensors& t = tensors_;
    for (const void* const x : {t.q.data, t.dy.data, t.y.data}) {
      prefetch_next_block<T>(x, tiling_, chunk, block, row, rows);
    }
  }

  // Tile [row, row + rows) of the panel of keys, of which some row sees the first `seen`.
  void differentiate(int64_t row, int64_t rows, int64_t key, int64_t panel, int64_t seen) {
    const int64_t cols = round_up(seen, kTileLanes), stride = tiling_.stride;
    TileProduct product = {.a = q_ + row * stride,
                           .a_row = stride / kUnit,
                           .b = k_columns_ + (key + panel) * stride,
                           .c = scores_,
                           .c_row = kTilePanel,
                           .rows = rows,
                           .cols = cols,
                           .steps = (tiling_.shape.head_dim + kUnit - 1) / kUnit};
    kernel_.multiply(product);
    product.a = dy_ + row * stride;
    product.b = v_columns_ + (key + panel) * stride;
    product.c = dprobs_;
    kernel_.multiply(product);
    // Pairs along the rows have a place for the keys of two rows.
    const int64_t at = row * kBackwardKeys + panel * kUnit;
    gradients_.differentiate({.scores = scores_,
                              .dprobs = dprobs_,
                              .row_stride = kTilePanel,
                              .lse = lse_ + row,
                              .delta = delta_ + row,
                              .ends = ends_ + row,
                              .scale = tiling_.shape.scale * std::numbers::log2e_v<float>,
                              .key = key + panel,
                              .rows = rows,
                              .cols = cols,
                              .probs = probs_ + at,
                              .dscores = dscores_ + at,
                              .dscore_rows = dscore_rows_ + row * kBackwardKeys + panel,
                              .out_stride = kBackwardKeys});
    if (ends_[row] - key - panel <= cols && panel + cols < kBackwardKeys)
      clear_keys(row, rows, panel + cols);
  }

  // Tiles of the products that follow start at other rows and keys: what one of them reads beyond
  // the diagonal, less than a vector, is 0.
  void clear_keys(int64_t row, int64_t rows, int64_t key) {
    static_assert(kTileRows < kTileLanes);
    for (int64_t r = row; r < row + rows; r += kUnit) {
      std::fill_n(probs_ + r * kBackwardKeys + key * kUnit, kTileLanes * kUnit, E{});
      std::fill_n(dscores_ + r * kBackwardKeys + key * kUnit, kTileLanes * kUnit, E{});
    }
    for (int64_t r = row; r < row + rows; ++r) {
      std::fill_n(dscore_rows_ + r * kBackwardKeys + key, kTileLanes, E{});
    }
  }

  // sums[key + i, ...] += leftT right over the rows that see any of the keys [i, i + tile).
  void add_to_keys(const QueryBlock& block, int64_t key, int64_t i, int64_t tile, const E* left,
                   const E* right, float* sums) {
    const int64_t row = block.first_row(key + i);
    for (int64_t col = 0; col < tiling_.cols; col += kTilePanel) {
      kernel_.multiply({.a = left + row * kBackwardKeys + i * kUnit,
                        .a_row = 1,
                        .a_step = kBackwardKeys,
                        .b = right + block.rows * col + row * kTilePanel,
                        .c = sums + (key + i) * tiling_.cols + col,
                        .c_row = tiling_.cols,
                        .rows = tile,
                        .cols = std::min(kTilePanel, tiling_.cols - col),
                        .steps = (block.rows - row) / kUnit,
                        .accumulate = true});
    }
  }

  void add_to_queries(const QueryBlock& block, int64_t row, int64_t key, int64_t keys) {
    const int64_t rows = std::min(kTileRows, block.rows - row);
    const int64_t seen = std::min(ends_[row + rows - 1] - key, keys);
    for (int64_t col = 0; col < tiling_.cols; col += kTilePanel) {
      kernel_.multiply({.a = dscore_rows_ + row * kBackwardKeys,
                        .a_row = kBackwardKeys / kUnit,
                        .b = k_rows_ + tiling_.padded * col + key * kTilePanel,
                        .c = dq_ + row * tiling_.cols + col,
                        .c_row = tiling_.cols,
                        .rows = rows,
                        .cols = std::min(kTilePanel, tiling_.cols - col),
                        .steps = (seen + kUnit - 1) / kUnit,
                        .accumulate = key > 0});
    }
  }

  void write_dq(const AttentionChunk& chunk, const QueryBlock& block) {
    const AttentionShape& shape = tiling_.shape;
    for_each_row(tiling_, chunk, block, [&](int64_t row, int64_t token, int64_t head) {
      write_scaled<T, E>(kernel_, tensors_.dq, tiling_.query_offset(chunk.batch, token, head),
                         dq_ + row * tiling_.cols, shape.scale, shape.head_dim);
    });
  }

  const TileKernel& kernel_;
  const TileGradients& gradients_ = tile_gradients(kernel_.isa);
  const AttentionTiling& tiling_;
  const Tensors& tensors_;
  float *sums_k_, *sums_v_;              // [padded, cols]
  E* head_;                              // [padded, stride]
  E *k_columns_, *k_rows_, *v_columns_;  // panels
  E *q_, *dy_, *y_;                      // [rows, stride]
  E *q_rows_, *dy_rows_;                 // panels
  float *scores_, *dprobs_;              // [kTileRows, kTilePanel]
  E *probs_, *dscores_;                  // units [rows / kUnit, kBackwardKeys]
  E* dscore_rows_;                       // [rows, kBackwardKeys]
  float* dq_;                            // [rows, cols]
  float *lse_, *delta_;                  // [rows], lse in base 2
  int64_t* ends_;                        // [rows]
};

// The gradient of one kv head from the sums [parts][2][padded, cols] of its chunks, added in their
// order.
template <class T, class E>
void write_kv_head(const TileKernel& kernel, Out to, const AttentionTiling& tiling, int64_t batch,
                   int64_t kv_head, float* sums, float scale) {
  if (!to) return;
  const AttentionShape& shape = tiling.shape;
  const int64_t size = shape.head_dim, part_stride = 2 * tiling.padded * tiling.cols;
  const int64_t stride = row_stride(to, shape.kv_heads * size);
  for (int64_t part = 1; part < tiling.parts; ++part) {
    const float* const addend = sums + part * part_stride;
#pragma omp simd
    for (int64_t i = 0; i < shape.tokens * tiling.cols; ++i) sums[i] += addend[i];
  }
  for (int64_t t = 0; t < shape.tokens; ++t) {
    write_scaled<T, E>(kernel, to, (batch * shape.tokens + t) * stride + kv_head * size,
                       sums + t * tiling.cols, scale, size);
  }
}

// <train_gpt>
void differentiate_in_sequences(const TileKernel& kernel, CpuScratch& scratch, const Tensors& all,
                                const AttentionShape& shape) {
  const std::vector<PackedSequence> sequences = list_sequences(shape, kBackwardRows);
  if (sequences.empty()) return;
  const int64_t q_cols = shape.heads * shape.head_dim, kv_cols = shape.kv_heads * shape.head_dim;
  const auto tensors_of = [&](const PackedSequence& s) -> Tensors {
    return {s.rows_of(all.dq, q_cols), s.rows_of(all.dk, kv_cols), s.rows_of(all.dv, kv_cols),
            s.rows_of(all.dy, q_cols), s.rows_of(all.y, q_cols),   s.lse_of(all.lse),
            s.rows_of(all.q, q_cols),  s.rows_of(all.k, kv_cols),  s.rows_of(all.v, kv_cols)};
  };
  // Floats of a chunk's shares: of dk, and behind them of dv.
  const auto share_of = [](const AttentionTiling& tiling) { return tiling.padded * tiling.cols; };
  // Of a sequence whose heads are chunks of several: where the shares of its first one lie.
  std::vector<int64_t> shares_begin;
  int64_t shared_floats = 0;
  for (const PackedSequence& s : sequences) {
    shares_begin.push_back(shared_floats);
    if (s.tiling.parts > 1) shared_floats += 2 * share_of(s.tiling) * s.tiling.chunks();
  }
  auto* const shared = static_cast<float*>(
      scratch.shared(kBackwardSums, static_cast<size_t>(shared_floats) * sizeof(float)));
  const auto shares_of = [&](const PackedSequence& s, int64_t chunk) {
    return shared + shares_begin[static_cast<size_t>(&s - sequences.data())] +
           2 * share_of(s.tiling) * chunk;
  };
  with_tile_types(all.q.dtype, kernel, [&]<class T, class E>() {
    const auto write_head = [&](const PackedSequence& s, int64_t kv_head, float* shares) {
      const Tensors to = tensors_of(s);
      write_kv_head<T, E>(kernel, to.dk, s.tiling, 0, kv_head, shares, shape.scale);
      write_kv_head<T, E>(kernel, to.dv, s.tiling, 0, kv_head, shares + share_of(s.tiling), 1.0f);
    };
    parallel_chunks(sequences.back().chunks_end, [&](int64_t index) {
      const PackedSequence& s = sequence_of_chunk(sequences, index);
      const AttentionChunk chunk(s.tiling, index - s.first_chunk);
      const int64_t share = share_of(s.tiling);
      const bool whole = s.tiling.parts == 1;
      float* const shares =
          whole
              ? static_cast<float*>(scratch.of_thread(
                    thread_index(), kBackwardSums, static_cast<size_t>(2 * share) * sizeof(float)))
              : shares_of(s, index - s.first_chunk);
      const Tensors tensors = tensors_of(s);
      Backward<T, E>(kernel, scratch, s.tiling, tensors, shares, shares + share).run(chunk);
      if (whole) write_head(s, chunk.kv_head, shares);
    });
    parallel_chunks(std::ssize(sequences) * shape.kv_heads, [&](int64_t index) {
      const PackedSequence& s = sequences[static_cast<size_t>(index / shape.kv_heads)];
      const int64_t kv_head = index % shape.kv_heads;
      if (s.tiling.parts > 1) write_head(s, kv_head, shares_of(s, kv_head * s.tiling.parts));
    });
  });
}
// </train_gpt>

}  // namespace

void attention_backward_by_tiles(const TileKernel& kernel, CpuScratch& scratch, Out dq, Out dk,
                                 Out dv, In dy, In y, In lse, In q, In k, In v,
                                 const AttentionShape& shape) {
  const Tensors tensors = {dq, dk, dv, dy, y, lse, q, k, v};
  // <train_gpt>
  if (shape.packed.starts) return differentiate_in_sequences(kernel, scratch, tensors, shape);
  // </train_gpt>
  const AttentionTiling tiling(shape, kBackwardRows);
  const int64_t share = tiling.padded * tiling.cols;  // of dk, and of dv
  with_tile_types(q.dtype, kernel, [&]<class T, class E>() {
    run_backward_chunks(
        tiling, scratch, kBackwardSums, share,
        [&](const AttentionChunk& chunk, float* sums) {
          Backward<T, E>(kernel, scratch, tiling, tensors, sums, sums + share).run(chunk);
        },
        [&](int64_t batch, int64_t kv_head, float* sums) {
          write_kv_head<T, E>(kernel, dk, tiling, batch, kv_head, sums, shape.scale);
          write_kv_head<T, E>(kernel, dv, tiling, batch, kv_head, sums + share, 1.0f);
        });
  });
}

void CpuOps::attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                                const AttentionShape& shape) {
  PG_CHECK(shape.first == 0, "a gradient is that of all queries");
  if (tiles_ != nullptr) {
    attention_backward_by_tiles(*tiles_, *scratch_, dq, dk, dv, dy, y, lse, q, k, v, shape);
    // <train_gpt>
  } else if (shape.packed.starts) {
    attention_backward_by_tiles(tile_kernel(TileIsa::kAvx512Bf16), *scratch_, dq, dk, dv, dy, y,
                                lse, q, k, v, shape);
    // </train_gpt>
  } else {
    attention_backward_by_products(*matmul_, *scratch_, dq, dk, dv, dy, y, lse, q, k, v, shape);
  }
}

}  // namespace pg
