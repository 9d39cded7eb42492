// Causal attention, forward: FlashAttention-2's tiles (Dao 2023).
//
// A chunk walks the query blocks of one kv head. For each, the softmax over up to kKeyBlock keys is
// one pass; longer rows go block by block with a running maximum. Tiles above the diagonal are
// never computed.

#include "src/device/cpu/bf16/cpu_attention_library.h"

#include <limits>

#include "src/base/exact_math.h"
#include "src/base/simd_math.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_attention.h"

namespace pg {
namespace {

using namespace cpu;

// Keys of a score tile: 128 rows of f32 scores and their bf16 probabilities take 384 KiB of L2.
constexpr int64_t kKeyBlock = 512;

enum Slot : size_t { kSlotK, kSlotV, kSlotQ, kSlotScores, kSlotProbs, kSlotMix, kSlotRowState };

// The softmax of one row so far: maximum and sum of exponentials.
struct RowState {
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0.0f;
};

// p[keys] = exp(scale s - max) over the first `visible` keys and 0 beyond; updates the state.
// Returns the factor for what was summed under the old maximum. Clobbers s.
template <class T>
float softmax_row(T* p, float* s, int64_t visible, int64_t keys, float scale, RowState& state) {
  const int64_t width =
      (visible + ProductTiling::kLanes - 1) / ProductTiling::kLanes * ProductTiling::kLanes;
  std::fill(s + visible, s + width, -std::numeric_limits<float>::infinity());
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < width; ++i) largest = s[i] > largest ? s[i] : largest;
  const float max = std::max(largest * scale, state.max);
  // Three loops over a row in L1 beat one: g++ sums lane by lane where bf16 and f32 mix.
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) s[i] = exp_simd(s[i] * scale - max);
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) store(p[i], s[i]);
  std::fill(p + width, p + keys, T{});
  const float sum = sum_loop(width, [s](int64_t i) { return s[i]; });
  const float factor = state.max == max || state.sum == 0.0f ? 1.0f : exp_simd(state.max - max);
  state.sum = state.sum * factor + sum;
  state.max = max;
  return factor;
}

template <class T>
class Forward {
 public:
  Forward(CpuMatmul& matmul, CpuScratch& scratch, const ProductTiling& tiling, Out y, Out lse)
      : matmul_(matmul), tiling_(tiling), y_(y), lse_(lse) {
    const int thread = thread_index();
    const auto buffer = [&]<class U>(U*& to, Slot slot, int64_t count) {
      to = static_cast<U*>(scratch.of_thread(thread, slot, static_cast<size_t>(count) * sizeof(U)));
    };
    const int64_t size = tiling.shape.head_dim, rows = tiling.max_rows();
    buffer(k_, kSlotK, tiling.padded * size);
    buffer(v_, kSlotV, tiling.padded * size);
    buffer(q_, kSlotQ, rows * size);
    buffer(scores_, kSlotScores, rows * tiling.max_keys());
    buffer(probs_, kSlotProbs, rows * tiling.max_keys());
    buffer(mix_, kSlotMix, rows * size);
    buffer(states_, kSlotRowState, rows);
  }

  void run(In q, In k, In v, const AttentionChunk& chunk) {
    const AttentionShape& shape = tiling_.shape;
    gather_head(k_, k, shape, shape.kv_heads, chunk.batch, chunk.kv_head, 0, tiling_.padded);
    gather_head(v_, v, shape, shape.kv_heads, chunk.batch, chunk.kv_head, 0, tiling_.padded);
    for (int64_t i = chunk.part; i < tiling_.blocks; i += tiling_.parts) {
      const ProductBlock block(tiling_, i);
      gather_group(q_, q, tiling_, chunk, block);
      std::fill_n(states_, block.rows, RowState{});
      for (int64_t key = 0; key < block.end; key += tiling_.key_block) {
        add_keys(block, key, std::min(tiling_.key_block, block.end - key));
      }
      write_block(chunk, block);
    }
  }

 private:
  // Adds keys [key, key + keys) to the mix of the block.
  void add_keys(const ProductBlock& block, int64_t key, int64_t keys) {
    const int64_t size = tiling_.shape.head_dim;
    const DType type = DTypeOf<T>::value;
    matmul_.run({.m = block.rows, .n = keys, .k = size, .transpose_b = true, .operands = type}, q_,
                k_ + key * size, scores_);
    for (int64_t row = 0; row < block.rows; ++row) {
      const int64_t token = block.begin + row % block.size();
      const int64_t visible = std::min(token + 1 - key, keys);
      const float factor = softmax_row(probs_ + row * keys, scores_ + row * keys, visible, keys,
                                       tiling_.shape.scale, states_[row]);
      if (factor == 1.0f) continue;
      float* const mix = mix_ + row * size;
#pragma omp simd
      for (int64_t j = 0; j < size; ++j) mix[j] *= factor;
    }
    matmul_.run({.m = block.rows, .n = size, .k = keys, .operands = type, .accumulate = key > 0},
                probs_, v_ + key * size, mix_);
  }

  void write_block(const AttentionChunk& chunk, const ProductBlock& block) {
    const AttentionShape& shape = tiling_.shape;
    for_each_row(tiling_, chunk, block, [&](int64_t row, int64_t token, int64_t head) {
      const RowState& state = states_[row];
      const float inverse = 1.0f / state.sum;
      const float* const mix = mix_ + row * shape.head_dim;
      write<T>(y_, ((chunk.batch * shape.tokens + token) * shape.heads + head) * shape.head_dim,
               shape.head_dim, [=](int64_t j) { return mix[j] * inverse; });
      write_scalar(lse_, (chunk.batch * shape.heads + head) * shape.tokens + token,
                   state.max + static_cast<float>(log_f64(state.sum)));
    });
  }

  CpuMatmul& matmul_;
  const ProductTiling& tiling_;
  const Out y_, lse_;
  T *k_, *v_;         // [padded, S]
  T* q_;              // [group, query_block, S]
  float* scores_;     // [rows, keys]
  T* probs_;          // [rows, keys], not yet divided by the sum
  float* mix_;        // [rows, S], likewise
  RowState* states_;  // [rows]
};

}  // namespace

void attention_by_products(CpuMatmul& matmul, CpuScratch& scratch, Out y, Out lse, In q, In k, In v,
                           const AttentionShape& shape) {
  PG_CHECK(shape.first == 0, "products are of all queries");
  const ProductTiling tiling(shape, kKeyBlock);
  with_activation_type(q.dtype, [&]<class T>() {
    parallel_chunks(tiling.chunks(), [&](int64_t chunk) {
      Forward<T>(matmul, scratch, tiling, y, lse).run(q, k, v, AttentionChunk(tiling, chunk));
    });
  });
}

}  // namespace pg
