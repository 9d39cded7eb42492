// Rows that hold several documents: each is as it is alone, to the bit in exact arithmetic, and the
// gradients are those of the loss.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/plan/plan.h"
#include "tests/model/finite_differences.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

constexpr int64_t kVocab = 61, kBos = 1;
constexpr auto kLengths = {5, 1, 70, 33, 2};  // one of more than two tiles of keys
constexpr int64_t kTokens = 111, kLongest = 70;

// What a position reads of its neighbours stops at a document: no BigramHash, no SmearGate.
ModelConfig make_config() {
  ModelConfig config = make_small_config();
  config.bigram_buckets = 0;
  config.smear_gate = false;
  config.token_smear = true;
  config.bos_id = kBos;
  return config;
}

struct Document {
  int64_t begin, length;
};

class PackedTest : public testing::Test {
 protected:
  PackedTest() : ids_(make_ids(kTokens + 1, kVocab, 5)) {
    for (int32_t& id : ids_) id = id == kBos ? kBos + 1 : id;
    int64_t begin = 0;
    for (const int64_t length : kLengths) {
      documents_.push_back({begin, length});
      ids_[static_cast<size_t>(begin)] = kBos;
      starts_.insert(starts_.end(), static_cast<size_t>(length), static_cast<int32_t>(begin));
      begin += length;
    }
  }

  struct Outcome {
    std::vector<float> losses, logits;
    // Of the rows [begin, begin + length).
    Outcome part(const Document& d) const {
      return {{losses.begin() + d.begin, losses.begin() + d.begin + d.length},
              {logits.begin() + d.begin * kVocab, logits.begin() + (d.begin + d.length) * kVocab}};
    }
    bool operator==(const Outcome&) const = default;
  };
  // Of tokens [d.begin, d.begin + d.length) in one row; `starts` of them where they are packed.
  Outcome run(const ModelConfig& config, const Document& d,
              const std::vector<int32_t>& starts = {}) {
    Weights weights(*device_, list_params(config), false);
    weights.initialise(1);
    perturb(weights, 0.1, 2);
    Plan plan(weights);
    const ForwardTensors f = record_forward(plan, config, 1, d.length,
                                            {.longest_sequence = starts.empty() ? 0 : kLongest});
    plan.keep(f.loss);
    plan.keep(f.logits);
    plan.finish();
    const auto n = static_cast<size_t>(d.length);
    const auto tokens = std::span(ids_).subspan(static_cast<size_t>(d.begin));
    plan.write_ids(f.ids, tokens.first(n));
    plan.write_ids(f.targets, tokens.subspan(1, n));
    if (f.starts) plan.write_ids(f.starts, starts);
    plan.run();
    Outcome o{std::vector<float>(n), std::vector<float>(n * kVocab)};
    plan.read(f.loss, 0, o.losses);
    plan.read(f.logits, 0, o.logits);
    return o;
  }

  const std::unique_ptr<Device> device_ = make_device("cpu:exact");
  std::vector<int32_t> ids_, starts_;
  std::vector<Document> documents_;
  const Document all_ = {0, kTokens};
};

TEST_F(PackedTest, EachDocumentHasTheBitsThatItHasAlone) {
  const ModelConfig config = make_config();
  const Outcome packed = run(config, all_, starts_);
  for (const Document& document : documents_) {
    EXPECT_TRUE(packed.part(document) == run(config, document)) << document.begin;
  }
  const Outcome one_sequence = run(config, all_);
  EXPECT_TRUE(packed.part(documents_.front()) == one_sequence.part(documents_.front()));
  for (size_t i = 1; i < documents_.size(); ++i) {
    EXPECT_FALSE(packed.part(documents_[i]) == one_sequence.part(documents_[i]));
  }
}

// A sequence that is a part of a document, without the gate that reads across.
TEST_F(PackedTest, ADocumentThatIsCutIsSeveral) {
  ModelConfig config = make_config();
  config.token_smear = false;
  const Document head = {0, 50}, tail = {50, kTokens - 50};
  std::vector<int32_t> starts(kTokens, 0);
  std::fill(starts.begin() + 50, starts.end(), 50);
  const Outcome packed = run(config, all_, starts);
  EXPECT_TRUE(packed.part(head) == run(config, head));
  EXPECT_TRUE(packed.part(tail) == run(config, tail));
}

TEST_F(PackedTest, ThreadsChangeNoBit) {
  const Outcome usual = run(make_config(), all_, starts_);
  const int threads = thread_count();
  for (const int other : {1, 3}) {
    set_thread_count(other);
    EXPECT_TRUE(usual == run(make_config(), all_, starts_)) << other;
  }
  set_thread_count(threads);
}

// SmearGate and BigramHash know no documents, as published.
TEST_F(PackedTest, GatesWithoutABosReadAcross) {
  ModelConfig config = make_config();
  config.token_smear = false;
  config.smear_gate = true;
  const Outcome packed = run(config, all_, starts_);
  EXPECT_FALSE(packed.part(documents_[1]) == run(config, documents_[1]));
}

TEST_F(PackedTest, GradientsAreThoseOfFiniteDifferences) {
  const std::unique_ptr<Device> device = make_device("reference:f64");
  const ModelConfig config = make_config();
  constexpr int64_t kRows = 14;  // two batch rows of 7
  Weights weights(*device, list_params(config), true);
  weights.initialise(1);
  perturb(weights, 0.1, 2);
  ModelPlan plan(config, weights, 2, kRows / 2, PlanMode::kTrain,
                 ForwardOptions{.longest_sequence = 4});
  plan.load(std::span(ids_).first(kRows), std::span(ids_).subspan(1, kRows));
  plan.load_starts(std::vector<int32_t>{0, 0, 0, 3, 3, 3, 3, 0, 1, 1, 1, 1, 5, 5});
  plan.run();
  weights.finish_gradients();
  const auto loss = [&] {
    plan.run();
    return plan.mean_loss();
  };
  expect_slopes(weights, read_gradients(weights), loss, /*longest_step=*/3e-2);
}

TEST_F(PackedTest, WorkIsCountedByTheLongestSequence) {
  const ModelConfig config = make_config();
  Weights weights(*device_, list_params(config), true);
  const auto flops = [&](int64_t tokens, int64_t longest) {
    return ModelPlan(config, weights, 1, tokens, PlanMode::kTrain,
                     ForwardOptions{.longest_sequence = longest})
        .flops();
  };
  EXPECT_DOUBLE_EQ(flops(64, 64), flops(64, 0));
  EXPECT_DOUBLE_EQ(flops(128, 32), 4 * flops(32, 0));
  EXPECT_LT(flops(128, 32), flops(128, 0));
}

}  // namespace
}  // namespace pg
