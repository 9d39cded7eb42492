// A model small enough for double loops, with every feature of the stack switched on.
#pragma once
#include <cstdint>
#include <vector>

#include "src/base/rng.h"
#include "src/model/model.h"

namespace pg {

inline ModelConfig make_small_config() {
  ModelConfig c;
  c.vocab_size = 61;
  c.layers = 4;
  c.dim = 32;
  c.heads = 4;
  c.kv_heads = 2;
  c.mlp_hidden = 48;
  c.rope_dims = 4;
  c.xsa_last_n = 2;
  c.bigram_buckets = 37;
  c.bigram_dim = 8;
  c.value_embed_dim = 8;
  c.value_embed_layers = 2;
  return c;
}

inline std::vector<int32_t> make_ids(int64_t count, int64_t vocab, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<int32_t>(rng.below(i, static_cast<uint64_t>(vocab)));
  }
  return ids;
}

// Moves every parameter away from its initial value, so that no gradient is zero by construction.
inline void perturb(Weights& weights, double size, uint64_t seed) {
  std::vector<HostTensor> tensors = weights.download();
  const CounterRng rng(seed, kStreamTest + 1);
  uint64_t at = 0;
  for (HostTensor& tensor : tensors) {
    for (float& value : tensor.values) value += static_cast<float>(size * rng.normal(at++));
  }
  weights.upload(tensors);
}

}  // namespace pg
