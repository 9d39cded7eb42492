// The trainer's steps against steps taken by hand: the learning rate of each, and micro-batches that
// add up to one batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/train/optimizer.h"
#include "tests/ops/tolerance.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

class TrainerSteps : public TrainerTest {
 protected:
  TrainerSteps() {
    setup_.train.average = Average::kNone;
  }  // the weights of the last step, as they are

  // One optimizer step per multiplier, as the trainer takes them.
  std::vector<HostTensor> step_by_hand(const std::vector<double>& lr_multipliers) {
    const TrainConfig& t = setup_.train;
    const int64_t rows = t.micro_batch_tokens / t.seq_len;
    const int64_t micro_batches = t.batch_tokens / t.micro_batch_tokens;
    Weights weights(*setup_.device, list_params(setup_.model), /*with_gradients=*/true);
    weights.initialise(static_cast<uint64_t>(t.seed));
    ModelPlan plan(setup_.model, weights, rows, t.seq_len, PlanMode::kTrain);
    plan.set_loss_scale(1.0f / static_cast<float>(micro_batches));
    Optimizer optimizer(weights, setup_.optimizer);
    std::vector<int32_t> ids(static_cast<size_t>(t.micro_batch_tokens)), targets(ids.size());
    int64_t window = 0;
    for (size_t step = 0; step < lr_multipliers.size(); ++step) {
      for (int64_t m = 0; m < micro_batches; ++m, window += rows) {
        batches_->read(window, rows, ids, targets);
        plan.load(ids, targets);
        plan.run(m > 0);
      }
      weights.finish_gradients();
      optimizer.step(static_cast<int64_t>(step), lr_multipliers[step]);
    }
    return weights.download();
  }
};

TEST_F(TrainerSteps, FollowTheWarmdownOverTheLastSteps) {
  setup_.train.max_steps = 5;
  setup_.train.warmdown_form = WarmdownForm::kSteps;
  setup_.train.warmdown_steps = 4;
  expect_same(train(setup_).exported, step_by_hand({1.0, 1.0, 0.75, 0.5, 0.25}));
}

// The last half of a budget of 1 s, by the elapsed time at which each step begins and the end as it
// is foreseen then.
TEST_F(TrainerSteps, FollowTheWarmdownOverTheBudget) {
  TickingClock clock(0.02);
  setup_.clock = &clock;
  setup_.train.wallclock_s = 1.0;
  setup_.train.max_steps = 1000;
  setup_.train.warmdown_form = WarmdownForm::kFraction;
  setup_.train.warmdown_fraction = 0.5;
  const TrainResult result = train(setup_);
  std::vector<double> multipliers;
  for (const StepReport& report : recorder_.steps) {
    EXPECT_LE(report.end_s, 1.0);
    EXPECT_GT(report.end_s, 0.9);
    multipliers.push_back(std::min(1.0, (1.0 - report.decided_s / report.end_s) / 0.5));
  }
  ASSERT_LT(multipliers.back(), 0.5);
  expect_same(result.exported, step_by_hand(multipliers));
}

struct Norms {
  double moved = 0, difference = 0, weights = 0;  // of `one`; between `one` and `two`; of `one`
};

Norms compare(const std::vector<HostTensor>& start, const std::vector<HostTensor>& one,
              const std::vector<HostTensor>& two, ParamGroup group) {
  Norms norms;
  for (size_t i = 0; i < one.size(); ++i) {
    if ((one[i].spec.group == ParamGroup::kMatrix) != (group == ParamGroup::kMatrix)) continue;
    for (size_t k = 0; k < one[i].values.size(); ++k) {
      const auto a = static_cast<double>(one[i].values[k]),
                 b = static_cast<double>(two[i].values[k]);
      norms.moved += std::pow(a - static_cast<double>(start[i].values[k]), 2);
      norms.difference += std::pow(a - b, 2);
      norms.weights += a * a;
    }
  }
  return {std::sqrt(norms.moved), std::sqrt(norms.difference), std::sqrt(norms.weights)};
}

// The sums over a batch's rows are the same terms in another order: the gradients differ by the
// rounding of sums of as many terms. AdamW with an epsilon far above the gradient is linear in it,
// and no clipping hides its size. Muon forgets that; Newton-Schulz makes a relative error at most
// 3.4445^5 times as large, the slope of its polynomials at 0. Both weights are rounded once.
TEST_F(TrainerSteps, OfMicroBatchesAreThoseOfOneBatch) {
  constexpr double kNewtonSchulzSlope = 485;
  const auto device = make_device("cpu:exact");
  setup_.device = device.get();
  setup_.train.max_steps = 1;
  setup_.train.warmdown_steps = 0;
  setup_.optimizer.adam_epsilon = 1e6;
  setup_.optimizer.embed_lr = setup_.optimizer.scalar_lr = 1e6;
  setup_.optimizer.adam_weight_decay = 0;
  setup_.optimizer.grad_clip_norm = 0;
  Weights start(*device, list_params(setup_.model), false);
  start.initialise(static_cast<uint64_t>(setup_.train.seed));
  setup_.train.micro_batch_tokens = setup_.train.batch_tokens;
  const TrainResult one = train(setup_);
  const double sum_error = optest::kUnitF32 * optest::sum_units(setup_.train.batch_tokens);
  for (const int64_t parts : {2, 4, 8}) {
    setup_.train.micro_batch_tokens = setup_.train.batch_tokens / parts;
    const TrainResult two = train(setup_);
    EXPECT_NEAR(one.last_loss_nats, two.last_loss_nats, 1e-6);
    for (const ParamGroup group : {ParamGroup::kMatrix, ParamGroup::kScalar}) {
      const Norms norms = compare(start.download(), one.exported, two.exported, group);
      const double slope = group == ParamGroup::kMatrix ? kNewtonSchulzSlope : 1.0;
      EXPECT_LE(norms.difference,
                slope * sum_error * norms.moved + 2 * optest::kUnitF32 * norms.weights)
          << parts << " parts, " << (group == ParamGroup::kMatrix ? "Muon" : "AdamW");
      EXPECT_GT(norms.moved, 1e3 * optest::kUnitF32 * norms.weights);
    }
  }
}

}  // namespace
}  // namespace pg
