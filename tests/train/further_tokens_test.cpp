// Heads and modules that predict further tokens: what their losses are, that the gradient is that of
// the whole loss, that they train and move the trunk, and that nothing of them leaves training.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/plan/plan.h"
#include "src/train/training_params.h"
#include "tests/model/finite_differences.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 9, kRows = kBatch * kTokens;

// Of tokens that follow each other: a row of ids, and one more token.
struct Text {
  std::vector<int32_t> ids, targets;
};
Text make_text(uint64_t seed) {
  Text text{make_ids(kRows, 61, seed), make_ids(kRows, 61, seed + 1)};
  for (size_t i = 0; i + 1 < text.ids.size(); ++i) {
    if ((i + 1) % kTokens != 0) text.targets[i] = text.ids[i + 1];
  }
  return text;
}

class FurtherLoss {
 public:
  FurtherLoss(Weights& weights, const TrainConfig& train)
      : plan_(make_small_config(), weights, kBatch, kTokens, PlanMode::kTrain,
              ForwardOptions{.terms = {.future_heads = train.mtp_heads,
                                       .future_modules = train.mtp_modules,
                                       .future_weight = train.mtp_weight}}) {}
  void run(const Text& text) {
    plan_.load(text.ids, text.targets);
    plan_.run();
  }
  std::vector<float> further_losses(int64_t k) {
    std::vector<float> losses(static_cast<size_t>(kRows));
    plan_.read_further_losses(k, losses);
    return losses;
  }
  double whole(int64_t further) {
    double sum = plan_.mean_loss() * static_cast<double>(kRows);
    for (int64_t k = 0; k < further; ++k) {
      for (const float loss : further_losses(k)) sum += static_cast<double>(loss);
    }
    return sum / static_cast<double>(kRows);
  }

 private:
  ModelPlan plan_;
};

TrainConfig with_heads() { return {.mtp_heads = 2, .mtp_weight = 0.3}; }
TrainConfig with_modules() { return {.mtp_modules = 2, .mtp_weight = 0.3}; }

class FurtherTokens : public TrainerTest, public testing::WithParamInterface<TrainConfig> {
 protected:
  FurtherTokens()
      : exact_(make_device("reference:f64")),
        weights_(*exact_, list_training_params(make_small_config(), GetParam()), true) {
    weights_.initialise(1);
    perturb(weights_, 0.1, 5);
    setup_.train.mtp_heads = GetParam().mtp_heads;
    setup_.train.mtp_modules = GetParam().mtp_modules;
    setup_.train.mtp_weight = GetParam().mtp_weight;
  }
  int64_t further() const { return GetParam().mtp_heads + GetParam().mtp_modules; }

  std::unique_ptr<Device> exact_;
  Weights weights_;
};
INSTANTIATE_TEST_SUITE_P(Each, FurtherTokens, testing::Values(with_heads(), with_modules()),
                         [](const auto& info) {
                           return std::string(info.param.mtp_heads > 0 ? "heads" : "modules");
                         });

TEST_P(FurtherTokens, GradientIsThatOfTheWholeLoss) {
  const Text text = make_text(3);
  FurtherLoss loss(weights_, GetParam());
  loss.run(text);
  weights_.finish_gradients();
  const auto whole = [&] {
    loss.run(text);
    return loss.whole(further());
  };
  expect_slopes(weights_, read_gradients(weights_), whole, /*longest_step=*/3e-2);
}

// What the last token changes: the losses of those that read it or have it as their target.
TEST_P(FurtherTokens, NoLossSeesBehindItsTarget) {
  Text text = make_text(3);
  FurtherLoss loss(weights_, GetParam());
  const auto run = [&] {
    loss.run(text);
    std::vector<std::vector<float>> losses;
    for (int64_t k = 0; k < further(); ++k) losses.push_back(loss.further_losses(k));
    return losses;
  };
  const auto before = run();
  text.targets[kTokens - 1] = (text.targets[kTokens - 1] + 1) % 61;
  const auto after = run();
  for (int64_t k = 0; k < further(); ++k) {
    const auto& a = before[static_cast<size_t>(k)];
    const auto& b = after[static_cast<size_t>(k)];
    for (int64_t t = 0; t < kRows; ++t) {
      const auto at = static_cast<size_t>(t);
      const bool is_of_it = t == kTokens - 2 - k;
      EXPECT_EQ(a[at] != b[at], is_of_it) << k << " " << t;
      const bool has_target = t % kTokens < kTokens - 1 - k;
      EXPECT_EQ(a[at] != 0.0f, has_target) << k << " " << t;
    }
  }
}

TEST_P(FurtherTokens, MoveAndMoveTheTrunkAndAreNotExported) {
  setup_.train.average = Average::kNone;
  int64_t polls = 0;
  setup_.validate = [&](const std::vector<HostTensor>& weights) {
    EXPECT_EQ(weights.size(), list_params(setup_.model).size());
    ++polls;
    return ValidationScore{};
  };
  setup_.train.val_every = 6;
  setup_.project_bytes = [&](const std::vector<HostTensor>& weights) {
    return static_cast<int64_t>(weights.size());
  };
  const TrainResult with = train(setup_);
  EXPECT_EQ(polls, 2);
  setup_.train.mtp_heads = setup_.train.mtp_modules = 0;
  const TrainResult without = train(setup_);
  const std::vector<ParamSpec> own = list_params(setup_.model);
  ASSERT_EQ(with.exported.size(), own.size());
  for (size_t i = 0; i < own.size(); ++i) {
    EXPECT_EQ(with.exported[i].spec.name, own[i].name);
    EXPECT_TRUE(with.exported[i].spec.is_exported);
    EXPECT_NE(with.exported[i].values, without.exported[i].values) << own[i].name;
  }
}

// A head that is the output matrix says what the model says of the next token.
TEST(FurtherHeads, AreScoredAgainstTheTokenAfterTheNext) {
  const TrainConfig train = with_heads();
  const auto device = make_device("reference:f64");
  Weights weights(*device, list_training_params(make_small_config(), train), true);
  weights.initialise(1);
  perturb(weights, 0.1, 5);
  std::vector<HostTensor> tensors = weights.download();
  for (HostTensor& tensor : tensors) {
    if (!tensor.spec.is_exported) tensor.values = tensors.front().values;
  }
  weights.upload(tensors);
  const Text text = make_text(3);
  FurtherLoss loss(weights, train);
  loss.run(text);
  ModelPlan score(make_small_config(), weights, kBatch, kTokens, PlanMode::kScore);
  for (int64_t k = 0; k < train.mtp_heads; ++k) {
    std::vector<int32_t> shifted(text.targets.size(), -1);
    for (int64_t t = 0; t < kRows; ++t) {
      if (t % kTokens + k + 1 >= kTokens) continue;
      shifted[static_cast<size_t>(t)] = text.targets[static_cast<size_t>(t + k + 1)];
    }
    score.load(text.ids, shifted);
    score.run();
    std::vector<float> want(shifted.size());
    score.read_token_losses(want);
    const std::vector<float> got = loss.further_losses(k);
    const double share =
        train.mtp_weight / 2 * static_cast<double>(kTokens) / static_cast<double>(kTokens - 1 - k);
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(got[i]), share * static_cast<double>(want[i]), 1e-5);
    }
  }
}

// Zero at first and in an optimizer: they leave ln V, which heads in no optimizer keep.
TEST_F(TrainerTest, FurtherHeadsLearn) {
  setup_.train.mtp_heads = 2;
  setup_.train.mtp_weight = 1.0;
  setup_.train.max_steps = 60;
  setup_.train.warmdown_steps = 30;
  setup_.train.average = Average::kNone;
  for (const MtpGroup group : {MtpGroup::kMuon, MtpGroup::kAdam}) {
    setup_.train.mtp_group = group;
    // The trunk must tell the token after the next, which the next alone does not need.
    EXPECT_LT(train(setup_).last_loss_nats, 0.75 * std::log(16.0));
  }
}

TEST_F(TrainerTest, FurtherTokensThatDoNotFitAreRefused) {
  const auto message = [&](int64_t heads, int64_t modules, double weight) {
    setup_.train.mtp_heads = heads;
    setup_.train.mtp_modules = modules;
    setup_.train.mtp_weight = weight;
    try {
      train(setup_);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message(1, 1, 0.1).find("set one of them to 0"), std::string::npos);
  EXPECT_NE(message(1, 0, 0.0).find("without a gradient"), std::string::npos);
  EXPECT_NE(message(32, 0, 0.1).find("train.seq_len \"32\""), std::string::npos);
  setup_.model.memory_tokens = 2;
  EXPECT_NE(message(0, 1, 0.1).find("model.memory_tokens \"2\""), std::string::npos);
  EXPECT_EQ(message(1, 0, 0.1), "");
  setup_.model.memory_tokens = 0;
  setup_.model.parallel_residual = ParallelResidual::kLanes;
  setup_.model.parallel_from = setup_.model.layers - 1;
  EXPECT_NE(message(0, 1, 0.1).find("model.parallel_residual \"lanes\""), std::string::npos);
  EXPECT_EQ(message(1, 0, 0.1), "");
}

}  // namespace
}  // namespace pg
