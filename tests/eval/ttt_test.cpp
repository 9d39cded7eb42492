// Test-time training: nothing is learnt before it is scored, each key does something, off is off,
// and the same text gives the same bits whatever the threads.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/learn/make_learner.h"
#include "eval/learn/sgd_trainer.h"
#include "eval/mix/make_mixer.h"
#include "eval/score.h"
#include "eval/score/ledger.h"
#include "eval/score/network_scorer.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/model/learning/adapters.h"
#include "src/model/model.h"
#include "tests/eval/mixer_fixture.h"
#include "tests/eval/ttt_fixture.h"
#include "tests/plan/allocation_counter.h"

namespace pg {
namespace {

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
      {TttKind::kSgd, "gradient_leaves", [](TttConfig& t) { t.gradient_leaves = 2; }},
      {TttKind::kPhased, "gradient_leaves", [](TttConfig& t) { t.gradient_leaves = 2; }},
      {TttKind::kPhasedLora, "gradient_leaves", [](TttConfig& t) { t.gradient_leaves = 2; }},
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

// What the parts of a step add up to is the gradient of its rows, another rounding aside: the losses of a
// model that was trained so for 150 tokens move by no more than what one step's fp32 rounding, 2^-24 of
// some thousand terms, moves them in as many steps.
TEST_F(TestTimeTraining, PartsOfAStepAddUpToIt) {
  for (const TttKind kind : {TttKind::kSgd, TttKind::kPhased}) {
    for (const bool byte_weighted : {false, true}) {
      TttConfig ttt = make_ttt(kind);
      ttt.chunk_tokens = 60;
      ttt.batch_tokens = 4 * kContext;
      ttt.byte_weighted = byte_weighted;
      const std::vector<float> whole = list_losses_with(ttt, ids_);
      for (const int64_t leaves : {2, 4}) {
        ttt.gradient_leaves = leaves;
        const std::vector<float> parts = list_losses_with(ttt, ids_);
        for (size_t t = 0; t < whole.size(); ++t) EXPECT_NEAR(parts[t], whole[t], 1e-4) << t;
      }
    }
  }
}

// Rank 0 of two, whose other has nothing to add.
class SilentShare final : public WindowShare {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 2; }
  void gather(std::span<float>, std::span<const int64_t>) override {}
  void sum(Device&, float*, int64_t) override { ++sums; }
  int64_t sums = 0;
};

// Half of the gradient is missing then, once a step; where ranks do not divide the parts, nothing is.
TEST_F(TestTimeTraining, ARankTakesItsPartsOfAStep) {
  TttConfig ttt = make_ttt(TttKind::kSgd);
  ttt.gradient_leaves = 2;
  const std::vector<float> alone = list_losses_with(ttt, ids_);
  SilentShare share;
  ttt.share = &share;
  EXPECT_NE(list_losses_with(ttt, ids_), alone);
  const int64_t chunks = (kTokens - 1) / kChunk,
                steps_of_chunk = 1;  // 24 targets in two rows of 16
  EXPECT_EQ(share.sums, chunks * ttt.epochs * steps_of_chunk);
  ttt.gradient_leaves = 1;
  ttt.share = nullptr;
  const std::vector<float> whole = list_losses_with(ttt, ids_);
  ttt.share = &share;
  EXPECT_EQ(list_losses_with(ttt, ids_), whole);
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
