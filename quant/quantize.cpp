// Routes every parameter to its storage and quantises it.
//
// A value beyond fp16 is an error, not clamped: weights of that size mean a run that diverged, and
// clamping would score a model that nobody trained.
#include <fmt/format.h>

#include <cmath>

#include "quant/artifact.h"
#include "quant/gptq_lite.h"
#include "quant/half.h"
#include "quant/storage_bits.h"
#include "src/base/error.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr const char* kAdvice = "go back to an earlier checkpoint or lower the learning rate";

void require_match(const ParamSpec& have, const ParamSpec& want) {
  if (have.name == want.name && have.rows == want.rows && have.cols == want.cols) return;
  throw Error(fmt::format(
      "weights do not fit the model: found \"{}\" [{}, {}] where \"{}\" [{}, {}] belongs; give the "
      "weights of this very configuration",
      have.name, have.rows, have.cols, want.name, want.rows, want.cols));
}

void require_finite(const HostTensor& weights) {
  for (size_t i = 0; i < weights.values.size(); ++i) {
    if (!std::isfinite(weights.values[i])) {
      throw Error(fmt::format("weight is not finite: \"{}\" has {} at index {}; {}",
                              weights.spec.name, weights.values[i], i, kAdvice));
    }
  }
}

[[noreturn]] void fail_overflow(const HostTensor& weights, size_t index, const char* what) {
  throw Error(fmt::format("weight is too large for fp16: {} of \"{}\" at index {} passes 65504; {}",
                          what, weights.spec.name, index, kAdvice));
}

QuantTensor quantize_tensor(const HostTensor& weights, const QuantConfig& quant) {
  const ParamSpec& spec = weights.spec;
  QuantTensor out{.name = spec.name,
                  .rows = spec.rows,
                  .cols = spec.cols,
                  .bits = storage_bits(spec, quant),
                  .codes = {},
                  .halves = {}};
  if (out.bits == kHalfBits) {
    out.halves.resize(weights.values.size());
    for (size_t i = 0; i < out.halves.size(); ++i) {
      out.halves[i] = half_from_float(weights.values[i]);
      if (!is_finite_half(out.halves[i])) fail_overflow(weights, i, "the value");
    }
    return out;
  }
  const GptqLiteOptions options{.bits = out.bits,
                                .scale_floor = quant.scale_floor,
                                .per_row = quant.method == "gptq_lite_row"};
  QuantizedRows rows = quantize_gptq_lite(weights.values, spec.rows, spec.cols, options);
  for (size_t r = 0; r < rows.scales.size(); ++r) {
    if (!is_finite_half(rows.scales[r])) fail_overflow(weights, r, "the scale of a row");
  }
  out.codes = std::move(rows.codes);
  out.halves = std::move(rows.scales);
  return out;
}

}  // namespace

QuantModel quantize(const ModelConfig& config, const std::vector<HostTensor>& weights,
                    const Sha256& tokenizer_sha256, const QuantConfig& quant) {
  const std::vector<ParamSpec> specs = list_params(config);
  if (weights.size() != specs.size()) {
    throw Error(
        fmt::format("weights do not fit the model: \"{}\" tensors where {} belong; give the "
                    "weights of this very configuration",
                    weights.size(), specs.size()));
  }
  QuantModel model{.config = config, .tokenizer_sha256 = tokenizer_sha256, .tensors = {}};
  model.tensors.reserve(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    require_match(weights[i].spec, specs[i]);
    require_finite(weights[i]);
    model.tensors.push_back(quantize_tensor(weights[i], quant));
  }
  return model;
}

}  // namespace pg
