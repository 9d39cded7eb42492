// Which average is packed: the one of least loss, as an artifact would hold it, on text that training
// left out.
#include "harness/command/choose_average.h"

#include <gtest/gtest.h>

#include "eval/score.h"
#include "harness/command/pack_steps.h"
#include "quant/method/round_to_grid.h"
#include "src/device/registry/make_device.h"
#include "tests/eval/eval_fixture.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

constexpr int64_t kHeldOut = 120;

class ChooseAverage : public testing::Test {
 protected:
  ChooseAverage() {
    recipe_.model = make_test_config();
    recipe_.train.average = Average::kBest;
    recipe_.train.held_out_tokens = kHeldOut;
    recipe_.train.seq_len = 16;
    recipe_.train.micro_batch_tokens = 32;
    recipe_.quant.calibration_tokens = 512;
    recipe_.quant.cap_bytes = 200000;
    trained_.averaging = "ema 0.9";
    trained_.exported = make_random_weights(recipe_.model, 3);
    trained_.others = {{"swa of 2", make_random_weights(recipe_.model, 4)},
                       {"none", make_random_weights(recipe_.model, 5)}};
  }
  TrialSetup setup() { return {recipe_, bytes_, batches_, *device_, clock_, /*code_bytes=*/0}; }
  // With a grid that the weights alone decide, by another way.
  double loss_of(const std::vector<HostTensor>& weights, bool is_quantized) {
    EvalConfig eval;
    eval.context = eval.stride = 16;
    eval.batch_tokens = 32;
    const std::vector<HostTensor> stored =
        is_quantized ? round_to_grid(recipe_.model, weights, recipe_.quant) : weights;
    return diagnose_loss(recipe_.model, stored, bytes_, batches_.read_held_out(), eval, *device_,
                         clock_)
        .diagnostic_loss_nats;
  }

  Recipe recipe_;
  TrainResult trained_;
  TokenStream text_ = make_stream(make_random_ids(1000, 8));
  Batches batches_{text_, Loader::kShuffled, 1, 16, kHeldOut};
  ByteTable bytes_ = make_test_bytes();
  std::unique_ptr<Device> device_ = make_device("cpu");
  TickingClock clock_{0.25};
};

TEST_F(ChooseAverage, TheLossIsThatOfStoredWeightsOnTheTextHeldOut) {
  recipe_.quant.fill_cap = false;
  recipe_.quant.scales = ScaleRule::kSdClip;
  recipe_.quant.rounding = Rounding::kNearest;
  recipe_.quant.sort_hidden = false;  // changes the order of sums
  recipe_.quant.matrix_bits = recipe_.quant.embed_bits = 4;
  const std::vector<AverageTrial> trials = try_averages(setup(), trained_, {});
  ASSERT_EQ(trials.size(), 3u);
  EXPECT_EQ(trials[0].averaging, "ema 0.9");
  EXPECT_EQ(trials[2].averaging, "none");
  EXPECT_EQ(trials[0].held_out_loss_nats, loss_of(trained_.exported, true));
  EXPECT_EQ(trials[1].held_out_loss_nats, loss_of(trained_.others[0].exported, true));
  EXPECT_NE(trials[1].held_out_loss_nats, loss_of(trained_.others[0].exported, false));
}

TEST_F(ChooseAverage, WeightsThatAreWorseAreNotTaken) {
  for (HostTensor& tensor : trained_.others[1].exported) {  // none of it says anything: log V nats
    std::ranges::fill(tensor.values, 0.0f);
  }
  const std::vector<HostTensor> plain = trained_.others[1].exported;
  const std::vector<AverageTrial> trials = try_averages(setup(), trained_, {});
  for (size_t i = 0; i < 2; ++i) {  // random weights are sure of what is wrong
    EXPECT_GT(trials[i].held_out_loss_nats, trials[2].held_out_loss_nats);
  }
  ASSERT_EQ(best_trial(trials), 2);
  take_average(trained_, 2);
  EXPECT_EQ(trained_.averaging, "none");
  EXPECT_TRUE(trained_.others.empty());
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(trained_.exported[i].values, plain[i].values);
  }
}

TEST_F(ChooseAverage, OfEqualsTheFirstIsTaken) {
  EXPECT_EQ(best_trial({{"a", 2.0}, {"b", 1.5}, {"c", 1.5}}), 1);
  const std::vector<HostTensor> first = trained_.exported;
  take_average(trained_, 0);
  EXPECT_EQ(trained_.averaging, "ema 0.9");
  EXPECT_EQ(trained_.exported[0].values, first[0].values);
}

// A rehearsal is of as many trials as there can be, and of none where one average is kept.
TEST_F(ChooseAverage, IsRehearsed) {
  EXPECT_GT(rehearse_choice(setup()), 0);
  recipe_.train.average = Average::kEma;
  EXPECT_EQ(rehearse_choice(setup()), 0);
}

}  // namespace
}  // namespace pg
