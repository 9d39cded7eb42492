// One training batch at test time: windows of known text, the gradient of the mean loss over chosen
// targets, clipped. Shared by the learners.
#pragma once
#include <cstdint>
// <train_gpt>
#include <memory>
// </train_gpt>
#include <optional>
#include <span>
#include <vector>

#include "eval/learn/ttt_config.h"
#include "src/device/device.h"
#include "src/model/model.h"
#include "src/plan/gradient/gradient_leaves.h"
#include "src/plan/weights.h"

namespace pg {

// A window that reads tokens from `begin` on and counts the loss of targets [first, end), where
// begin < first and end - 1 - begin is at most the context.
struct TrainingWindow {
  int64_t begin = 0, first = 0, end = 0;
};

class TrainingRows {
 public:
  // Weights must outlive this. Allocates everything: compute_gradient() allocates nothing. `rows` in
  // config.gradient_leaves parts, of which each of the ranks of config.share takes its own where they
  // divide them, else all.
  TrainingRows(const ModelConfig& model, const TttConfig& config, Weights& weights, int64_t rows,
               int64_t context);
  // <parts>
  // One row whose last `positions` alone have targets.
  static TrainingRows of_last(const ModelConfig& model, const TttConfig& config, Weights& weights,
                              int64_t context, int64_t positions);
  // </parts>
  // <train_gpt>
  // config.documents_at_once such rows, each with adapters of its own.
  struct Row {
    std::span<const int32_t> tokens;
    TrainingWindow window;
  };
  // compute_gradient() of each as if it were alone; at most rows(), and what is absent gets zeros.
  void compute_gradients_apart(std::span<const Row> rows, double max_norm);
  // </train_gpt>
  // <parts>
  // The same, shorter, in this one's memory, which outlives it: they never run at the same time.
  TrainingRows shorten(const ModelConfig& model, const TttConfig& config, int64_t context) const;
  // </parts>

  int64_t rows() const { return plan_.batch() * leaf_count_; }
  // Gradients of the windows' mean loss per counted target (ttt.byte_weighted: of a byte, which is
  // the mean with weights of mean 1 in proportion to the targets' bytes; none where they stand for
  // none); at most rows() windows, at least one counted target. Measures the clip coefficient of
  // max_norm too.
  void compute_gradient(std::span<const int32_t> tokens, std::span<const TrainingWindow> windows,
                        double max_norm);
  // <parts>
  // Whether small parameters alone, those of the scalar group, have gradients from now on.
  void train_scales_alone(bool alone);
  // Parameters whose gradients are taken for zeros.
  std::span<const int> held() const { return held_; }
  // </parts>
  In clip_coefficient() const { return {coefficient_.data(), DType::kF32}; }  // [1] f32
  // <train_gpt>
  In clip_coefficient_of(int64_t row) const {
    return {coefficient_.as<float>() + row, DType::kF32};
  }
  // </train_gpt>

 private:
  TrainingRows(ModelPlan plan, int64_t positions, const TttConfig& config, Weights& weights);
  void clear();
  // Gradients of at most as many windows as the plan has rows, of a loss that is a sum over `counted`.
  void run_rows(std::span<const int32_t> tokens, std::span<const TrainingWindow> windows,
                int64_t counted);
  void add_leaves(std::span<const int32_t> tokens, std::span<const TrainingWindow> windows,
                  int64_t counted);
  void place(size_t row, std::span<const int32_t> tokens, const TrainingWindow& window);
  void measure(int64_t row, int64_t elements, double max_norm);
  // <train_gpt>
  std::unique_ptr<KeptWork>& keep_for(double max_norm);
  void give_norm(double max_norm);
  // </train_gpt>
  // <parts>
  int64_t count_bytes(std::span<const int32_t> tokens,
                      std::span<const TrainingWindow> windows) const;
  void weigh_by_bytes(size_t row, std::span<const int32_t> tokens, const TrainingWindow& window);
  void hold_gradients();
  // </parts>

  Weights* weights_;
  ModelPlan plan_;
  int64_t positions_;              // of a row, its last, that may have targets
  std::vector<int32_t> ids_;       // [rows, context]
  std::vector<int32_t> next_ids_;  // [rows, positions] what each predicts; -1: not counted
  DeviceBuffer sums_;              // [count_sum_pieces(gradient_elements)] f64
  DeviceBuffer squares_;           // [1] f64
  DeviceBuffer coefficient_;       // [1] f32
  int64_t leaf_count_ = 1, first_leaf_ = 0;
  std::optional<GradientLeaves> leaves_;  // those of this rank; absent where there is one in all
  // <parts>
  const ByteTable* bytes_ = nullptr;  // null: each target counts 1
  std::vector<float> byte_weights_;   // [rows, positions]
  int64_t frozen_blocks_ = 0;
  std::vector<int> held_;
  DeviceBuffer zeros_;  // as many as the largest of them has
  // </parts>
  // <train_gpt>
  WindowShare* share_ = nullptr;  // null: no rank takes a part of a step
  double kept_norm_ = 0;
  std::unique_ptr<KeptWork> kept_;  // the gradients' last touch and their norm
  // </train_gpt>
};

// <train_gpt>
// Continues `hash` with device values.
uint64_t hash_floats(Device& device, const float* values, int64_t count, uint64_t hash);
// </train_gpt>

}  // namespace pg
