// Phases of a training: what a step runs depends on the part of training that is done. A change is
// for good: the part done is told from a clock and from an end that moves, so it may fall again.
//
// Bags (bag_inputs, token superposition, arXiv:2605.06546; formulas.md 3.8): up to bag_fraction each
// position reads the mean of s tokens' embeddings and predicts the next s tokens. Loops (loop_from,
// formulas.md 2.6): from then on blocks run as often as the model says. Lengths (seq_len_growth): rows
// are of shorter sequences first. Bags and loops, and loops and lengths, may be on in any part of each
// other; each combination that can occur has a plan over the same weights.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/data/data_config.h"
#include "src/model/model.h"
#include "src/train/checkpoint.h"
#include "src/train/length_growth.h"
#include "src/train/schedule.h"
#include "src/train/train_config.h"

namespace pg {

struct Phase {
  bool is_bagged = false, is_looped = true;
  int64_t length_stage = 0;
  bool operator==(const Phase&) const = default;
};

class Phases {
 public:
  Phases(const ModelConfig& model, const TrainConfig& train);

  Phase now() const {
    return {steps_.bags_ended < 0, steps_.loops_began >= 0, steps_.length_stage};
  }
  const PhaseSteps& steps() const { return steps_; }
  void set_steps(const PhaseSteps& steps) { steps_ = steps; }
  // Before the step that follows `steps_done`: the lines to log of what changes; empty: nothing.
  std::string advance(int64_t steps_done, double fraction, double elapsed_s = 0);
  // Steps that the optimizer knows nothing of: those of bags, once bag_reset has made it begin anew.
  int64_t forgotten_steps() const {
    return is_reset_ ? std::max<int64_t>(steps_.bags_ended, 0) : 0;
  }

  // For LossTargets::weigh(), where bags end for good.
  double fraction_of_bags(double fraction) const;
  bool can_occur(const Phase& phase) const;
  // Those that can, the last one first.
  std::vector<Phase> list() const;
  // Upper bound of what the last phase's step takes over this phase's: time of a step is kept for
  // the budget as if it had been of the last one.
  double slowdown_to_come(const Phase& phase) const;
  // Rows of seq_len() positions of a step, of those of train.seq_len of a plain one.
  int64_t rows(const Phase& phase, int64_t plain_rows) const;
  // First row of the step behind `steps_done`, in the windows of its phase: bag() * seq_len() tokens each.
  int64_t first_row(int64_t steps_done, int64_t plain_rows) const;
  // Windows of train.seq_len tokens whose text so many steps have used up.
  int64_t windows_used(int64_t steps_done, int64_t plain_rows) const;
  int64_t bag(const Phase& phase) const { return phase.is_bagged ? bag_ : 1; }
  int64_t seq_len(const Phase& phase) const { return stage(phase).seq_len; }

 private:
  const LengthStage& stage(const Phase& phase) const {
    return stages_[static_cast<size_t>(phase.length_stage)];
  }
  double work_of_a_token(const LengthStage& stage) const;
  std::string describe_loop(int64_t steps_done, double fraction) const;

  ModelConfig model_;
  int64_t bag_ = 1;
  bool is_iso_data_ = false, is_reset_ = false;
  double bags_until_ = 0, loops_from_ = 0;
  std::vector<LengthStage> stages_;
  PhaseSteps steps_;
};

// The model in a phase: its blocks run once each before loops begin.
ModelConfig model_in_phase(const ModelConfig& model, const Phase& phase);

// schedule_step(), by phases: the learning rate's begins anew behind forgotten_steps().
StepSchedule schedule_in_phase(const Phases& phases, const TrainConfig& train,
                               const OptimizerConfig& optimizer, int64_t steps_done,
                               double elapsed_s, double end_s);

// Throws Error where keys of phases contradict each other.
void check_phases(const ModelConfig& model, const TrainConfig& train, Loader loader);

}  // namespace pg
