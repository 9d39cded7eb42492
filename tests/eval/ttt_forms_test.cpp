// Published forms of test-time training: PR #1033's average, bytes, rate and frozen blocks, #398's phases and diagnosis,
// adapters with phases.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <type_traits>
#include <vector>

#include "eval/learn/make_learner.h"
#include "eval/learn/sgd_trainer.h"
#include "eval/score.h"
#include "src/device/registry/make_device.h"
#include "src/model/learning/adapters.h"
#include "src/model/model.h"
#include "tests/eval/ttt_fixture.h"
#include "tests/train/repeating_device.h"

namespace pg {
namespace {

// PR #1033's: what scores is the mean of all steps' weights, what learns are the last ones.
TEST_F(TestTimeTraining, ThePolyakAverageScoresAndDoesNotLearn) {
  TttConfig ttt = make_ttt(TttKind::kSgd);
  const auto trained = [&](double decay, int64_t steps) {
    ttt.polyak_decay = decay;
    Weights weights(*device_, list_params(config_), true);
    weights.upload(model_.tensors());
    SgdTrainer trainer(config_, ttt, kContext, weights);
    std::vector<int32_t> tokens(ids_.begin(), ids_.end());
    for (int64_t i = 0; i < steps; ++i) {
      trainer.take_up();
      trainer.train_pass(tokens, 1 + 2 * kContext * i, 1 + 2 * kContext * (i + 1), ttt.lr);
      trainer.put_down();
    }
    return weights.download();
  };
  const auto start = trained(0, 0), first = trained(0, 1), second = trained(0, 2);
  const auto averaged = trained(0.75, 2);
  for (size_t i = 0; i < start.size(); ++i) {
    for (size_t k = 0; k < start[i].values.size(); ++k) {
      const double one = 0.75 * static_cast<double>(start[i].values[k]) +
                         0.25 * static_cast<double>(first[i].values[k]);
      const double two = 0.75 * one + 0.25 * static_cast<double>(second[i].values[k]);
      ASSERT_NEAR(averaged[i].values[k], two, 4e-7 * std::abs(two) + 1e-12) << start[i].spec.name;
    }
  }
}

// Each learner of the two does what it does alone: without adapters' steps the phases remain, and
// until the first phase, or without a rate in them, the adapters.
TEST_F(TestTimeTraining, AdaptersWithPhasesAreTheTwoLearners) {
  TttConfig both = make_ttt(TttKind::kPhasedLora), phased = make_ttt(TttKind::kPhased);
  both.chunk_tokens = phased.chunk_tokens = both.lora_chunk_tokens;  // the same places to learn at
  const std::vector<float> plain = list_losses_with(make_ttt(TttKind::kNone), ids_);
  TttConfig silent = both;
  silent.lora_lr = 0;
  EXPECT_EQ(list_losses_with(silent, ids_), list_losses_with(phased, ids_));
  EXPECT_NE(list_losses_with(phased, ids_), plain);

  both.phases = 1;
  const std::vector<float> together = list_losses_with(both, ids_);
  const std::vector<float> adapters = list_losses_with(make_ttt(TttKind::kLora), ids_);
  const auto differs = std::mismatch(together.begin(), together.end(), adapters.begin()).first;
  const auto first = std::distance(together.begin(), differs);
  // The first window of a chunk behind the middle of the stream.
  EXPECT_GE(first, (kTokens - 1) / 2);
  EXPECT_LT(first, (kTokens - 1) / 2 + 2 * both.lora_chunk_tokens);
  EXPECT_NE(adapters, plain);
}

// Behind a phase the adapters are those of the start: with no rate in the phase, what follows is
// scored as if nothing had been learnt before.
TEST_F(TestTimeTraining, APhaseStartsTheAdaptersAnew) {
  TttConfig ttt = make_ttt(TttKind::kPhasedLora);
  ttt.phases = 1;
  ttt.lr = 0;
  std::vector<uint16_t> other = ids_;
  for (size_t t = 1; t < 40; ++t) other[t] = static_cast<uint16_t>(31 - other[t] % 28);
  const auto tail_of = [&](const std::vector<uint16_t>& ids) {
    const std::vector<float> losses = list_losses_with(ttt, ids);
    return std::vector<float>(losses.begin() + (kTokens - 1) / 2 + 16, losses.end());
  };
  EXPECT_EQ(tail_of(other), tail_of(ids_));
  ttt.kind = TttKind::kLora;
  EXPECT_NE(tail_of(other), tail_of(ids_));
}

// PR #1033's blocks: of the frozen ones the matrices stay, for the scores too, and the small
// parameters change, those included whose gradient is made from a matrix's.
TEST_F(TestTimeTraining, ScalesOfFrozenBlocksMayChange) {
  TttConfig ttt = make_ttt(TttKind::kSgd);
  ttt.frozen_blocks = 1;
  const auto train = [&](bool frozen_scales, double polyak_decay, TttOptimizer optimizer) {
    ttt.frozen_scales = frozen_scales;
    ttt.polyak_decay = polyak_decay;
    ttt.optimizer = optimizer;
    Weights weights(*device_, choose_sgd_params(config_, ttt), true);
    weights.upload(model_.tensors());
    SgdTrainer trainer(config_, ttt, kContext, weights);
    const std::vector<int32_t> stream(ids_.begin(), ids_.end());
    for (int pass = 0; pass < 3; ++pass) {
      trainer.take_up();
      trainer.train_pass(stream, 1, 65, ttt.lr);
      trainer.put_down();
    }
    return weights.download();
  };
  for (const double decay : {0.0, 0.9}) {
    for (const TttOptimizer optimizer : {TttOptimizer::kSgd, TttOptimizer::kAdamw}) {
      const auto moved = train(false, decay, optimizer), frozen = train(true, decay, optimizer);
      int scales = 0;
      for (size_t i = 0; i < moved.size(); ++i) {
        const ParamSpec& spec = moved[i].spec;
        const auto& before = model_.tensors()[i].values;
        if (!spec.name.starts_with("blocks.0.")) {
          EXPECT_NE(moved[i].values, before) << spec.name;
          continue;
        }
        EXPECT_EQ(frozen[i].values, before) << spec.name;
        const bool is_small = spec.group == ParamGroup::kScalar;
        EXPECT_EQ(moved[i].values != before, is_small) << spec.name << ", Polyak " << decay;
        scales += is_small;
      }
      EXPECT_GE(scales, 4);
    }
  }
  ttt = make_ttt(TttKind::kSgd);
  ttt.frozen_blocks = 1;
  const std::vector<float> frozen = list_losses_with(ttt, ids_);
  ttt.frozen_scales = false;
  EXPECT_NE(list_losses_with(ttt, ids_), frozen);
}

// #398's two phases: small parameters first, and then a training that is as one begun from there.
TEST_F(TestTimeTraining, SmallParametersMayBeTrainedFirst) {
  const std::vector<int32_t> stream(ids_.begin(), ids_.end());
  for (const TttOptimizer optimizer : {TttOptimizer::kSgd, TttOptimizer::kAdamw}) {
    TttConfig ttt = make_ttt(TttKind::kSgd);
    ttt.optimizer = optimizer;
    Weights weights(*device_, list_params(config_), true);
    weights.upload(model_.tensors());
    SgdTrainer trainer(config_, ttt, kContext, weights);
    trainer.train_scales_alone(true);
    for (int pass = 0; pass < 2; ++pass) trainer.train_pass(stream, 1, 65, ttt.lr);
    const std::vector<HostTensor> scaled = weights.download();
    for (size_t i = 0; i < scaled.size(); ++i) {
      EXPECT_EQ(scaled[i].values != model_.tensors()[i].values,
                scaled[i].spec.group == ParamGroup::kScalar)
          << scaled[i].spec.name;
    }
    trainer.train_scales_alone(false);
    trainer.train_pass(stream, 65, 129, ttt.lr);
    const std::vector<HostTensor> after = weights.download();

    Weights fresh(*device_, list_params(config_), true);
    fresh.upload(scaled);
    SgdTrainer second(config_, ttt, kContext, fresh);
    second.train_pass(stream, 65, 129, ttt.lr);
    const std::vector<HostTensor> want = fresh.download();
    for (size_t i = 0; i < after.size(); ++i) {
      EXPECT_EQ(after[i].values, want[i].values) << after[i].spec.name;
    }
  }
}

// At a part of 1 no training is of the second phase.
TEST_F(TestTimeTraining, TheFirstPhaseLastsAsLongAsItsPartOfTheText) {
  TttConfig ttt = make_ttt(TttKind::kSgd);
  std::vector<std::vector<float>> losses;
  for (const double part : {0.0, 0.4, 0.8, 1.0}) {
    ttt.scales_fraction = part;
    losses.push_back(list_losses_with(ttt, ids_));
  }
  // Chunks of windows end at targets 25, 49, 73, 97, 121, 145 of 149.
  const auto first_difference = [&](size_t a, size_t b) {
    const auto at = std::mismatch(losses[a].begin(), losses[a].end(), losses[b].begin()).first;
    return at - losses[a].begin();
  };
  EXPECT_LT(first_difference(0, 1), 40);
  EXPECT_GE(first_difference(1, 2), 59);
  EXPECT_LT(first_difference(1, 2), 149);
  EXPECT_GE(first_difference(2, 3), 119);
  EXPECT_LT(first_difference(2, 3), 149);
}

// Each target's loss by its bytes, over the bytes of all: the gradient of a byte's loss.
TEST_F(TestTimeTraining, AByteWeightedStepIsThatOfAByte) {
  TttConfig ttt = make_ttt(TttKind::kSgd);
  ttt.clip_norm = 0;
  const ByteTable& bytes = *ttt.bytes;
  Weights weights(*device_, list_params(config_), true);
  weights.upload(model_.tensors());
  const std::vector<int32_t> stream(ids_.begin(), ids_.end());
  // Targets 10 to 34 in rows of 16 and 9, each target's gradient from a plan of its own row.
  const auto gradient_of = [&](int64_t target) {
    const int64_t begin = target < 26 ? 9 : 25, count = target - begin;
    std::vector<int32_t> next(static_cast<size_t>(count), -1);
    next.back() = stream[static_cast<size_t>(target)];
    ModelPlan plan(config_, weights, 1, count, PlanMode::kTrain);
    plan.load(std::span(stream).subspan(static_cast<size_t>(begin), static_cast<size_t>(count)),
              next);
    plan.set_loss_scale(static_cast<float>(count));
    plan.run();
    weights.finish_gradients();
    return std::vector<float>(weights.gradients(),
                              weights.gradients() + weights.gradient_elements());
  };
  std::vector<double> want(static_cast<size_t>(weights.gradient_elements()));
  double total = 0;
  for (int64_t t = 10; t < 35; ++t) {
    const auto at = static_cast<size_t>(t);
    const auto weight = static_cast<double>(bytes.token_bytes(stream, at));
    const std::vector<float> gradient = gradient_of(t);
    for (size_t i = 0; i < want.size(); ++i) want[i] += weight * static_cast<double>(gradient[i]);
    total += weight;
  }
  ASSERT_GT(total, 25);
  for (const bool weighted : {true, false}) {
    ttt.byte_weighted = weighted;
    TrainingRows rows(config_, ttt, weights, 2, kContext);
    const std::vector<TrainingWindow> windows = {{.begin = 9, .first = 10, .end = 26},
                                                 {.begin = 25, .first = 26, .end = 35}};
    rows.compute_gradient(stream, windows, 0);
    double errors = 0, squares = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      const double error = static_cast<double>(weights.gradients()[i]) - want[i] / total;
      errors += error * error;
      squares += want[i] / total * want[i] / total;
    }
    EXPECT_EQ(std::sqrt(errors / squares) < 1e-5, weighted) << std::sqrt(errors / squares);
  }
}

// A text that stands for no bytes teaches nothing.
TEST_F(TestTimeTraining, TargetsWithoutBytesHaveNoGradient) {
  TttConfig ttt = make_ttt(TttKind::kSgd);
  ttt.byte_weighted = true;
  Weights weights(*device_, list_params(config_), true);
  weights.upload(model_.tensors());
  SgdTrainer trainer(config_, ttt, kContext, weights);
  const std::vector<int32_t> stream(20, kBosId);
  trainer.train_pass(stream, 1, 20, 0.1);
  const std::vector<HostTensor> after = weights.download();
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].values, model_.tensors()[i].values) << after[i].spec.name;
  }
}

// What PR #398 published as a score: far below what the same weights honestly cost.
static_assert(!std::is_constructible_v<Score, ContaminatedLoss>);
static_assert(!std::is_convertible_v<ContaminatedLoss, DiagnosticLoss>);
TEST_F(TestTimeTraining, TrainingOnTheTextFirstHidesItsCost) {
  TttConfig ttt = make_ttt(TttKind::kNone);
  ManualClock clock;
  const Score score =
      evaluate(model_, make_test_bytes(), make_stream(ids_), eval_, *device_, clock);
  const ContaminatedLoss loss = diagnose_pretrained_on_val(
      model_, make_test_bytes(), make_stream(ids_), eval_, ttt, /*epochs=*/20, *device_, clock);
  EXPECT_EQ(loss.tokens, score.tokens());
  EXPECT_EQ(loss.bytes, score.bytes());
  EXPECT_LT(loss.contaminated_bits_per_byte, 0.7 * score.bits_per_byte());
}

// As #398 trained: a first pass is at ttt.lr either way, and later ones stay there.
TEST_F(TestTimeTraining, TheDiagnosedRateMayStay) {
  TttConfig ttt = make_ttt(TttKind::kNone);
  ManualClock clock;
  const auto bits_after = [&](bool cosine, int64_t epochs) {
    ttt.cosine = cosine;
    return diagnose_pretrained_on_val(model_, make_test_bytes(), make_stream(ids_), eval_, ttt,
                                      epochs, *device_, clock)
        .contaminated_bits_per_byte;
  };
  EXPECT_EQ(bits_after(false, 1), bits_after(true, 1));
  EXPECT_NE(bits_after(false, 4), bits_after(true, 4));
}

TEST_F(TestTimeTraining, TheAdaptiveRateGrowsOverThirtyPercentOfTheChunks) {
  EXPECT_DOUBLE_EQ(adaptive_multiplier(0, 100, 3), 1.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(15, 100, 3), 2.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(30, 100, 3), 3.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(99, 100, 3), 3.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(1, 2, 3), 3.0);
  EXPECT_EQ(adaptive_multiplier(7, 100, 1), 1.0);
}

// What a GPU keeps of a step's work, it does again with the numbers of the step.
TEST_F(TestTimeTraining, RepeatedWorkOfTheKernelsHasTheBitsOfWorkGivenAnew) {
  std::vector<TttConfig> forms;
  for (const TttKind kind :
       {TttKind::kSgd, TttKind::kPhased, TttKind::kLora, TttKind::kPhasedLora}) {
    forms.push_back(make_ttt(kind));
  }
  forms.push_back(make_ttt(TttKind::kSgd));
  forms.back().optimizer = TttOptimizer::kAdamw;
  forms.back().polyak_decay = 0.9;
  forms.back().frozen_scales = false;
  const auto simt = make_device("simt");
  for (const TttConfig& ttt : forms) {
    const auto score = [&](bool repeats, int64_t* repeated) {
      RepeatingDevice device(*simt, repeats);
      NetworkScorer scorer(model_, eval_, device, nullptr, make(ttt, kTokens));
      const std::vector<float> losses = list_losses(scorer, ids_, LedgerTier::kMetered);
      *repeated = device.repeated;
      return losses;
    };
    int64_t none = 0, repeated = 0;
    const std::vector<float> given = score(false, &none), kept = score(true, &repeated);
    EXPECT_EQ(given, kept) << choice_name(ttt.kind);
    EXPECT_EQ(none, 0);
    // Plans that score, plans that learn, their norms and their steps; each is given twice before.
    EXPECT_GT(repeated, 3) << choice_name(ttt.kind);
  }
}

}  // namespace
}  // namespace pg
