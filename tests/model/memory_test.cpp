// Memory tokens: what of the rows they change, that the tokens behind them begin a row as without
// them, and what they cost.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/plan/plan.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 9, kMemory = 4, kVocab = 61;

ModelConfig make_config(int64_t memory_tokens) {
  ModelConfig config = make_small_config();
  config.memory_tokens = memory_tokens;
  return config;
}

// Gives every tensor of `to` the values that `from` has of it.
void copy_known(Weights& from, Weights& to) {
  const std::vector<HostTensor> known = from.download();
  std::vector<HostTensor> tensors = to.download();
  for (HostTensor& tensor : tensors) {
    const auto found = std::ranges::find_if(
        known, [&](const HostTensor& t) { return t.spec.name == tensor.spec.name; });
    ASSERT_NE(found, known.end()) << tensor.spec.name;
    tensor.values = found->values;
  }
  to.upload(tensors);
}

void silence_attention(Weights& weights) {
  std::vector<HostTensor> tensors = weights.download();
  for (HostTensor& tensor : tensors) {
    if (tensor.spec.place.role == ParamRole::kAttentionScale) {
      std::ranges::fill(tensor.values, 0.0f);
    }
  }
  weights.upload(tensors);
}

class MemoryTest : public testing::Test {
 protected:
  MemoryTest() : weights_(*device_, list_params(config_), true) {
    weights_.initialise(1);
    perturb(weights_, 0.1, 2);
  }

  std::vector<float> log_probs(const std::vector<int32_t>& ids) {
    ModelPlan plan(config_, weights_, kBatch, kTokens, PlanMode::kLogProbs);
    plan.load(ids, {});
    plan.run();
    std::vector<float> all(ids.size() * kVocab);
    plan.read_log_probs(0, all);
    return all;
  }
  std::vector<float> logits(const ModelConfig& config, Weights& weights,
                            const std::vector<int32_t>& ids) {
    Plan plan(weights);
    const int64_t tokens = std::ssize(ids) / kBatch;
    const ForwardTensors f = record_forward(plan, config, kBatch, tokens, {});
    plan.keep(f.logits);
    plan.finish();
    plan.write_ids(f.ids, ids);
    plan.run();
    std::vector<float> all(ids.size() * static_cast<size_t>(config.vocab_size));
    plan.read(f.logits, 0, all);
    return all;
  }
  static std::vector<float> row(const std::vector<float>& all, int64_t position) {
    return {all.begin() + position * kVocab, all.begin() + (position + 1) * kVocab};
  }

  const std::unique_ptr<Device> device_ = make_device("cpu:exact");
  const ModelConfig config_ = make_config(kMemory);
  Weights weights_;
  const std::vector<int32_t> ids_ = make_ids(kBatch * kTokens, kVocab, 5);
};

TEST_F(MemoryTest, APositionSeesTheTokensBeforeItOfItsRowAlone) {
  const std::vector<float> before = log_probs(ids_);
  for (int64_t changed = 0; changed < kTokens; ++changed) {
    std::vector<int32_t> ids = ids_;
    int32_t& id = ids[static_cast<size_t>(changed)];
    id = (id + 1) % kVocab;
    const std::vector<float> after = log_probs(ids);
    for (int64_t position = 0; position < kBatch * kTokens; ++position) {
      const bool is_seen = position >= changed && position < kTokens;
      EXPECT_EQ(row(before, position) != row(after, position), is_seen)
          << position << " of " << changed;
    }
  }
}

// The first of a row too, which has no token to attend to but itself.
TEST_F(MemoryTest, EachPositionOfEachRowReadsEachMemory) {
  const std::vector<float> before = log_probs(ids_);
  for (int64_t memory = 0; memory < kMemory; ++memory) {
    std::vector<HostTensor> tensors = weights_.download();
    for (HostTensor& tensor : tensors) {
      if (tensor.spec.name != "memory") continue;
      for (int64_t d = 0; d < config_.dim; d += 3) {
        tensor.values[static_cast<size_t>(memory * config_.dim + d)] += 1.0f;
      }
    }
    weights_.upload(tensors);
    const std::vector<float> after = log_probs(ids_);
    for (int64_t position = 0; position < kBatch * kTokens; ++position) {
      EXPECT_NE(row(before, position), row(after, position)) << position << " of " << memory;
    }
  }
}

// What reads neighbours begins with the first token: where no block adds what it attended to, the
// tokens are bit for bit as without a memory.
TEST_F(MemoryTest, TokensBeginARowBehindIt) {
  const ModelConfig without = make_config(0);
  Weights plain(*device_, list_params(without), false);
  plain.initialise(1);
  copy_known(weights_, plain);
  const auto losses = [&](const ModelConfig& config, Weights& weights) {
    ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kScore);
    plan.load(ids_, make_ids(kBatch * kTokens, kVocab, 6));
    plan.run();
    std::vector<float> all(kBatch * kTokens);
    plan.read_token_losses(all);
    return all;
  };
  EXPECT_NE(losses(config_, weights_), losses(without, plain));
  for (Weights* weights : {&weights_, &plain}) silence_attention(*weights);
  EXPECT_EQ(losses(config_, weights_), losses(without, plain));
}

// A memory is what as many more ids at the start of each row would be, that no value embedding has.
TEST_F(MemoryTest, IsAsTokensOfItsOwnWouldBe) {
  ModelConfig with = config_;
  with.smear_gate = with.tied_head = false;
  with.bigram_buckets = 0;
  ModelConfig spelt = with;
  spelt.memory_tokens = 0;
  spelt.vocab_size += kMemory;
  Weights memory(*device_, list_params(with), false), tokens(*device_, list_params(spelt), false);
  memory.initialise(1);
  perturb(memory, 0.1, 2);
  std::vector<HostTensor> values = tokens.download();
  const std::vector<HostTensor> known = memory.download();
  const auto find = [&](const std::string& name) {
    return std::ranges::find_if(known, [&](const HostTensor& t) { return t.spec.name == name; });
  };
  for (HostTensor& tensor : values) {
    std::ranges::fill(tensor.values, 0.0f);
    std::ranges::copy(find(tensor.spec.name)->values, tensor.values.begin());  // ids below kVocab
    if (tensor.spec.name == "tok_emb") {
      std::ranges::copy(find("memory")->values, tensor.values.begin() + kVocab * with.dim);
    }
  }
  tokens.upload(values);

  std::vector<int32_t> ids;
  for (int64_t i = 0; i < kBatch * kTokens; ++i) {
    for (int32_t m = 0; m < kMemory && i % kTokens == 0; ++m) ids.push_back(kVocab + m);
    ids.push_back(ids_[static_cast<size_t>(i)]);
  }
  const std::vector<float> got = logits(with, memory, ids_), want = logits(spelt, tokens, ids);
  for (int64_t i = 0; i < kBatch * kTokens; ++i) {
    const int64_t position = i + (i / kTokens + 1) * kMemory;
    for (int64_t v = 0; v < kVocab; ++v) {
      EXPECT_NEAR(got[static_cast<size_t>(i * kVocab + v)],
                  want[static_cast<size_t>(position * (kVocab + kMemory) + v)], 2e-4)
          << i;
    }
  }
}

// With a loss and without, of all positions and of some.
TEST_F(MemoryTest, EveryPlanGivesTheSameLosses) {
  const std::vector<int32_t> targets = make_ids(kBatch * kTokens, kVocab, 6);
  ModelPlan score(config_, weights_, kBatch, kTokens, PlanMode::kScore);
  score.load(ids_, targets);
  score.run();
  std::vector<float> losses(kBatch * kTokens);
  score.read_token_losses(losses);
  for (const int64_t last : {int64_t{0}, kTokens, int64_t{2}}) {
    ModelPlan plan(config_, weights_, kBatch, kTokens, PlanMode::kLogProbs, last);
    plan.load(ids_, {});
    plan.run();
    const int64_t positions = last == 0 ? kTokens : last;
    std::vector<float> log_probs(static_cast<size_t>(kBatch * positions * kVocab));
    plan.read_log_probs(0, log_probs);
    for (int64_t b = 0; b < kBatch; ++b) {
      for (int64_t t = 0; t < positions; ++t) {
        const auto at = static_cast<size_t>((b + 1) * kTokens - positions + t);
        EXPECT_NEAR(-log_probs[static_cast<size_t>((b * positions + t) * kVocab + targets[at])],
                    losses[at], 1e-5)
            << last;
      }
    }
  }
}

TEST_F(MemoryTest, CostsItsRowsInEveryBlockAndNothingBehindTheLastAttention) {
  const auto flops = [&](int64_t memory, int64_t tokens) {
    const ModelConfig config = make_config(memory);
    Weights weights(*device_, list_params(config), true);
    return ModelPlan(config, weights, kBatch, tokens, PlanMode::kTrain).flops();
  };
  EXPECT_GT(flops(kMemory, kTokens), flops(0, kTokens));
  EXPECT_LT(flops(kMemory, kTokens), flops(0, kTokens + kMemory));
  EXPECT_EQ(count_params(config_), count_params(make_config(0)) + kMemory * config_.dim);
}

// A bag is a position as any.
TEST_F(MemoryTest, StandsBeforeBagsToo) {
  constexpr int64_t kBag = 3;
  const auto losses = [&](const ModelConfig& config) {
    Weights weights(*device_, list_params(config), true);
    weights.initialise(1);
    perturb(weights, 0.1, 2);
    ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain,
                   ForwardOptions{.targets = kBag, .bag = kBag});
    plan.load(make_ids(kBatch * kTokens * kBag, kVocab, 5),
              make_ids(kBatch * kTokens * kBag, kVocab, 6));
    plan.run();
    weights.finish_gradients();
    std::vector<float> gradient(static_cast<size_t>(kMemory * config.dim));
    for (int i = 0; i < weights.count(); ++i) {
      if (weights.spec(i).name == "memory") {
        device_->download(gradient.data(), weights.gradient(i), gradient.size() * sizeof(float));
        EXPECT_TRUE(std::ranges::all_of(gradient, [](float g) { return g != 0.0f; }));
      }
    }
    return plan.mean_loss();
  };
  EXPECT_NE(losses(config_), losses(make_config(0)));
}

}  // namespace
}  // namespace pg
