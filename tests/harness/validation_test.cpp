// Whatever training predicts, reads or weighs, what it validates is the plain loss of the next token.
// Test (6) of token superposition's specification.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/command/rank_steps.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

constexpr int64_t kTokens = 90, kContext = 16;

class LastValidation final : public TrainObserver {
 public:
  void on_step(const StepReport&) override {}
  void on_validation(int64_t step, double, double loss, double) override {
    steps = step;
    loss_nats = loss;
  }
  void on_note(const std::string&) override {}
  int64_t steps = 0;
  double loss_nats = 0;
};

class Validation : public testing::Test {
 protected:
  Validation() {
    recipe_.model = make_test_config();
    recipe_.track.device = "cpu:exact";
    recipe_.eval = {.context = kContext, .stride = 4, .batch_tokens = 64};
    recipe_.train.wallclock_s = 0;
    recipe_.train.max_steps = 3;
    recipe_.train.val_every = 1;
    recipe_.train.batch_tokens = recipe_.train.micro_batch_tokens = 64;
    recipe_.train.seq_len = kContext;
    recipe_.train.average = Average::kNone;
    recipe_.train.bag_fraction = 1;  // the last step too
  }

  std::vector<HostTensor> train() {
    LocalRanks ranks({.kind = RankPlan::Kind::kThreads, .rank = 0, .ranks = 1, .note = ""});
    const RankScoring scoring(ranks, recipe_.track.device, val_, {device_.get(), &bytes_, &clock_});
    const Batches batches(train_, recipe_.data.loader, 1, kContext);
    TrainSetup first;
    first.device = device_.get();
    first.clock = &clock_;
    first.observer = &seen_;
    return train_on_ranks(ranks, recipe_, {train_, val_, batches, prefix_of_}, scoring, first)
        .exported;
  }

  // The mean of -log p of each token but the first, in windows of kContext.
  double next_token_loss(const std::vector<HostTensor>& tensors) {
    Weights weights(*device_, list_params(recipe_.model), false);
    weights.upload(tensors);
    const std::vector<int32_t> text = val_.read_all();
    double sum = 0;
    for (int64_t begin = 0; begin + 1 < kTokens; begin += kContext) {
      const int64_t targets = std::min(kContext, kTokens - 1 - begin);
      ModelPlan plan(recipe_.model, weights, 1, targets, PlanMode::kScore);
      const auto from = text.begin() + begin;
      plan.load(std::vector<int32_t>(from, from + targets),
                std::vector<int32_t>(from + 1, from + 1 + targets));
      plan.run();
      sum += plan.mean_loss() * static_cast<double>(targets);
    }
    return sum / static_cast<double>(kTokens - 1);
  }

  Recipe recipe_;
  std::vector<int32_t> prefix_of_;
  TokenStream train_ = make_stream(make_random_ids(3000, 7));
  TokenStream val_ = make_stream(make_random_ids(kTokens, 8));
  ByteTable bytes_ = make_test_bytes();
  std::unique_ptr<Device> device_ = make_device("cpu:exact");
  ManualClock clock_;
  LastValidation seen_;
};

TEST_F(Validation, IsOfTheNextTokenAloneInEveryPhase) {
  struct Case {
    const char* name;
    std::function<void(Recipe&)> change;
  };
  const Case kCases[] = {
      {"bags that are predicted", [](Recipe& r) { r.train.bag_targets = 4; }},
      {"bags that are read too",
       [](Recipe& r) {
         r.train.bag_targets = 4;
         r.train.bag_inputs = true;
       }},
      {"bags of the same data",
       [](Recipe& r) {
         r.train.bag_targets = 4;
         r.train.bag_inputs = r.train.bag_iso_data = true;
       }},
      {"further tokens", [](Recipe& r) { r.train.future_targets = 2; }},
      {"heads of further tokens", [](Recipe& r) { r.train.mtp_heads = 2; }},
      {"a module of a further token", [](Recipe& r) { r.train.mtp_modules = 1; }},
      {"z-loss", [](Recipe& r) { r.train.z_loss = 0.1; }},
      {"complementary weights", [](Recipe& r) { r.train.complement_alpha = 0.5; }},
      {"memory tokens", [](Recipe& r) { r.model.memory_tokens = 3; }},
      {"packed documents", [](Recipe& r) { r.data.loader = Loader::kPacked; }},
      {"sequences that grow", [](Recipe& r) { r.train.seq_len_growth = "4@0.5,16@1"; }},
  };
  const Recipe plain = recipe_;
  train();
  const double plain_loss = seen_.loss_nats;
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    recipe_ = plain;
    c.change(recipe_);
    check_recipe(recipe_);
    const std::vector<HostTensor> trained = train();
    EXPECT_EQ(seen_.steps, recipe_.train.max_steps);
    EXPECT_NEAR(seen_.loss_nats, next_token_loss(trained), 1e-5);
    EXPECT_NE(seen_.loss_nats, plain_loss);  // what is on has trained something else
  }
}

}  // namespace
}  // namespace pg
