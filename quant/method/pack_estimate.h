// What a model will take of the cap, before and during training.
#pragma once
#include <cstdint>
#include <vector>

#include "quant/format/quant_config.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// What a model will take, from shapes alone, before training: `least` no run of this kind has gone
// below, `likely` is typical.
struct PackForecast {
  int64_t least_bytes = 0, likely_bytes = 0;  // code included
};
PackForecast forecast_pack(const ModelConfig& config, const QuantConfig& quant, int64_t code_bytes);
// The projected total of round-to-nearest at the configured scales, priced by the coder's own
// model: fast enough to show during training.
int64_t project_bytes(const std::vector<HostTensor>& weights, const QuantConfig& quant,
                      int64_t code_bytes);

}  // namespace pg
