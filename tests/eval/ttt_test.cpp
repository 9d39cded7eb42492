// Test-time training: nothing is learnt before it is scored, each key does something, off is off,
// and the same text gives the same bits whatever the threads.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "eval/learn/make_learner.h"
#include "eval/learn/sgd_trainer.h"
#include "eval/mix/make_mixer.h"
#include "eval/score.h"
#include "eval/score/ledger.h"
#include "eval/score/network_scorer.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "src/model/learning/adapters.h"
#include "src/model/model.h"
#include "tests/eval/eval_fixture.h"
#include "tests/eval/mixer_fixture.h"
#include "tests/plan/allocation_counter.h"

namespace pg {
namespace {

constexpr int64_t kContext = 16, kChunk = 24, kTokens = 150;

class TestTimeTraining : public testing::Test {
 protected:
  TestTimeTraining() { set_thread_count(1); }
  ~TestTimeTraining() override { set_thread_count(threads_); }

  static TttConfig make_ttt(TttKind kind) {
    TttConfig ttt;
    ttt.kind = kind;
    ttt.chunk_tokens = kChunk;
    ttt.batch_tokens = 2 * kContext;
    ttt.epochs = 2;
    ttt.lr = 0.02;
    ttt.lora_chunk_tokens = 8;
    ttt.lora_rank = 3;
    ttt.lora_lr = 0.01;
    ttt.lora_targets = "q,v,out,head";
    ttt.lora_reset = LoraReset::kNone;
    static const ByteTable bytes = make_test_bytes();
    ttt.bytes = &bytes;
    return ttt;
  }
  std::unique_ptr<Learner> make(const TttConfig& ttt, int64_t tokens) const {
    return make_learner(ttt, config_, eval_, tokens);
  }
  std::vector<float> list_losses_with(const TttConfig& ttt, const std::vector<uint16_t>& ids,
                                      LedgerTier tier = LedgerTier::kMetered) {
    NetworkScorer scorer(model_, eval_, *device_, nullptr,
                         make(ttt, static_cast<int64_t>(ids.size())));
    return list_losses(scorer, ids, tier);
  }

  const int threads_ = thread_count();
  const ModelConfig config_ = make_test_config();
  const UnpackedModel model_ = make_artifact_model(config_, make_random_weights(config_, 1));
  const EvalConfig eval_ = {.context = kContext, .stride = 8, .batch_tokens = 64};
  const std::vector<uint16_t> ids_ = make_random_ids(kTokens, 2);
  const std::unique_ptr<Device> device_ = make_device("cpu:exact");
};

class EachKind : public TestTimeTraining, public testing::WithParamInterface<TttKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EachKind,
                         testing::Values(TttKind::kSgd, TttKind::kPhased, TttKind::kLora,
                                         TttKind::kPhasedLora),
                         [](const auto& info) { return std::string(choice_name(info.param)); });

TEST_F(TestTimeTraining, NoneGivesThePlainScore) {
  EXPECT_EQ(make(make_ttt(TttKind::kNone), kTokens), nullptr);
}

// At a rate of 0 the learner runs and changes nothing: the scores are those without it.
TEST_P(EachKind, AtRateZeroEveryLossIsThePlainOne) {
  TttConfig ttt = make_ttt(GetParam());
  ttt.lr = ttt.lora_lr = 0;
  EXPECT_EQ(list_losses_with(ttt, ids_), list_losses_with(make_ttt(TttKind::kNone), ids_));
}

// Law L6, and the score-first law L4: changing a token leaves every earlier loss bitwise as it was.
TEST_P(EachKind, LossesIgnoreLaterTokens) {
  const std::vector<float> before = list_losses_with(make_ttt(GetParam()), ids_);
  for (const size_t changed : {size_t{30}, size_t{77}}) {
    std::vector<uint16_t> ids = ids_;
    for (size_t t = changed; t < ids.size(); ++t) ids[t] = static_cast<uint16_t>(31 - ids[t]);
    const std::vector<float> after = list_losses_with(make_ttt(GetParam()), ids);
    for (size_t t = 0; t + 1 < changed; ++t) ASSERT_EQ(before[t], after[t]) << t;
    EXPECT_NE(before, after);
  }
}

TEST_P(EachKind, ADecoderGetsTheSameBits) {
  const TttConfig ttt = make_ttt(GetParam());
  EXPECT_EQ(list_losses_with(ttt, ids_, LedgerTier::kMetered),
            list_losses_with(ttt, ids_, LedgerTier::kDecoded));
}

// Every probability of every target: windows of both kinds, cut by chunks and not, with n-grams
// behind the network and without.
TEST_P(EachKind, ADecoderSeesEveryBitOfTheDistributions) {
  std::vector<uint16_t> ids = ids_;
  for (const size_t start : {0ul, 9ul, 40ul, 90ul}) ids[start] = kBosId;
  std::vector<MixConfig> mixes = every_mix_config();
  mixes.emplace_back();
  for (const Windows windows : {Windows::kStream, Windows::kDocument}) {
    for (const int64_t stride : {int64_t{8}, kContext}) {
      EvalConfig eval = eval_;
      eval.windows = windows;
      eval.stride = stride;
      for (const MixConfig& mix : mixes) {
        std::vector<std::vector<float>> metered;
        for (const int threads : {1, 2}) {
          set_thread_count(threads);
          for (const LedgerTier tier : {LedgerTier::kMetered, LedgerTier::kDecoded}) {
            NetworkScorer scorer(model_, eval, *device_,
                                 make_mixer(mix, config_.vocab_size, kTokens),
                                 make_learner(make_ttt(GetParam()), config_, eval, kTokens));
            const auto distributions = list_distributions(scorer, ids, tier);
            if (metered.empty()) metered = distributions;
            EXPECT_EQ(distributions, metered)
                << choice_name(windows) << ", stride " << stride << ", mix "
                << choice_name(mix.kind) << ", " << threads << " threads";
          }
        }
      }
    }
  }
}

TEST_P(EachKind, ThreadCountNeverChangesALoss) {
  const std::vector<float> one = list_losses_with(make_ttt(GetParam()), ids_);
  set_thread_count(4);
  EXPECT_EQ(list_losses_with(make_ttt(GetParam()), ids_), one);
}

TEST_P(EachKind, ARepeatedTextBecomesCheaper) {
  std::vector<uint16_t> ids;
  for (int i = 0; i < 12; ++i) {
    for (const uint16_t id : make_random_ids(20, 9)) ids.push_back(id < 4 ? 9 : id);
  }
  const std::vector<float> plain = list_losses_with(make_ttt(TttKind::kNone), ids);
  const std::vector<float> trained = list_losses_with(make_ttt(GetParam()), ids);
  const size_t half = ids.size() / 2;
  double gain = 0;
  for (size_t t = half; t < plain.size(); ++t) {
    gain += static_cast<double>(plain[t]) - static_cast<double>(trained[t]);
  }
  EXPECT_GT(gain / static_cast<double>(half), 0.1);  // nats per token
}

TEST_P(EachKind, StateChangesByLearningAndOnlyByIt) {
  NetworkScorer scorer(model_, eval_, *device_, nullptr, make(make_ttt(GetParam()), kTokens));
  const std::vector<int32_t> stream(ids_.begin(), ids_.end());
  uint64_t hash = scorer.state_hash();
  int64_t changes = 0, chunks = 0;
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t, const TokenDistribution&) {
    ASSERT_EQ(scorer.state_hash(), hash);
  };
  hooks.on_chunk = [&](const LedgerEvent&) {
    ++chunks;
    changes += scorer.state_hash() != hash;
    hash = scorer.state_hash();
  };
  Ledger(stream, make_test_bytes()).score(scorer, hooks);
  const bool is_phased = GetParam() == TttKind::kPhased;
  EXPECT_EQ(changes, is_phased ? 3 : chunks - 1);  // the last chunk teaches nothing
  EXPECT_GT(chunks, 4);
}

// Passes everything on and counts what learning allocates.
class AllocationProbe final : public Learner {
 public:
  AllocationProbe(std::unique_ptr<Learner> learner, std::vector<int64_t>& counts)
      : learner_(std::move(learner)), counts_(counts) {}
  int64_t chunk_targets() const override { return learner_->chunk_targets(); }
  std::vector<ParamSpec> choose_params(const ModelConfig& model) const override {
    return learner_->choose_params(model);
  }
  void start(Weights& weights) override { learner_->start(weights); }
  void learn(const ScoredChunk& scored, Weights& weights) override {
    counts_.push_back(0);
    const int64_t count = count_allocations([&] { learner_->learn(scored, weights); });
    counts_.back() = count;
  }
  uint64_t state_hash() const override { return learner_->state_hash(); }

 private:
  std::unique_ptr<Learner> learner_;
  std::vector<int64_t>& counts_;
};

TEST_P(EachKind, LearningAllocatesNothingOnceWarm) {
  std::vector<int64_t> counts;
  NetworkScorer scorer(
      model_, eval_, *device_, nullptr,
      std::make_unique<AllocationProbe>(make(make_ttt(GetParam()), kTokens), counts));
  list_losses(scorer, ids_, LedgerTier::kMetered);
  ASSERT_GT(counts.size(), 4u);
  // The first trainings meet new shapes: the device's scratch grows and products are planned.
  for (size_t i = 4; i < counts.size(); ++i) EXPECT_EQ(counts[i], 0) << "chunk " << i;
}

struct KeyChange {
  TttKind kind;
  const char* key;
  std::function<void(TttConfig&)> change;
};

TEST_F(TestTimeTraining, EveryKeyChangesTheScore) {
  const std::vector<KeyChange> changes = {
      {TttKind::kSgd, "clip_norm", [](TttConfig& t) { t.clip_norm = 0.1; }},
      {TttKind::kSgd, "chunk_tokens", [](TttConfig& t) { t.chunk_tokens = 40; }},
      {TttKind::kSgd, "epochs", [](TttConfig& t) { t.epochs = 1; }},
      {TttKind::kSgd, "lr", [](TttConfig& t) { t.lr = 0.01; }},
      {TttKind::kSgd, "momentum", [](TttConfig& t) { t.momentum = 0.5; }},
      {TttKind::kSgd, "batch_tokens", [](TttConfig& t) { t.batch_tokens = kContext; }},
      {TttKind::kSgd, "frozen_blocks", [](TttConfig& t) { t.frozen_blocks = 1; }},
      {TttKind::kPhased, "phases", [](TttConfig& t) { t.phases = 2; }},
      {TttKind::kLora, "clip_norm", [](TttConfig& t) { t.clip_norm = 1e-9; }},
      {TttKind::kLora, "lora_rank", [](TttConfig& t) { t.lora_rank = 2; }},
      {TttKind::kLora, "lora_alpha", [](TttConfig& t) { t.lora_alpha = 4; }},
      {TttKind::kLora, "lora_targets", [](TttConfig& t) { t.lora_targets = "q,v,out"; }},
      {TttKind::kLora, "lora_chunk_tokens", [](TttConfig& t) { t.lora_chunk_tokens = 16; }},
      {TttKind::kLora, "lora_lr", [](TttConfig& t) { t.lora_lr = 0.02; }},
      {TttKind::kLora, "lora_beta2", [](TttConfig& t) { t.lora_beta2 = 0.9; }},
      {TttKind::kLora, "lora_weight_decay", [](TttConfig& t) { t.lora_weight_decay = 1; }},
      {TttKind::kSgd, "optimizer", [](TttConfig& t) { t.optimizer = TttOptimizer::kAdamw; }},
      {TttKind::kPhased, "optimizer", [](TttConfig& t) { t.optimizer = TttOptimizer::kAdamw; }},
      {TttKind::kSgd, "polyak_decay", [](TttConfig& t) { t.polyak_decay = 0.5; }},
      {TttKind::kPhased, "polyak_decay", [](TttConfig& t) { t.polyak_decay = 0.5; }},
      {TttKind::kLora, "lora_epochs", [](TttConfig& t) { t.lora_epochs = 2; }},
      {TttKind::kSgd, "byte_weighted", [](TttConfig& t) { t.byte_weighted = true; }},
      {TttKind::kPhased, "byte_weighted", [](TttConfig& t) { t.byte_weighted = true; }},
      {TttKind::kLora, "byte_weighted", [](TttConfig& t) { t.byte_weighted = true; }},
      {TttKind::kPhasedLora, "byte_weighted", [](TttConfig& t) { t.byte_weighted = true; }},
      {TttKind::kPhasedLora, "phases", [](TttConfig& t) { t.phases = 1; }},
      {TttKind::kPhasedLora, "lr", [](TttConfig& t) { t.lr = 0.01; }},
      {TttKind::kPhasedLora, "chunk_tokens", [](TttConfig& t) { t.chunk_tokens = 40; }},
      {TttKind::kPhasedLora, "frozen_blocks", [](TttConfig& t) { t.frozen_blocks = 1; }},
      {TttKind::kPhasedLora, "polyak_decay", [](TttConfig& t) { t.polyak_decay = 0.5; }},
      {TttKind::kPhasedLora, "lora_lr", [](TttConfig& t) { t.lora_lr = 0.02; }},
      {TttKind::kPhasedLora, "lora_rank", [](TttConfig& t) { t.lora_rank = 2; }},
      {TttKind::kSgd, "scales_fraction", [](TttConfig& t) { t.scales_fraction = 0.5; }},
      {TttKind::kPhased, "scales_fraction", [](TttConfig& t) { t.scales_fraction = 0.5; }},
      {TttKind::kPhasedLora, "scales_fraction", [](TttConfig& t) { t.scales_fraction = 0.5; }},
      {TttKind::kSgd, "cosine", [](TttConfig& t) { t.cosine = false; }},
      {TttKind::kPhased, "cosine", [](TttConfig& t) { t.cosine = false; }},
      {TttKind::kSgd, "adaptive_lr_max", [](TttConfig& t) { t.adaptive_lr_max = 3; }},
      {TttKind::kLora, "lora_reset", [](TttConfig& t) { t.lora_reset = LoraReset::kWarm; }},
  };
  for (const KeyChange& change : changes) {
    TttConfig ttt = make_ttt(change.kind);
    const std::vector<float> before = list_losses_with(ttt, ids_);
    change.change(ttt);
    EXPECT_NE(list_losses_with(ttt, ids_), before) << choice_name(change.kind) << " " << change.key;
  }
}

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

// With a stream of two documents: after a full reset the second is scored as if it came first.
TEST_F(TestTimeTraining, AFullResetRestoresTheStartBitwise) {
  std::vector<uint16_t> first = make_random_ids(41, 3), other = make_random_ids(41, 4);
  for (auto* ids : {&first, &other}) {
    for (uint16_t& id : *ids) id = id == kBosId ? uint16_t{5} : id;
  }
  // Chunks end at targets 16, 24, ...; a BOS as target 40, a chunk's last, starts the adapters
  // anew.
  std::vector<uint16_t> tail = make_random_ids(60, 5);
  for (uint16_t& id : tail) id = id == kBosId ? uint16_t{6} : id;
  tail[0] = kBosId;
  first.resize(40);
  other.resize(40);
  // The same context before the tail, so that only the adapters could tell the two apart.
  std::copy(first.end() - kContext, first.end(), other.end() - kContext);
  first.insert(first.end(), tail.begin(), tail.end());
  other.insert(other.end(), tail.begin(), tail.end());
  for (const LoraReset reset : {LoraReset::kNone, LoraReset::kWarm, LoraReset::kFull}) {
    TttConfig ttt = make_ttt(TttKind::kLora);
    ttt.lora_reset = reset;
    const std::vector<float> a = list_losses_with(ttt, first), b = list_losses_with(ttt, other);
    const std::vector<float> tail_a(a.begin() + 40, a.end()), tail_b(b.begin() + 40, b.end());
    EXPECT_EQ(tail_a == tail_b, reset == LoraReset::kFull) << choice_name(reset);
  }
}

TEST_F(TestTimeTraining, FrozenWeightsStayBitwise) {
  for (const TttKind kind : {TttKind::kSgd, TttKind::kLora}) {
    TttConfig ttt = make_ttt(kind);
    ttt.frozen_blocks = 1;
    const std::unique_ptr<Learner> learner = make(ttt, kTokens);
    std::vector<ParamSpec> params = learner->choose_params(config_);
    // What the learner would do with a scored chunk, on weights that can be looked at.
    class Probe final : public Scorer {
     public:
      Probe(Learner& learner, Weights& weights) : learner_(learner), weights_(weights) {}
      std::vector<Chunk> plan_order(int64_t tokens) const override {
        return {{.first = 1, .count = 30}, {.first = 31, .count = tokens - 31}};
      }
      void open_chunk(const Chunk&, std::span<const int32_t>) override {}
      void predict(int64_t, TokenDistribution& d) override {
        d.network = {.logits = logits_, .log_normaliser = std::log(32.0f), .entropy_nats = 0};
        d.mixed = {};
      }
      void perceive(int64_t, int32_t) override {}
      void close_chunk(const ScoredChunk& scored) override { learner_.learn(scored, weights_); }
      uint64_t state_hash() const override { return 0; }

     private:
      Learner& learner_;
      Weights& weights_;
      std::vector<float> logits_ = std::vector<float>(32);
    };
    Weights weights(*device_, params, true);
    weights.upload(model_.tensors());
    learner->start(weights);
    const std::vector<HostTensor> before = weights.download();
    Probe probe(*learner, weights);
    const std::vector<int32_t> stream(ids_.begin(), ids_.end());
    Ledger(stream, make_test_bytes()).score(probe);
    const std::vector<HostTensor> after = weights.download();
    int trained = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      const bool may_change = kind == TttKind::kLora
                                  ? before[i].spec.group == ParamGroup::kAdapter
                                  : !before[i].spec.name.starts_with("blocks.0.");
      if (!may_change) {
        EXPECT_EQ(before[i].values, after[i].values)
            << choice_name(kind) << " " << before[i].spec.name;
      }
      trained += before[i].values != after[i].values;
    }
    EXPECT_GT(trained, 4) << choice_name(kind);
  }
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
    const auto weight = static_cast<double>(bytes.token_bytes(stream[at - 1], stream[at]));
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

// One step of SGD from its definition: p - lr (mu 0 + clipped g).
TEST_F(TestTimeTraining, AnSgdStepIsWhatItsFormulaSays) {
  TttConfig ttt = make_ttt(TttKind::kSgd);
  ttt.clip_norm = 0.5;
  Weights weights(*device_, list_params(config_), true);
  weights.upload(model_.tensors());
  const std::vector<HostTensor> before = weights.download();
  const std::vector<int32_t> stream(ids_.begin(), ids_.end());

  // Two rows of 16 and 9 targets; their mean over 25 targets from two plans of one row each.
  const auto gradient_of = [&](int64_t first, int64_t count) {
    ModelPlan plan(config_, weights, 1, count, PlanMode::kTrain);
    plan.load(std::span(stream).subspan(static_cast<size_t>(first - 1), static_cast<size_t>(count)),
              std::span(stream).subspan(static_cast<size_t>(first), static_cast<size_t>(count)));
    plan.run();
    weights.finish_gradients();
    return std::vector<float>(weights.gradients(),
                              weights.gradients() + weights.gradient_elements());
  };
  const std::vector<float> g16 = gradient_of(10, 16), g9 = gradient_of(26, 9);
  std::vector<double> gradient(g16.size());
  double squares = 0;
  for (size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = (16 * static_cast<double>(g16[i]) + 9 * static_cast<double>(g9[i])) / 25;
    squares += gradient[i] * gradient[i];
  }
  ASSERT_GT(std::sqrt(squares), 0.5);  // so that the clip acts
  SgdTrainer trainer(config_, ttt, kContext, weights);
  trainer.train_pass(stream, 10, 35, 0.1);
  const std::vector<HostTensor> after = weights.download();
  for (int i = 0; i < weights.count(); ++i) {
    const auto& old_values = before[static_cast<size_t>(i)].values;
    const auto offset = static_cast<size_t>(weights.gradient(i) - weights.gradients());
    for (size_t k = 0; k < old_values.size(); ++k) {
      const double want = static_cast<double>(old_values[k]) -
                          0.1 * 0.5 / std::sqrt(squares) * gradient[offset + k];
      // Gradients clipped to 0.5 times 0.1: their f32 errors stay below 1e-5 of that.
      ASSERT_NEAR(after[static_cast<size_t>(i)].values[k], want, 1e-6) << weights.spec(i).name;
    }
  }
}

TEST_F(TestTimeTraining, WindowsByDocumentTrainWithinDocuments) {
  EvalConfig by_document = eval_;
  by_document.windows = Windows::kDocument;
  const auto losses_with = [&](const EvalConfig& eval) {
    NetworkScorer scorer(
        model_, eval, *device_, nullptr,
        make_learner(make_ttt(TttKind::kLora), config_, eval, static_cast<int64_t>(ids_.size())));
    return list_losses(scorer, ids_, LedgerTier::kMetered);
  };
  EXPECT_NE(losses_with(by_document), losses_with(eval_));
  // Tokens before a document's BOS are no context of it: with the adapters reset whole, what comes
  // first changes nothing.
  TttConfig ttt = make_ttt(TttKind::kLora);
  ttt.lora_reset = LoraReset::kFull;
  std::vector<uint16_t> text;
  for (const uint16_t id : make_random_ids(100, 5)) text.push_back(id == kBosId ? 6 : id);
  text[0] = text[40] = kBosId;
  std::vector<uint16_t> other = text;
  for (size_t t = 1; t < 40; ++t) other[t] = static_cast<uint16_t>(31 - other[t] % 28);
  std::vector<std::vector<float>> tails;
  for (const auto& ids : {text, other}) {
    NetworkScorer scorer(model_, by_document, *device_, nullptr,
                         make_learner(ttt, config_, by_document, 100));
    const std::vector<float> losses = list_losses(scorer, ids, LedgerTier::kMetered);
    tails.emplace_back(losses.begin() + 40, losses.end());
  }
  EXPECT_EQ(tails[0], tails[1]);
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

TEST_F(TestTimeTraining, EvaluateLearnsAsTheRecipeSays) {
  ManualClock clock;
  const auto bits_with = [&](const TttConfig& ttt) {
    return evaluate(model_, make_test_bytes(), make_stream(ids_), {eval_, ttt}, *device_, clock)
        .bits();
  };
  EXPECT_NE(bits_with(make_ttt(TttKind::kSgd)), bits_with(make_ttt(TttKind::kNone)));
  EXPECT_NE(bits_with(make_ttt(TttKind::kLora)), bits_with(make_ttt(TttKind::kNone)));
}

TEST_F(TestTimeTraining, EvaluateMixesAsTheRecipeSays) {
  ManualClock clock;
  const auto bits_with = [&](MixKind kind) {
    MixConfig mix;
    mix.kind = kind;
    return evaluate(model_, make_test_bytes(), make_stream(ids_), {eval_, {}, mix}, *device_, clock)
        .bits();
  };
  const double plain = bits_with(MixKind::kNone);
  EXPECT_NE(bits_with(MixKind::kLinear), plain);
  EXPECT_NE(bits_with(MixKind::kLogit), plain);
  EXPECT_NE(bits_with(MixKind::kPpm), plain);
}

TEST_F(TestTimeTraining, TheCosineFallsFromOneToZero) {
  EXPECT_DOUBLE_EQ(cosine_multiplier(0, 5), 1.0);
  EXPECT_NEAR(cosine_multiplier(2, 5), 0.5, 1e-12);
  EXPECT_NEAR(cosine_multiplier(4, 5), 0.0, 1e-12);
  EXPECT_DOUBLE_EQ(cosine_multiplier(0, 1), 1.0);
}

TEST_F(TestTimeTraining, TheAdaptiveRateGrowsOverThirtyPercentOfTheChunks) {
  EXPECT_DOUBLE_EQ(adaptive_multiplier(0, 100, 3), 1.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(15, 100, 3), 2.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(30, 100, 3), 3.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(99, 100, 3), 3.0);
  EXPECT_DOUBLE_EQ(adaptive_multiplier(1, 2, 3), 3.0);
  EXPECT_EQ(adaptive_multiplier(7, 100, 1), 1.0);
}

TEST_F(TestTimeTraining, ImpossibleKeysAreRefused) {
  TttConfig ttt = make_ttt(TttKind::kLora);
  ttt.lora_chunk_tokens = kContext + 1;
  EXPECT_THROW(make(ttt, kTokens), Error);
  ttt = make_ttt(TttKind::kLora);
  ttt.lora_targets = "q,w";
  EXPECT_THROW(make(ttt, kTokens), Error);
  ttt.lora_targets = "";
  EXPECT_THROW(make(ttt, kTokens), Error);
}

}  // namespace
}  // namespace pg
