// Causal attention, backward: FlashAttention-2's recomputation (Dao 2023).
//
// With p = exp(scale q kT - lse) and D = rowsum(dy y): dv = pT dy, ds = scale p (dy vT - D), dq =
// ds k, dk = dsT q. Tiles are computed transposed, [keys, rows]: then only the product for dq has a
// transposed left operand, the slowest kind, instead of those for dk and dv.

#include "src/base/simd_math.h"
#include "src/base/threads.h"
#include "src/device/cpu/bf16/cpu_attention_library.h"
#include "src/device/cpu/cpu_attention.h"
#include "src/device/cpu/gradient/cpu_attention_shares.h"

namespace pg {
namespace {

using namespace cpu;

// Keys of a tile: two f32 tiles of 128 rows and their bf16 roundings take 384 KiB of L2.
constexpr int64_t kKeyBlock = 256;

enum Slot : size_t {
  kSlotK,
  kSlotV,
  kSlotQ,
  kSlotDy,
  kSlotScores,
  kSlotDProbs,
  kSlotProbs,
  kSlotDScores,
  kSlotDq,
  kSlotLse,
  kSlotDelta,
  kSlotSums
};

struct Tensors {
  Out dq, dk, dv;
  In dy, y, lse, q, k, v;
};

template <class T>
class Backward {
 public:
  // sums_k, sums_v [padded, S]: where this chunk leaves its share of dk and dv.
  Backward(CpuMatmul& matmul, CpuScratch& scratch, const ProductTiling& tiling,
           const Tensors& tensors, float* sums_k, float* sums_v)
      : matmul_(matmul), tiling_(tiling), tensors_(tensors), sums_k_(sums_k), sums_v_(sums_v) {
    const int thread = thread_index();
    const auto buffer = [&]<class U>(U*& to, Slot slot, int64_t count) {
      to = static_cast<U*>(scratch.of_thread(thread, slot, static_cast<size_t>(count) * sizeof(U)));
    };
    const int64_t size = tiling.shape.head_dim, rows = tiling.max_rows();
    const int64_t tile = rows * tiling.max_keys();
    buffer(k_, kSlotK, tiling.padded * size);
    buffer(v_, kSlotV, tiling.padded * size);
    buffer(q_, kSlotQ, rows * size);
    buffer(dy_, kSlotDy, rows * size);
    buffer(scores_, kSlotScores, tile);
    buffer(dprobs_, kSlotDProbs, tile);
    buffer(probs_, kSlotProbs, tile);
    buffer(dscores_, kSlotDScores, tile);
    buffer(dq_, kSlotDq, rows * size);
    buffer(lse_, kSlotLse, rows);
    buffer(delta_, kSlotDelta, rows);
  }

  void run(const AttentionChunk& chunk) {
    const AttentionShape& shape = tiling_.shape;
    gather_head(k_, tensors_.k, shape, shape.kv_heads, chunk.batch, chunk.kv_head, 0,
                tiling_.padded);
    gather_head(v_, tensors_.v, shape, shape.kv_heads, chunk.batch, chunk.kv_head, 0,
                tiling_.padded);
    std::fill_n(sums_k_, tiling_.padded * shape.head_dim, 0.0f);
    std::fill_n(sums_v_, tiling_.padded * shape.head_dim, 0.0f);
    for (int64_t i = chunk.part; i < tiling_.blocks; i += tiling_.parts) {
      const ProductBlock block(tiling_, i);
      load_block(chunk, block);
      for (int64_t key = 0; key < block.end; key += tiling_.key_block) {
        add_keys(block, key, std::min(tiling_.key_block, block.end - key));
      }
      write_dq(chunk, block);
    }
  }

 private:
  void load_block(const AttentionChunk& chunk, const ProductBlock& block) {
    const AttentionShape& shape = tiling_.shape;
    gather_group(q_, tensors_.q, tiling_, chunk, block);
    gather_group(dy_, tensors_.dy, tiling_, chunk, block);
    // Padded rows: dy = 0 and D = 0 make every gradient 0 as long as p is finite.
    std::fill_n(lse_, block.rows, 0.0f);
    std::fill_n(delta_, block.rows, 0.0f);
    for_each_row(tiling_, chunk, block, [&](int64_t row, int64_t token, int64_t head) {
      lse_[row] =
          tensors_.lse.as<float>()[(chunk.batch * shape.heads + head) * shape.tokens + token];
      const T* const y =
          tensors_.y.as<T>() +
          ((chunk.batch * shape.tokens + token) * shape.heads + head) * shape.head_dim;
      const T* const dy = dy_ + row * shape.head_dim;
      delta_[row] = sum_loop(shape.head_dim, [=](int64_t j) {
        return static_cast<float>(dy[j]) * static_cast<float>(y[j]);
      });
    });
  }

  // The tile of keys [key, key + keys): its shares of dq, dk and dv.
  void add_keys(const ProductBlock& block, int64_t key, int64_t keys) {
    const int64_t size = tiling_.shape.head_dim;
    const Product scores = {
        .m = keys, .n = block.rows, .k = size, .transpose_b = true, .operands = DTypeOf<T>::value};
    matmul_.run(scores, k_ + key * size, q_, scores_);
    matmul_.run(scores, v_ + key * size, dy_, dprobs_);
    for (int64_t n = 0; n < keys; ++n) differentiate_key(block, key + n, n * block.rows);
    const Product to_keys = {
        .m = keys, .n = size, .k = block.rows, .operands = DTypeOf<T>::value, .accumulate = true};
    if (tensors_.dv) matmul_.run(to_keys, probs_, dy_, sums_v_ + key * size);
    if (tensors_.dk) matmul_.run(to_keys, dscores_, q_, sums_k_ + key * size);
    if (!tensors_.dq) return;
    matmul_.run({.m = block.rows,
                 .n = size,
                 .k = keys,
                 .transpose_a = true,
                 .operands = DTypeOf<T>::value,
                 .accumulate = key > 0},
                dscores_, k_ + key * size, dq_);
  }

  // One key's row of the tile, for all query rows: p and ds.
  void differentiate_key(const ProductBlock& block, int64_t token, int64_t row_offset) {
    const float scale = tiling_.shape.scale;
    float* const p = scores_ + row_offset;
    float* const ds = dprobs_ + row_offset;
    const float* const lse = lse_;
    const float* const delta = delta_;
    T* const probs = probs_ + row_offset;
    T* const dscores = dscores_ + row_offset;
    // Rounding in loops of its own: g++ makes poor code where bf16 and f32 mix with much
    // arithmetic.
#pragma omp simd
    for (int64_t i = 0; i < block.rows; ++i) {
      p[i] = exp_simd(p[i] * scale - lse[i]);
      ds[i] = p[i] * (ds[i] - delta[i]) * scale;
    }
#pragma omp simd
    for (int64_t i = 0; i < block.rows; ++i) store(probs[i], p[i]);
#pragma omp simd
    for (int64_t i = 0; i < block.rows; ++i) store(dscores[i], ds[i]);
    if (token <= block.begin) return;
    // Queries before this key do not see it.
    const int64_t hidden = token - block.begin;
    for (int64_t g = 0; g < tiling_.group; ++g) {
      std::fill_n(probs + g * block.size(), hidden, T{});
      std::fill_n(dscores + g * block.size(), hidden, T{});
    }
  }

  void write_dq(const AttentionChunk& chunk, const ProductBlock& block) {
    const AttentionShape& shape = tiling_.shape;
    for_each_row(tiling_, chunk, block, [&](int64_t row, int64_t token, int64_t head) {
      const float* const dq = dq_ + row * shape.head_dim;
      write<T>(tensors_.dq,
               ((chunk.batch * shape.tokens + token) * shape.heads + head) * shape.head_dim,
               shape.head_dim, [=](int64_t j) { return dq[j]; });
    });
  }

  CpuMatmul& matmul_;
  const ProductTiling& tiling_;
  const Tensors& tensors_;
  float *sums_k_, *sums_v_;  // [padded, S]
  T *k_, *v_;                // [padded, S]
  T *q_, *dy_;               // [group, query_block, S]
  float *scores_, *dprobs_;  // [keys, rows]
  T *probs_, *dscores_;      // [keys, rows]
  float* dq_;                // [rows, S]
  float *lse_, *delta_;      // [rows]
};

// The gradient of one kv head from the sums [parts][2][padded, S] of its chunks, added in their
// order.
template <class T>
void write_kv_head(Out to, const ProductTiling& tiling, int64_t batch, int64_t kv_head,
                   float* sums) {
  if (!to) return;
  const AttentionShape& shape = tiling.shape;
  const int64_t size = shape.head_dim, part_stride = 2 * tiling.padded * size;
  const int64_t stride = row_stride(to, shape.kv_heads * size);
  for (int64_t part = 1; part < tiling.parts; ++part) {
    const float* const addend = sums + part * part_stride;
#pragma omp simd
    for (int64_t i = 0; i < shape.tokens * size; ++i) sums[i] += addend[i];
  }
  for (int64_t t = 0; t < shape.tokens; ++t) {
    const float* const row = sums + t * size;
    write<T>(to, (batch * shape.tokens + t) * stride + kv_head * size, size,
             [=](int64_t j) { return row[j]; });
  }
}

}  // namespace

void attention_backward_by_products(CpuMatmul& matmul, CpuScratch& scratch, Out dq, Out dk, Out dv,
                                    In dy, In y, In lse, In q, In k, In v,
                                    const AttentionShape& shape) {
  const ProductTiling tiling(shape, kKeyBlock);
  const Tensors tensors = {dq, dk, dv, dy, y, lse, q, k, v};
  const int64_t share = tiling.padded * shape.head_dim;  // of dk, and of dv
  with_activation_type(q.dtype, [&]<class T>() {
    run_backward_chunks(
        tiling, scratch, kSlotSums, share,
        [&](const AttentionChunk& chunk, float* sums) {
          Backward<T>(matmul, scratch, tiling, tensors, sums, sums + share).run(chunk);
        },
        [&](int64_t batch, int64_t kv_head, float* sums) {
          write_kv_head<T>(dk, tiling, batch, kv_head, sums);
          write_kv_head<T>(dv, tiling, batch, kv_head, sums + share);
        });
  });
}

}  // namespace pg
