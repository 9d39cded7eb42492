// Small models with random weights for the tests of quant.
#pragma once
#include <vector>

#include "quant/artifact.h"
#include "src/base/rng.h"
#include "src/model/model.h"

namespace pg {

// About 4,000 parameters, with every kind of tensor.
inline ModelConfig tiny_config() {
  ModelConfig c;
  c.vocab_size = 32;
  c.layers = 2;
  c.dim = 16;
  c.heads = 2;
  c.kv_heads = 1;
  c.mlp_hidden = 16;
  c.rope_dims = 4;
  c.bigram_buckets = 24;
  c.bigram_dim = 8;
  c.value_embed_dim = 8;
  c.value_embed_layers = 1;
  c.xsa_last_n = 1;
  return c;
}

// About 2M parameters: the size of the CPU track.
inline ModelConfig two_million_config() {
  ModelConfig c;
  c.layers = 4;
  c.dim = 192;
  c.heads = 4;
  c.kv_heads = 2;
  c.mlp_hidden = 576;
  c.rope_dims = 16;
  c.bigram_buckets = 1024;
  c.bigram_dim = 64;
  c.value_embed_dim = 64;
  return c;
}

// With fp16 only for vectors and the smallest matrices, so that tiny models have codes too.
inline QuantConfig tiny_quant() {
  QuantConfig quant;
  quant.keep_fp16_elements = 130;
  return quant;
}

// Gaussian weights; `tail` > 0 makes them heavy-tailed, as trained ones are, by dividing by a
// random root.
inline std::vector<HostTensor> random_weights(const ModelConfig& config, uint64_t seed,
                                              double tail = 0) {
  std::vector<HostTensor> weights;
  for (const ParamSpec& spec : list_params(config)) {
    const CounterRng rng(seed, kStreamTest + 16 * weights.size());
    HostTensor tensor{.spec = spec, .values = {}};
    for (int64_t i = 0; i < spec.elements(); ++i) {
      const auto index = static_cast<uint64_t>(i);
      const double spread =
          tail > 0 ? 1 / (1 - tail * rng.uniform((uint64_t{1} << 40) + index)) : 1;
      tensor.values.push_back(static_cast<float>(0.04 * rng.normal(index) * spread));
    }
    weights.push_back(std::move(tensor));
  }
  return weights;
}

}  // namespace pg
