#include "quant/method/round_to_grid.h"

#include "quant/method/quantize.h"
#include "src/base/check.h"

namespace pg {
namespace {

// Corrections of single matrices are made for the final weights; the order of hidden units changes no
// number.
QuantConfig plain_rounding(QuantConfig quant) {
  quant.rounding = Rounding::kNearest;
  quant.sort_hidden = false;
  quant.lqer_rank = 0;
  quant.awq_group = false;
  quant.coder = CoderChoice::kOwn;
  return quant;
}

}  // namespace

std::vector<HostTensor> round_to_grid(const ModelConfig& config,
                                      const std::vector<HostTensor>& weights,
                                      const QuantConfig& quant) {
  PG_CHECK(has_grid_of_weights_alone(quant), "a grid that only the final weights have");
  const QuantResult result =
      quantize({.config = &config, .weights = &weights, .tokenizer_sha256 = {}, .scoring_keys = {}},
               plain_rounding(quant), CodeSizes(0));
  std::vector<HostTensor> rounded;
  for (size_t i = 0; i < weights.size(); ++i) {
    rounded.push_back(dequantize(result.model.tensors[i], weights[i].spec));
  }
  return rounded;
}

}  // namespace pg
