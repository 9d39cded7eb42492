// The laws of scoring, token by token: causality, independence of padding, batch and threads, and
// true probabilities.
#include "eval/sliding_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/model/model.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

EvalConfig make_eval(int64_t context, int64_t stride, int64_t batch_tokens) {
  return {.context = context, .stride = stride, .batch_tokens = batch_tokens};
}

// The loss of one target, from its definition: the first window of the stride grid that reaches it,
// alone in a plan. A row of `row_tokens` holds the tokens up to the target; what follows is
// `padding`.
float score_one_target(const ModelConfig& config, Weights& weights,
                       const std::vector<uint16_t>& ids, const EvalConfig& eval, int64_t target,
                       int64_t row_tokens, int32_t padding) {
  int64_t begin = 0;
  while (begin + eval.context <= target) begin += eval.stride;
  const int64_t position = target - begin;
  if (row_tokens == 0) row_tokens = position + 1;
  std::vector<int32_t> inputs(static_cast<size_t>(row_tokens), padding), targets = inputs;
  for (int64_t i = 0; i <= position; ++i) {
    inputs[static_cast<size_t>(i)] = ids[static_cast<size_t>(begin + i)];
    targets[static_cast<size_t>(i)] = ids[static_cast<size_t>(begin + i + 1)];
  }
  ModelPlan plan(config, weights, 1, row_tokens, PlanMode::kScore);
  plan.load(inputs, targets);
  plan.run();
  std::vector<float> losses(inputs.size());
  plan.read_token_losses(losses);
  return losses[static_cast<size_t>(position)];
}

class SlidingWindow : public testing::Test {
 protected:
  // One thread: passes this small would spend their time waiting for a busy machine's other cores.
  SlidingWindow() { set_thread_count(1); }
  ~SlidingWindow() override { set_thread_count(threads_); }

  const int threads_ = thread_count();
  const ModelConfig config_ = make_test_config();
  const std::vector<HostTensor> weights_ = make_random_weights(config_, 1);
  const std::vector<uint16_t> ids_ = make_random_ids(42, 2);
  const std::unique_ptr<Device> reference_ = make_device("reference");
};

TEST_F(SlidingWindow, EqualsASlowLoopOverTargets) {
  const EvalConfig eval = make_eval(12, 5, 36);
  Weights weights(*reference_, list_params(config_), false);
  weights.upload(weights_);
  const std::vector<float> losses = list_losses(config_, weights_, ids_, eval, *reference_);
  ASSERT_EQ(losses.size(), ids_.size() - 1);
  for (size_t t = 0; t < losses.size(); ++t) {
    EXPECT_EQ(losses[t], score_one_target(config_, weights, ids_, eval, static_cast<int64_t>(t),
                                          eval.context, 0))
        << "target " << t;
  }
}

TEST_F(SlidingWindow, PaddingNeverChangesALoss) {
  const EvalConfig eval = make_eval(12, 5, 12);
  Weights weights(*reference_, list_params(config_), false);
  weights.upload(weights_);
  for (int64_t t = 0; t + 1 < static_cast<int64_t>(ids_.size()); t += 3) {
    const float unpadded = score_one_target(config_, weights, ids_, eval, t, 0, 0);
    EXPECT_EQ(unpadded, score_one_target(config_, weights, ids_, eval, t, 12, 0));
    EXPECT_EQ(unpadded, score_one_target(config_, weights, ids_, eval, t, 12, 7));
    EXPECT_EQ(unpadded, score_one_target(config_, weights, ids_, eval, t, 16, 31));
  }
}

TEST_F(SlidingWindow, PastLossesIgnoreFutureTokens) {
  for (const char* device_name : {"reference", "cpu"}) {
    const std::unique_ptr<Device> device = make_device(device_name);
    const EvalConfig eval = make_eval(12, 5, 48);
    const std::vector<float> before = list_losses(config_, weights_, ids_, eval, *device);
    for (const size_t changed : {1ul, 6ul, 12ul, 13ul, 30ul, 41ul}) {
      std::vector<uint16_t> other = ids_;
      for (size_t i = changed; i < other.size(); ++i) {
        other[i] = static_cast<uint16_t>((other[i] + 1 + i % 5) % kTestVocab);
      }
      const std::vector<float> after = list_losses(config_, weights_, other, eval, *device);
      for (size_t t = 0; t + 1 < changed; ++t) {
        ASSERT_EQ(before[t], after[t]) << device_name << ", token " << changed << ", target " << t;
      }
      EXPECT_NE(before[changed - 1], after[changed - 1]);
    }
  }
}

TEST_F(SlidingWindow, LossesDependOnTheirWholeContext) {
  const EvalConfig eval = make_eval(12, 5, 48);
  const std::vector<float> before = list_losses(config_, weights_, ids_, eval, *reference_);
  std::vector<uint16_t> other = ids_;
  other[0] = static_cast<uint16_t>((other[0] + 1) % kTestVocab);
  const std::vector<float> after = list_losses(config_, weights_, other, eval, *reference_);
  for (size_t t = 0; t < before.size(); ++t) {
    EXPECT_EQ(before[t] != after[t], t < 12) << "target " << t;
  }
}

TEST_F(SlidingWindow, ALongerStreamLeavesEarlierLossesAlone) {
  const EvalConfig eval = make_eval(12, 5, 48);
  const std::vector<float> all = list_losses(config_, weights_, ids_, eval, *reference_);
  for (size_t count = 2; count < ids_.size(); count += 3) {
    const std::vector<float> cut =
        list_losses(config_, weights_, std::span(ids_).first(count), eval, *reference_);
    ASSERT_EQ(cut.size(), count - 1);
    EXPECT_TRUE(std::equal(cut.begin(), cut.end(), all.begin())) << count << " tokens";
  }
}

TEST_F(SlidingWindow, LossesDoNotDependOnBatchOrThreads) {
  for (const char* device_name : {"reference", "cpu"}) {
    const std::unique_ptr<Device> device = make_device(device_name);
    set_thread_count(1);
    const std::vector<float> expected =
        list_losses(config_, weights_, ids_, make_eval(12, 5, 1), *device);
    for (const int64_t batch_tokens : {12, 60, 1000}) {
      for (const int count : {1, 3}) {
        set_thread_count(count);
        const EvalConfig eval = make_eval(12, 5, batch_tokens);
        EXPECT_EQ(list_losses(config_, weights_, ids_, eval, *device), expected)
            << device_name << ", batch_tokens " << batch_tokens << ", threads " << count;
      }
    }
  }
}

TEST_F(SlidingWindow, ProbabilitiesOfAllTokensSumToOne) {
  // The last target is set to every token in turn; the scorer's losses must be those of one
  // distribution.
  const EvalConfig eval = make_eval(12, 5, 48);
  std::vector<uint16_t> ids = ids_;
  double sum = 0;
  for (int64_t id = 0; id < kTestVocab; ++id) {
    ids.back() = static_cast<uint16_t>(id);
    const float loss = list_losses(config_, weights_, ids, eval, *reference_).back();
    EXPECT_GE(loss, 0.0f);
    sum += std::exp(-static_cast<double>(loss));
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
}

TEST_F(SlidingWindow, RandomTokensCostLogVocab) {
  // No predictor does better than log2 V on uniform tokens but by chance.
  const std::vector<float> losses =
      list_losses(config_, weights_, make_random_ids(2001, 3), make_eval(32, 16, 512), *reference_);
  double sum = 0, squares = 0;
  for (const float loss : losses) {
    const double bits = static_cast<double>(loss) / std::log(2.0);
    sum += bits;
    squares += bits * bits;
  }
  const auto count = static_cast<double>(losses.size());
  const double mean = sum / count;
  const double sigma = std::sqrt((squares / count - mean * mean) / count);
  EXPECT_GE(mean, std::log2(static_cast<double>(kTestVocab)) - 3 * sigma);
}

TEST_F(SlidingWindow, AZeroModelCostsLogVocabPerToken) {
  const std::vector<float> losses =
      list_losses(config_, make_zero_weights(config_), ids_, make_eval(12, 5, 48), *reference_);
  for (const float loss : losses) {
    // The softmax of equal logits is rounded a few times in fp32.
    EXPECT_NEAR(loss, std::log(static_cast<double>(kTestVocab)), 4 * 1.2e-7 * loss);
  }
}

TEST_F(SlidingWindow, RefusesTokensOutsideTheVocabulary) {
  ModelConfig smaller = config_;
  smaller.vocab_size = kTestVocab - 4;
  std::vector<uint16_t> ids = ids_;
  ids[20] = kTestVocab - 4;
  EXPECT_THROW(
      list_losses(smaller, make_random_weights(smaller, 1), ids, make_eval(12, 5, 48), *reference_),
      Error);
}

}  // namespace
}  // namespace pg
