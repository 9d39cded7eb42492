#include "harness/record/eval_estimate.h"

#include <fmt/format.h>

#include <algorithm>

namespace pg {
namespace {

constexpr double kWorthSaying_s = 60;

// Tokens that are learnt from for each that is scored.
double learnt_per_target(const Recipe& recipe) {
  const TttConfig& ttt = recipe.ttt;
  // Phase p of n learns all that came before: p / (n + 1) of the text.
  const double phased = static_cast<double>(ttt.epochs) * static_cast<double>(ttt.phases) / 2;
  // A window for each piece of a chunk; by document those of a document's first tokens are shorter,
  // so that it is at most so much.
  const double lora = static_cast<double>(ttt.lora_epochs * recipe.eval.context) /
                      static_cast<double>(std::min(ttt.lora_chunk_tokens, recipe.eval.context));
  switch (ttt.kind) {
    case TttKind::kNone:
      return 0;
    case TttKind::kSgd:
      return static_cast<double>(ttt.epochs);
    case TttKind::kPhased:
      return phased;
    case TttKind::kLora:
      return lora;
    case TttKind::kPhasedLora:
      return phased + lora;
  }
  return 0;
}

}  // namespace

double estimate_scoring_s(const Recipe& recipe, int64_t targets, double step_s) {
  const double learn_s = step_s / static_cast<double>(recipe.train.batch_tokens);  // a token
  const double forward_s = learn_s / 3;
  const double read_per_target =
      static_cast<double>(recipe.eval.context) / static_cast<double>(recipe.eval.stride);
  return static_cast<double>(targets) *
         (read_per_target * forward_s + learnt_per_target(recipe) * learn_s);
}

ScoringForecast forecast_scoring(const Recipe& recipe, int64_t targets, double step_s) {
  const double scoring_s = estimate_scoring_s(recipe, targets, step_s);
  const double budget_s = recipe.eval.wallclock_s;
  if (budget_s > 0 && scoring_s > budget_s) {
    return {fmt::format(
                "scoring will take about {:.0f} s of {:.0f} s, judged from the first training "
                "steps: the score will not count under this budget; a larger eval.stride, fewer "
                "documents or less of [ttt] make it faster, eval.wallclock_s is the budget",
                scoring_s, budget_s),
            true};
  }
  if (scoring_s < kWorthSaying_s) return {};
  return {fmt::format("eval_estimate:{:.0f}s judged from the first training steps", scoring_s),
          false};
}

}  // namespace pg
