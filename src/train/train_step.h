// One rank's part of an optimizer step, as work for its device: batches, gradients leaf by leaf, what
// ranks exchange, the optimizer, the average. Nothing is waited for but the other ranks; the step's
// numbers come back with an event, while the next one may be under way.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/device/comm/comm.h"
#include "src/model/model.h"
#include "src/plan/gradient/gradient_leaves.h"
#include "src/train/average.h"
#include "src/train/batch_prefetch.h"
#include "src/train/checkpoint.h"
#include "src/train/ema_nesterov.h"
#include "src/train/late_qat.h"
#include "src/train/optimizer.h"
#include "src/train/phases.h"
#include "src/train/rank_exchange.h"
#include "src/train/schedule.h"
#include "src/train/trainer.h"

namespace pg {

class TrainStep {
 public:
  // Steps whose numbers may be on their way at once.
  static constexpr int64_t kInFlight = 2;

  TrainStep(const TrainSetup& setup, Comm& comm);

  // From here on the steps are those after `steps_done`, in the phase that phases() says.
  void start_at(int64_t steps_done);
  // What the next step is to run; the lines to log of what changes by that. Allocates where it does.
  std::string enter_phase(double fraction, double elapsed_s = 0);
  struct Launched {
    uint64_t event = 0;              // done when the step is
    bool has_swa_begun = false;      // its first snapshot was taken
    bool is_rounded = false;         // its gradients are those of rounded weights
    bool has_cut_documents = false;  // longer than packed sequences may be, in this rank's text
  };
  Launched launch(const StepSchedule& schedule);
  // True while the parameters are being changed, and after a failure in it: they are of no use then.
  bool is_updating() const { return is_updating_; }

  // Numbers of a step whose event is done.
  struct Numbers {
    double loss_nats = 0, grad_norm = 0;
  };
  Numbers numbers(int64_t step) const;

  Weights& weights() { return weights_; }
  ModelPlan& plan() { return *plan_; }  // of the phase
  Phases& phases() { return phases_; }
  int64_t windows_used(int64_t steps_done) const {
    return phases_.windows_used(steps_done, rows_ * micro_batches_);
  }
  Optimizer& optimizer() { return optimizer_; }
  Averager& averager() { return averager_; }
  EmaNesterov& ema_nesterov() { return ema_nesterov_; }
  RankExchange& exchange() { return exchange_; }
  const CheckpointSizes& state_sizes() const { return state_sizes_; }
  int64_t micro_batches() const { return micro_batches_; }  // of all ranks

 private:
  void build_plans(const TrainSetup& setup);
  void take_plan();
  Batches order_windows(const Phase& phase) const;
  void weigh_targets(double fraction);
  bool compute_gradients();  // has_cut_documents
  void update(const StepSchedule& schedule);
  void start_reading_numbers();

  Comm& comm_;
  Device& device_;
  const Batches& batches_;
  const bool is_packed_;
  int64_t rows_, micro_batches_, leaves_;
  Weights weights_;
  LossTargets loss_targets_;
  Phases phases_;
  struct PhasePlan {
    Phase phase;
    Batches batches;  // its windows
    ModelPlan plan;
    std::vector<float> target_weights;  // [n], that it has
  };
  std::deque<PhasePlan> plans_;  // of the phases that can occur; the last one's first
  const Batches* phase_batches_ = nullptr;
  ModelPlan* plan_ = nullptr;
  std::vector<float>* target_weights_ = nullptr;
  Optimizer optimizer_;
  DeviceBuffer leaf_losses_;  // [leaves] f64: sums of the micro-batches' means
  DeviceBuffer loss_;         // [1] f64: their sum
  GradientLeaves own_leaves_;
  RankExchange exchange_;
  Averager averager_;
  EmaNesterov ema_nesterov_;
  LateQat late_qat_;
  CheckpointSizes state_sizes_;
  std::optional<ComplementWeights> complement_;
  std::optional<BatchPrefetch> prefetch_;  // it uses the above
  std::vector<float> next_weights_;        // [n], room
  int64_t steps_done_ = 0;
  bool is_updating_ = false;
  struct HostNumbers {
    double loss = 0, squares = 0;
  };
  std::array<HostNumbers, kInFlight> numbers_;
};

}  // namespace pg
