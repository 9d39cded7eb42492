// SGD with momentum, or AdamW, on whole weights at test time. It trains on whatever text it is given: for a
// score only sgd_learner.h may give it some, and only what is scored already.
#pragma once
#include <cstdint>
// <train_gpt>
#include <memory>
// </train_gpt>
#include <span>
#include <vector>

#include "eval/learn/training_rows.h"
#include "eval/learn/ttt_config.h"

namespace pg {

// The model's parameters, frozen where [ttt] freezes them.
std::vector<ParamSpec> choose_sgd_params(const ModelConfig& model, const TttConfig& config);

class SgdTrainer {
 public:
  // Weights must outlive this. `context`: tokens of a row.
  SgdTrainer(const ModelConfig& model, const TttConfig& config, int64_t context, Weights& weights);

  // One pass over the targets [first, end), first >= 1, in rows that do not overlap. Allocates
  // nothing.
  void train_pass(std::span<const int32_t> tokens, int64_t first, int64_t end, double lr);
  // <parts>
  // Around passes: between them the weights are the Polyak average of those of the steps.
  void take_up();
  void put_down();
  // Whether the small parameters alone change from now on (formulas.md 6.3). What changes then has
  // an optimizer of its own, which starts without moments.
  void train_scales_alone(bool alone);
  // </parts>
  // <train_gpt>
  uint64_t state_hash() const;  // trained weights and momentum
                                // </train_gpt>

 private:
  // A step's numbers go to the device, then its ops.
  void load_step(double lr);
  void give_step();
  void give_sgd();
  // <parts>
  void load_adamw(double lr);
  void give_adamw();
  void follow_average();
  void copy_trained(float* to, const float* from, bool to_masters);
  // </parts>

  TttConfig config_;
  int64_t context_;
  Weights* weights_;
  TrainingRows rows_;
  std::vector<TrainingWindow> windows_;
  DeviceBuffer momentum_;  // [gradient_elements] f32
  DeviceBuffer scalars_;   // [3] f32: momentum, decay, step
  // <parts>
  int64_t steps_ = 0;
  bool scales_alone_ = false;
  DeviceBuffer second_;            // [gradient_elements] f32: AdamW's second moment
  DeviceBuffer adamw_;             // an AdamWStep
  DeviceBuffer average_, latest_;  // [gradient_elements] f32: Polyak's, and what it is of
  DeviceBuffer polyak_;            // [2] f32: decay, and 1 less
  // </parts>
  // <train_gpt>
  std::unique_ptr<KeptWork> kept_;  // a step's ops
  // </train_gpt>
};

// From 1 at step 0 to 0 at the last of `steps`.
double cosine_multiplier(int64_t step, int64_t steps);
// ttt.lr in the form that the keys give it.
double learning_rate(const TttConfig& config, int64_t step, int64_t steps);
// <parts>
// The "adaptive" rate of PR #1033, beside the cosine (formulas.md 6.1): 1 + (most - 1) min(c / (0.3
// C), 1) at chunk c of C.
double adaptive_multiplier(int64_t chunk, int64_t chunks, double most);
// </parts>

}  // namespace pg
