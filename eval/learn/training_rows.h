// One training batch at test time: windows of known text, the gradient of the mean loss over chosen
// targets, clipped. Shared by the learners.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "src/device/device.h"
#include "src/model/model.h"
#include "src/plan/weights.h"

namespace pg {

// A window that reads tokens from `begin` on and counts the loss of targets [first, end), where
// begin < first and end - 1 - begin is at most the context.
struct TrainingWindow {
  int64_t begin = 0, first = 0, end = 0;
};

class TrainingRows {
 public:
  // Weights must outlive this. Allocates everything: compute_gradient() allocates nothing.
  TrainingRows(const ModelConfig& model, Weights& weights, int64_t rows, int64_t context);

  int64_t rows() const { return plan_.batch(); }
  // Gradients of the windows' mean loss per counted target; at most rows() windows, at least one
  // counted target. Measures the clip coefficient of max_norm too.
  void compute_gradient(std::span<const int32_t> tokens, std::span<const TrainingWindow> windows,
                        double max_norm);
  In clip_coefficient() const { return {coefficient_.data(), DType::kF32}; }  // [1] f32

 private:
  Weights* weights_;
  ModelPlan plan_;
  std::vector<int32_t> ids_;       // [rows, context]
  std::vector<int32_t> next_ids_;  // [rows, context] what each predicts; -1: not counted
  DeviceBuffer sums_;              // [count_sum_pieces(gradient_elements)] f64
  DeviceBuffer squares_;           // [1] f64
  DeviceBuffer coefficient_;       // [1] f32
};

// Continues `hash` with device values.
uint64_t hash_floats(Device& device, const float* values, int64_t count, uint64_t hash);

}  // namespace pg
