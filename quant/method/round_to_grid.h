// Weights as they would be read back from an artifact, without making one.
#pragma once
#include <vector>

#include "quant/format/quant_config.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// The nearest points of the grid that [quant] gives these weights: what unpack() gives of quantize() with
// rounding to the nearest. [quant] must be one that has_grid_of_weights_alone().
std::vector<HostTensor> round_to_grid(const ModelConfig& config,
                                      const std::vector<HostTensor>& weights,
                                      const QuantConfig& quant);

}  // namespace pg
