// How much the loss cares about a change of each weight, measured by real forward and backward
// passes over calibration tokens: what the quantiser spends its bits by.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/work_progress.h"
#include "src/device/device.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// One way that a parameter acts in the forward pass. When row r changes by e_r, the loss in nats
// per token changes by about 1/2 sum_r row_weight[r] e_r hessian e_rT, summed over the terms, at a
// minimum of the loss (K-FAC, Martens and Grosse 2015, with the empirical Fisher matrix).
struct SensitivityTerm {
  // [cols, cols]. Linear map: mean over tokens of xT x, x its input. Gathered table: mean of
  // dyT dy, dy the gradient of the summed loss with respect to the gathered row.
  std::vector<float> hessian;
  // [rows]. Linear map: mean over tokens of dy_r^2, dy the gradient of the summed loss with respect
  // to its output. Gathered table: share of the tokens that read row r.
  std::vector<float> row_weight;
};

struct Sensitivity {
  std::string name;
  // One per use, linear maps before tables: a tied embedding is a head, then a table.
  std::vector<SensitivityTerm> terms;
};

struct Calibration {
  std::vector<Sensitivity> tensors;  // of all that linear or embed read, in list_params order
  int64_t tokens = 0;

  const Sensitivity* find(std::string_view name) const;  // null when there is none
};

// Ids of one batch and the token that follows each, both [batch, seq_len].
struct CalibrationBatch {
  std::vector<int32_t> ids, targets;
};

// Runs every batch once. The ids must lie in the vocabulary. Bitwise equal for any thread count.
Calibration calibrate(const ModelConfig& config, const std::vector<HostTensor>& weights,
                      std::span<const CalibrationBatch> batches, int64_t batch, int64_t seq_len,
                      Device& device, const WorkProgressFn& progress = {});

}  // namespace pg
