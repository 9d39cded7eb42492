// Another trainer's weights as this program's: tensors of a safetensors file by a map of names, each used exactly once.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "harness/exchange/weight_map.h"
#include "src/base/result.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// The tensors of the model in list_params order, as fp32. Hostile input. The failure names the tensor: one that is missing
// (and the nearest name that is there), of another shape, used twice, or without a place in the model.
Result<std::vector<HostTensor>> import_tensors(std::span<const uint8_t> file,
                                               const ModelConfig& config, const WeightMap& map);

}  // namespace pg
