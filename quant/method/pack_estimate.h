// What a model will take of the cap, before and during training.
#pragma once
#include <cstdint>
#include <vector>

#include "quant/format/quant_config.h"
#include "quant/method/code_sizes.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// What a model will take, from shapes alone, before training: `least` no run of this kind has gone
// below, `likely` is typical.
struct PackForecast {
  int64_t least_bytes = 0, likely_bytes = 0;  // code included
};
PackForecast forecast_pack(const ModelConfig& config, const QuantConfig& quant,
                           const CodeSizes& code_bytes);
// The projected total of round-to-nearest at the configured scales, priced by our coder's model and
// what the chosen one takes of that: fast enough to show during training.
int64_t project_bytes(const std::vector<HostTensor>& weights, const QuantConfig& quant,
                      const CodeSizes& code_bytes);

}  // namespace pg
