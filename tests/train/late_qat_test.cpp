// Straight-through rounding: gradients at the rounded weights, steps on the weights themselves.
#include "src/train/late_qat.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "tests/train/ranks_fixture.h"

namespace pg {
namespace {

class LateQatTest : public RanksTest {
 protected:
  LateQatTest() {
    setup_.train.average = Average::kNone;
    setup_.train.warmdown_steps = 4;  // of six: 1, 1, 1, .75, .5, .25
  }
};

TEST_F(LateQatTest, BeginsBelowItsMultiplierAndIsSaidOnce) {
  int rounded = 0;
  setup_.round_weights = [&](const std::vector<HostTensor>& weights) {
    ++rounded;
    return weights;
  };
  for (const auto& [threshold, steps] :
       {std::pair{0.0, 0}, {0.3, 1}, {0.6, 2}, {0.8, 3}, {2.0, 6}}) {
    rounded = 0;
    recorder_.notes.clear();
    setup_.train.late_qat_lr = threshold;
    train_on(1);
    EXPECT_EQ(rounded, steps) << threshold;
    const auto said = std::ranges::count_if(recorder_.notes, [](const std::string& note) {
      return note.starts_with("late_qat:enabled step:");
    });
    EXPECT_EQ(said, steps > 0 ? 1 : 0) << threshold;
  }
}

TEST_F(LateQatTest, RoundingThatChangesNothingChangesNoStep) {
  const TrainResult plain = train_on(1);
  setup_.round_weights = [](const std::vector<HostTensor>& weights) { return weights; };
  setup_.train.late_qat_lr = 2;
  expect_same(plain.exported, train_on(1).exported);
}

// Where all are rounded to their first values, every step sees the loss and the gradients of those.
TEST_F(LateQatTest, LossesAreThoseOfTheRoundedWeightsAndTheWeightsMoveOn) {
  std::vector<HostTensor> first;
  setup_.round_weights = [&](const std::vector<HostTensor>& weights) {
    if (first.empty()) first = weights;
    return first;
  };
  setup_.train.late_qat_lr = 2;
  const TrainResult held = train_on(1);
  setup_.optimizer.matrix_lr = setup_.optimizer.embed_lr = setup_.optimizer.scalar_lr = 0;
  setup_.train.late_qat_lr = 0;
  std::vector<double> losses;
  for (const StepReport& report : recorder_.steps) losses.push_back(report.loss_nats);
  recorder_.steps.clear();
  train_on(1);
  ASSERT_EQ(recorder_.steps.size(), losses.size());
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_EQ(recorder_.steps[i].loss_nats, losses[i]);
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_NE(held.exported[i].values, first[i].values) << first[i].spec.name;
  }
}

// Heads for training alone are in no artifact: the quantiser knows nothing of them, and they learn on.
TEST_F(LateQatTest, RoundsWhatAnArtifactHas) {
  const size_t own = list_params(setup_.model).size();
  setup_.train.mtp_heads = 2;
  const TrainResult plain = train_on(1);
  int rounded = 0;
  setup_.round_weights = [&](const std::vector<HostTensor>& weights) {
    ++rounded;
    EXPECT_EQ(weights.size(), own);
    for (const HostTensor& tensor : weights) EXPECT_TRUE(tensor.spec.is_exported);
    return weights;
  };
  setup_.train.late_qat_lr = 2;
  expect_same(plain.exported, train_on(1).exported);
  EXPECT_EQ(rounded, 6);
}

TEST_F(LateQatTest, WeightsAreThemselvesAgainAfterAFailure) {
  setup_.train.late_qat_lr = 2;
  const TrainResult whole = train_on(1);
  expect_survives_lost_text(whole);
}

}  // namespace
}  // namespace pg
