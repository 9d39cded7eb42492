// Small models with random weights for the tests of quant.
#pragma once
#include <cmath>
#include <vector>

#include "quant/format/quant_model.h"
#include "quant/method/calibration.h"
#include "quant/method/pack_estimate.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
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

// The published form of 2026-03: scales by a clip search, no calibration, whatever size comes out.
inline QuantConfig published_quant() {
  QuantConfig quant;
  quant.scales = ScaleRule::kGptqLiteRow;
  quant.rounding = Rounding::kNearest;
  quant.fill_cap = false;
  return quant;
}

// With fp16 only for vectors and the smallest matrices, so that tiny models have codes too.
inline QuantConfig tiny_quant() {
  QuantConfig quant = published_quant();
  quant.keep_fp16_elements = 130;
  return quant;
}

// Scales by sensitivity with error feedback, to the given cap.
inline QuantConfig tiny_filled_quant(int64_t cap_bytes) {
  QuantConfig quant;
  quant.keep_fp16_elements = 130;
  quant.cap_bytes = cap_bytes;
  return quant;
}

// Gaussian weights of width sigma; `tail` > 0 makes them heavy-tailed, as trained ones are, by
// dividing by a random root. Below 0.25 the published clip search finds its smallest scale only.
inline std::vector<HostTensor> random_weights(const ModelConfig& config, uint64_t seed,
                                              double tail = 0, double sigma = 0.04) {
  std::vector<HostTensor> weights;
  for (const ParamSpec& spec : list_params(config)) {
    const CounterRng rng(seed, kStreamTest + 16 * weights.size());
    HostTensor tensor{.spec = spec, .values = {}};
    for (int64_t i = 0; i < spec.elements(); ++i) {
      const auto index = static_cast<uint64_t>(i);
      const double spread =
          tail > 0 ? 1 / (1 - tail * rng.uniform((uint64_t{1} << 40) + index)) : 1;
      tensor.values.push_back(static_cast<float>(sigma * rng.normal(index) * spread));
    }
    weights.push_back(std::move(tensor));
  }
  return weights;
}

// Correlated inputs and uneven rows, as calibration finds them.
inline Calibration random_calibration(const ModelConfig& config, uint64_t seed) {
  Calibration calibration{.tensors = {}, .tokens = 1000};
  for (const ParamSpec& spec : list_params(config)) {
    if (spec.rows == 1 || spec.cols == 1) continue;
    const CounterRng rng(seed, kStreamTest + 4096 + 16 * calibration.tensors.size());
    const auto cols = static_cast<size_t>(spec.cols);
    const size_t samples = 2 * cols;
    std::vector<double> x(samples * cols);
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = rng.normal(i) + (i % cols > 0 ? 0.7 * x[i - 1] : 0.0);
    }
    SensitivityTerm term;
    for (size_t a = 0; a < cols; ++a) {
      for (size_t b = 0; b < cols; ++b) {
        double sum = 0;
        for (size_t s = 0; s < samples; ++s) sum += x[s * cols + a] * x[s * cols + b];
        term.hessian.push_back(static_cast<float>(sum / static_cast<double>(samples)));
      }
    }
    for (int64_t r = 0; r < spec.rows; ++r) {
      const double z = rng.normal((uint64_t{1} << 40) + static_cast<uint64_t>(r));
      term.row_weight.push_back(static_cast<float>(0.01 * std::exp(z)));
    }
    calibration.tensors.push_back({spec.name, {std::move(term)}});
  }
  return calibration;
}

inline QuantModel quantize_plain(const ModelConfig& config, const std::vector<HostTensor>& weights,
                                 const QuantConfig& quant, const Sha256& tokenizer = {}) {
  const QuantInput input{.config = &config,
                         .weights = &weights,
                         .tokenizer_sha256 = tokenizer,
                         .scoring_keys = {},
                         .calibration = nullptr};
  return quantize(input, quant, 0).model;
}

inline QuantResult quantize_calibrated(const ModelConfig& config,
                                       const std::vector<HostTensor>& weights,
                                       const QuantConfig& quant, const CodeSizes& code_bytes = 0) {
  const Calibration calibration = random_calibration(config, 7);
  const QuantInput input{.config = &config,
                         .weights = &weights,
                         .tokenizer_sha256 = {},
                         .scoring_keys = {},
                         .calibration = &calibration};
  return quantize(input, quant, code_bytes);
}

}  // namespace pg
