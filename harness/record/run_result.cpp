#include "harness/record/run_result.h"

#include <fmt/format.h>

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
  const bool is_limited = train.reserve_s > 0 && times.reserve_s >= train.reserve_s;
  const std::string advice =
      is_limited
          ? fmt::format("train.reserve_s, {}, allowed no more: leave it out", train.reserve_s)
          : "something slowed the machine down: run it again with nothing beside it";
  return fmt::format(
      "training took {:.3f} s and calibration {:.3f} s, for which {:.3f} s were kept free: more "
      "than train.wallclock_s, {} s; the record says train_under_budget false; {}",
      times.train_s, times.calibrate_s, times.reserve_s, train.wallclock_s, advice);
}

}  // namespace pg
