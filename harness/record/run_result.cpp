#include "harness/record/run_result.h"

#include <fmt/format.h>

#include <cmath>

namespace pg {

ScoreLine::ScoreLine(const Score& score)
    : loss_nats(score.loss_nats()),
      bits_per_byte(score.bits_per_byte()),
      eval_s(score.eval_s()),
      budget_s(score.budget_s()),
      tokens(score.tokens()),
      bytes(score.bytes()),
      documents(score.documents()) {}

std::string describe_over_budget(const ScoreLine& score) {
  return fmt::format(
      "evaluation took {:.1f} s of {:.1f} s: the score does not count under this budget; raise "
      "eval.stride or eval.wallclock_s",
      score.eval_s, score.budget_s);
}

std::string describe_training_over_budget(const StageTimes& times, const TrainConfig& train) {
  const double used_s = times.budgeted_train_s();
  if (train.wallclock_s == 0 || used_s <= train.wallclock_s) return {};
  // To a tenth of a second, upwards.
  const double reserve_s =
      std::ceil((train.reserve_s + used_s - train.wallclock_s) * 10 + 0.5) / 10;
  return fmt::format(
      "training took {:.3f} s and calibration {:.3f} s, together more than train.wallclock_s, {} "
      "s: "
      "the record says train_under_budget false; train.reserve_s = {:.1f} (now {}) would have "
      "ended "
      "training early enough",
      times.train_s, times.calibrate_s, train.wallclock_s, reserve_s, train.reserve_s);
}

}  // namespace pg
