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

}  // namespace pg
