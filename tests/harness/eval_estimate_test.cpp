// The estimate of scoring against what a committed record took.
#include "harness/record/eval_estimate.h"

#include <gtest/gtest.h>

namespace pg {
namespace {

// Of records/cpu_10min_1mb/2026-11-22_legal_gains/web_seed42: 247.5 ms a step, 235,930 targets.
Recipe make_recipe(int64_t stride, TttKind kind) {
  Recipe recipe;
  recipe.train.batch_tokens = 8192;
  recipe.eval.context = 256;
  recipe.eval.stride = stride;
  recipe.ttt.kind = kind;
  return recipe;
}
constexpr int64_t kTargets = 235'930;
constexpr double kStep_s = 0.2475;

TEST(EvalEstimate, IsNearWhatARecordTook) {
  // Its log: 2.169 s without overlap, 40.035 s with windows every 64 tokens and adapters.
  const double plain_s = estimate_scoring_s(make_recipe(256, TttKind::kNone), kTargets, kStep_s);
  EXPECT_NEAR(plain_s, 2.169, 0.2 * 2.169);
  const double learnt_s = estimate_scoring_s(make_recipe(64, TttKind::kLora), kTargets, kStep_s);
  EXPECT_NEAR(learnt_s, 40.035, 0.2 * 40.035);
}

// Each token is learnt once an epoch, which costs a training step's share of it.
TEST(EvalEstimate, CountsWhatIsLearntFrom) {
  const double token_s = kStep_s / 8192, plain_s = kTargets * token_s * 4 / 3;
  Recipe recipe = make_recipe(64, TttKind::kSgd);
  recipe.ttt.epochs = 3;
  EXPECT_DOUBLE_EQ(estimate_scoring_s(recipe, kTargets, kStep_s), plain_s + 3 * kTargets * token_s);
  recipe.ttt.kind = TttKind::kPhased;  // a quarter, a half and three quarters of the text
  recipe.ttt.phases = 3;
  EXPECT_DOUBLE_EQ(estimate_scoring_s(recipe, kTargets, kStep_s),
                   plain_s + 3 * 1.5 * kTargets * token_s);
  recipe.ttt.kind = TttKind::kPhasedLora;  // and a window of 256 for each 64 targets, twice
  recipe.ttt.lora_epochs = 2;
  EXPECT_DOUBLE_EQ(estimate_scoring_s(recipe, kTargets, kStep_s),
                   plain_s + (3 * 1.5 + 2 * 4) * kTargets * token_s);
}

}  // namespace
}  // namespace pg
