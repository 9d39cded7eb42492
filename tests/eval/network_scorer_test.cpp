// The laws of scoring, token by token: causality, independence of padding, batch and threads, and
// true probabilities.
#include "eval/score/network_scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "eval/score/ledger.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "src/model/forward.h"
#include "src/model/model.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

EvalConfig make_eval(int64_t context, int64_t stride, int64_t batch_tokens) {
  return {.context = context, .stride = stride, .batch_tokens = batch_tokens};
}

// The loss of one target, from its definition and in f64: the first window of the stride grid that
// reaches it, alone in a plan. A row of `row_tokens` holds the tokens up to the target; what
// follows is `padding`.
double score_one_target(const ModelConfig& config, Weights& weights,
                        const std::vector<uint16_t>& ids, const EvalConfig& eval, int64_t target,
                        int64_t row_tokens, int32_t padding) {
  int64_t begin = 0;
  while (begin + eval.context <= target) begin += eval.stride;
  const int64_t position = target - begin;
  if (row_tokens == 0) row_tokens = position + 1;
  std::vector<int32_t> inputs(static_cast<size_t>(row_tokens), padding);
  for (int64_t i = 0; i <= position; ++i) {
    inputs[static_cast<size_t>(i)] = ids[static_cast<size_t>(begin + i)];
  }
  Plan plan(weights);
  const ForwardTensors forward = record_forward(plan, config, 1, row_tokens, {.with_loss = false});
  plan.keep(forward.logits);
  plan.finish();
  plan.write_ids(forward.ids, inputs);
  plan.run();
  std::vector<float> logits(static_cast<size_t>(config.vocab_size));
  plan.read(forward.logits, position * config.vocab_size, logits);
  const auto softcap = [cap = config.logit_softcap](float z) {
    return cap * std::tanh(static_cast<double>(z) / cap);
  };
  double mass = 0;
  for (const float logit : logits) mass += std::exp(softcap(logit));
  const uint16_t id = ids[static_cast<size_t>(target + 1)];
  return std::log(mass) - softcap(logits[id]);
}

// A log probability, above -16 here, is rounded to f32: by half of 2^-20, and in f64 by far less.
constexpr double kLossTolerance = 0x1p-21 + 1e-12;

class NetworkScores : public testing::Test {
 protected:
  // One thread: passes this small would spend their time waiting for a busy machine's other cores.
  NetworkScores() { set_thread_count(1); }
  ~NetworkScores() override { set_thread_count(threads_); }

  const int threads_ = thread_count();
  const ModelConfig config_ = make_test_config();
  const std::vector<HostTensor> weights_ = make_random_weights(config_, 1);
  const std::vector<uint16_t> ids_ = make_random_ids(42, 2);
  const std::unique_ptr<Device> reference_ = make_device("reference");
};

TEST_F(NetworkScores, EqualsASlowLoopOverTargets) {
  const EvalConfig eval = make_eval(12, 5, 36);
  Weights weights(*reference_, list_params(config_), false);
  weights.upload(weights_);
  const std::vector<float> losses = list_losses(config_, weights_, ids_, eval, *reference_);
  ASSERT_EQ(losses.size(), ids_.size() - 1);
  for (size_t t = 0; t < losses.size(); ++t) {
    EXPECT_NEAR(
        losses[t],
        score_one_target(config_, weights, ids_, eval, static_cast<int64_t>(t), eval.context, 0),
        kLossTolerance)
        << "target " << t;
  }
}

TEST_F(NetworkScores, PaddingNeverChangesALoss) {
  const EvalConfig eval = make_eval(12, 5, 12);
  Weights weights(*reference_, list_params(config_), false);
  weights.upload(weights_);
  for (int64_t t = 0; t + 1 < static_cast<int64_t>(ids_.size()); t += 3) {
    const double unpadded = score_one_target(config_, weights, ids_, eval, t, 0, 0);
    EXPECT_EQ(unpadded, score_one_target(config_, weights, ids_, eval, t, 12, 0));
    EXPECT_EQ(unpadded, score_one_target(config_, weights, ids_, eval, t, 12, 7));
    EXPECT_EQ(unpadded, score_one_target(config_, weights, ids_, eval, t, 16, 31));
  }
}

TEST_F(NetworkScores, PastLossesIgnoreFutureTokens) {
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

TEST_F(NetworkScores, LossesDependOnTheirWholeContext) {
  const EvalConfig eval = make_eval(12, 5, 48);
  const std::vector<float> before = list_losses(config_, weights_, ids_, eval, *reference_);
  std::vector<uint16_t> other = ids_;
  other[0] = static_cast<uint16_t>((other[0] + 1) % kTestVocab);
  const std::vector<float> after = list_losses(config_, weights_, other, eval, *reference_);
  for (size_t t = 0; t < before.size(); ++t) {
    EXPECT_EQ(before[t] != after[t], t < 12) << "target " << t;
  }
}

TEST_F(NetworkScores, ALongerStreamLeavesEarlierLossesAlone) {
  const EvalConfig eval = make_eval(12, 5, 48);
  const std::vector<float> all = list_losses(config_, weights_, ids_, eval, *reference_);
  for (size_t count = 2; count < ids_.size(); count += 3) {
    const std::vector<float> cut =
        list_losses(config_, weights_, std::span(ids_).first(count), eval, *reference_);
    ASSERT_EQ(cut.size(), count - 1);
    EXPECT_TRUE(std::equal(cut.begin(), cut.end(), all.begin())) << count << " tokens";
  }
}

TEST_F(NetworkScores, LossesDoNotDependOnBatchOrThreads) {
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

TEST_F(NetworkScores, ProbabilitiesOfAllTokensSumToOne) {
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

// Where batches are cut and only some of their rows are read, too.
TEST_F(NetworkScores, AnEntropyIsThatOfItsDistribution) {
  const std::vector<int32_t> stream(ids_.begin(), ids_.end());
  LedgerHooks hooks;
  std::vector<float> entropies;
  hooks.on_distribution = [&](int64_t target, const TokenDistribution& distribution) {
    double entropy = 0;
    for (int32_t id = 0; id < kTestVocab; ++id) {
      const auto log_p = static_cast<double>(distribution.network.log_prob(id));
      entropy -= std::exp(log_p) * log_p;
    }
    entropies.push_back(distribution.network.entropy_nats);
    // An error of the logarithms counts (1 + |log p|) p: at most 1 + log V in the sum.
    const double tolerance = kLossTolerance * (2 + std::log(static_cast<double>(kTestVocab)));
    EXPECT_NEAR(distribution.network.entropy_nats, entropy, tolerance) << "target " << target;
  };
  NetworkScorer scorer =
      NetworkScorer::for_diagnosis(config_, weights_, make_eval(12, 5, 36), *reference_);
  const ByteTable bytes = make_test_bytes();
  const Ledger ledger(stream, bytes);
  ledger.score(scorer, hooks);
  ledger.score_as_decoder(scorer, hooks);
  ASSERT_EQ(entropies.size(), 2 * (ids_.size() - 1));
  EXPECT_TRUE(std::equal(entropies.begin(), entropies.begin() + 41, entropies.begin() + 41));
}

// q = p^(1/T) / sum p^(1/T), for a decoder too.
TEST_F(NetworkScores, ATemperatureSharpensOrFlattens) {
  const std::vector<int32_t> stream(ids_.begin(), ids_.end());
  const ByteTable bytes = make_test_bytes();
  const std::unique_ptr<Device> device = make_device("cpu:exact");
  const auto list_all = [&](double temperature) {
    EvalConfig eval = make_eval(12, 5, 36);
    eval.temperature = temperature;
    NetworkScorer scorer = NetworkScorer::for_diagnosis(config_, weights_, eval, *device);
    std::vector<std::vector<double>> rows;  // [targets][vocab], and the entropy behind
    LedgerHooks hooks;
    hooks.on_distribution = [&](int64_t, const TokenDistribution& distribution) {
      auto& row = rows.emplace_back();
      for (int32_t id = 0; id < kTestVocab; ++id) row.push_back(distribution.log_prob(id));
      row.push_back(distribution.network.entropy_nats);
    };
    const Ledger ledger(stream, bytes);
    ledger.score(scorer, hooks);
    ledger.score_as_decoder(scorer, hooks);
    return rows;
  };
  const auto plain = list_all(1.0);
  const size_t vocab = kTestVocab;
  for (const double temperature : {0.5, 0.98, 3.0}) {
    const auto tempered = list_all(temperature);
    ASSERT_EQ(tempered.size(), plain.size());
    for (size_t t = 0; t < plain.size(); ++t) {
      double sum = 0, entropy = 0;
      for (size_t v = 0; v < vocab; ++v) sum += std::exp(plain[t][v] / temperature);
      for (size_t v = 0; v < vocab; ++v) {
        const double want = plain[t][v] / temperature - std::log(sum);
        entropy -= std::exp(want) * want;
        ASSERT_NEAR(tempered[t][v], want, std::abs(want) * 0x1p-24 + 1e-12);  // one rounding
      }
      ASSERT_NEAR(tempered[t][vocab], entropy, entropy * 0x1p-23 + 1e-12);
    }
  }
}

TEST_F(NetworkScores, RandomTokensCostLogVocab) {
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

TEST_F(NetworkScores, AZeroModelCostsLogVocabPerToken) {
  const std::vector<float> losses =
      list_losses(config_, make_zero_weights(config_), ids_, make_eval(12, 5, 48), *reference_);
  for (const float loss : losses) {
    // The softmax of equal logits is rounded a few times in fp32.
    EXPECT_NEAR(loss, std::log(static_cast<double>(kTestVocab)), 4 * 1.2e-7 * loss);
  }
}

EvalConfig make_document_eval(int64_t context, int64_t stride, int64_t batch_tokens) {
  EvalConfig eval = make_eval(context, stride, batch_tokens);
  eval.windows = Windows::kDocument;
  return eval;
}

// No BOS but at the given positions.
std::vector<uint16_t> make_documents(int64_t count, const std::vector<size_t>& starts) {
  std::vector<uint16_t> ids = make_random_ids(count, 8);
  for (uint16_t& id : ids) {
    if (id == kBosId) id = 5;
  }
  for (const size_t start : starts) ids[start] = kBosId;
  return ids;
}

// An empty document, one of a single token, one longer than the context.
const std::vector<size_t> kStarts = {0, 7, 8, 10, 45};

TEST_F(NetworkScores, ADecoderSeesTheSameDistributions) {
  const std::vector<uint16_t> ids = make_documents(50, kStarts);
  for (const char* device_name : {"reference", "cpu:exact", "cpu:bf16"}) {
    const std::unique_ptr<Device> device = make_device(device_name);
    for (const EvalConfig& eval : {make_eval(12, 5, 36), make_eval(12, 12, 36),
                                   make_document_eval(12, 5, 36), make_document_eval(12, 5, 12)}) {
      NetworkScorer scorer = NetworkScorer::for_diagnosis(config_, weights_, eval, *device);
      EXPECT_EQ(list_losses(scorer, ids, LedgerTier::kDecoded),
                list_losses(scorer, ids, LedgerTier::kMetered))
          << device_name << ", " << choice_name(eval.windows) << ", batch_tokens "
          << eval.batch_tokens;
    }
  }
}

// Row by row where rows are independent, by whole windows elsewhere: every probability of every
// target, whatever the model is made of.
TEST_F(NetworkScores, ADecoderSeesEveryBitOfThem) {
  const std::vector<uint16_t> ids = make_documents(50, kStarts);
  const std::vector<std::function<void(ModelConfig&)>> changes = {
      [](ModelConfig&) {},
      [](ModelConfig& c) { c.smear_gate = false; },
      [](ModelConfig& c) { c.bigram_buckets = 0; },
      [](ModelConfig& c) { c.value_embed_layers = 0; },
      [](ModelConfig& c) { c.xsa_last_n = 0; },
      [](ModelConfig& c) { c.unet_skips = false; },
      [](ModelConfig& c) { c.resid_mix = false; },
      [](ModelConfig& c) { c.rope_dims = 16; },
      [](ModelConfig& c) { c.rope_ntk_length = 8; }};
  const std::unique_ptr<Device> device = make_device("cpu:exact");
  for (size_t i = 0; i < changes.size(); ++i) {
    ModelConfig config = config_;
    changes[i](config);
    const std::vector<HostTensor> weights = make_random_weights(config, 1);
    for (const EvalConfig& eval :
         {make_eval(12, 5, 36), make_eval(12, 12, 36), make_eval(12, 1, 60),
          make_document_eval(12, 5, 36), make_document_eval(12, 12, 24)}) {
      for (const int threads : {1, 2}) {
        set_thread_count(threads);
        NetworkScorer scorer = NetworkScorer::for_diagnosis(config, weights, eval, *device);
        EXPECT_EQ(list_distributions(scorer, ids, LedgerTier::kDecoded),
                  list_distributions(scorer, ids, LedgerTier::kMetered))
            << "model " << i << ", " << choice_name(eval.windows) << ", stride " << eval.stride
            << ", " << threads << " threads";
      }
    }
  }
}

// The price of decoding: a window that begins runs its rows, a token more runs one.
TEST_F(NetworkScores, ADecoderRunsNoWindowTwiceWhereRowsAreIndependent) {
  std::vector<uint16_t>
      ids;  // no two windows begin alike, or the second would use rows of the first
  for (uint16_t i = 0; i < 42; ++i) ids.push_back(static_cast<uint16_t>(4 + i % 28));
  for (const char* device_name : {"reference", "cpu:exact", "cpu:bf16"}) {
    const std::unique_ptr<Device> device = make_device(device_name);
    NetworkScorer scorer =
        NetworkScorer::for_diagnosis(config_, weights_, make_eval(12, 5, 36), *device);
    list_losses(scorer, ids, LedgerTier::kDecoded);
    // Of 41 targets the first window scores 12, each other 5.
    if (device->rows_are_independent()) {
      EXPECT_EQ(scorer.windows_run(), 7) << device_name;
    } else {
      EXPECT_GE(scorer.windows_run(), 41) << device_name;
    }
  }
}

// What was decoded before, and other tokens at the same places, leave no trace.
TEST_F(NetworkScores, ADecoderKeepsNoRowsOfAnotherText) {
  const EvalConfig eval = make_eval(12, 5, 36);
  std::vector<uint16_t> other = ids_;
  for (const size_t changed : {0ul, 15ul, 30ul}) {
    other[changed] = static_cast<uint16_t>((other[changed] + 1) % kTestVocab);
  }
  const std::unique_ptr<Device> device = make_device("cpu:exact");
  NetworkScorer scorer = NetworkScorer::for_diagnosis(config_, weights_, eval, *device);
  for (const std::vector<uint16_t>& ids : {ids_, other, ids_}) {
    NetworkScorer fresh = NetworkScorer::for_diagnosis(config_, weights_, eval, *device);
    EXPECT_EQ(list_distributions(scorer, ids, LedgerTier::kDecoded),
              list_distributions(fresh, ids, LedgerTier::kMetered));
  }
}

TEST_F(NetworkScores, ADocumentCostsWhatItCostsAlone) {
  const std::vector<uint16_t> ids = make_documents(50, kStarts);
  for (const int64_t batch_tokens : {12, 36, 1000}) {
    const EvalConfig eval = make_document_eval(12, 5, batch_tokens);
    const std::vector<float> together = list_losses(config_, weights_, ids, eval, *reference_);
    ASSERT_EQ(together.size(), ids.size() - 1);
    for (size_t d = 0; d < kStarts.size(); ++d) {
      const size_t begin = kStarts[d];
      // The next document's BOS is the last target.
      const size_t end = d + 1 < kStarts.size() ? kStarts[d + 1] + 1 : ids.size();
      const std::vector<float> alone =
          list_losses(config_, weights_, std::span(ids).subspan(begin, end - begin),
                      make_eval(12, 5, 12), *reference_);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                             together.begin() + static_cast<std::ptrdiff_t>(begin)))
          << "document " << d << ", batch_tokens " << batch_tokens;
    }
  }
}

TEST_F(NetworkScores, StreamWindowsReachBackOverABos) {
  const std::vector<uint16_t> ids = make_documents(50, kStarts);
  EXPECT_NE(list_losses(config_, weights_, ids, make_eval(12, 5, 36), *reference_),
            list_losses(config_, weights_, ids, make_document_eval(12, 5, 36), *reference_));
}

TEST_F(NetworkScores, OneWindowIsEnoughForAShortStream) {
  for (const size_t count : {2ul, 5ul, 12ul, 13ul}) {
    const auto ids = std::span(ids_).first(count);
    const std::vector<float> losses =
        list_losses(config_, weights_, ids, make_eval(64, 5, 64), *reference_);
    EXPECT_EQ(losses.size(), count - 1);
  }
  EXPECT_THROW(
      list_losses(config_, weights_, std::span(ids_).first(1), make_eval(12, 5, 36), *reference_),
      Error);
}

// Halves the probability of one token.
class DampingMixer final : public TokenMixer {
 public:
  explicit DampingMixer(std::vector<int32_t>& learnt) : learnt_(&learnt) {}
  void predict(const NetworkDistribution& network, MixedDistribution& mixed) override {
    const double p = std::exp(static_cast<double>(network.log_prob(kToken)));
    mixed.count = 1;
    mixed.tokens[0] = kToken;
    mixed.log_probs[0] = static_cast<float>(std::log(p / 2));
    mixed.log_rest = static_cast<float>(std::log((1 - p / 2) / (1 - p)));
  }
  void learn(int32_t token) override { learnt_->push_back(token); }
  uint64_t state_hash() const override { return learnt_->size(); }

 private:
  static constexpr int32_t kToken = 7;
  std::vector<int32_t>* learnt_;
};

TEST_F(NetworkScores, AMixerReshapesThemAndHearsEveryTarget) {
  const UnpackedModel model = make_artifact_model(config_, weights_);
  const EvalConfig eval = make_eval(12, 5, 36);
  std::vector<int32_t> learnt;
  NetworkScorer plain(model, eval, *reference_);
  NetworkScorer mixed(model, eval, *reference_, std::make_unique<DampingMixer>(learnt));
  EXPECT_EQ(plain.state_hash(), plain.state_hash());
  const uint64_t before = mixed.state_hash();
  const std::vector<float> expected = list_losses(plain, ids_, LedgerTier::kMetered);
  const std::vector<float> losses = list_losses(mixed, ids_, LedgerTier::kMetered);
  EXPECT_EQ(learnt, std::vector<int32_t>(ids_.begin() + 1, ids_.end()));
  EXPECT_NE(mixed.state_hash(), before);
  for (size_t t = 0; t < losses.size(); ++t) {
    if (ids_[t + 1] == 7) {
      EXPECT_NEAR(losses[t], expected[t] + std::log(2.0f), 1e-5);
    } else {
      EXPECT_LT(losses[t], expected[t]);
    }
  }
}

// Nudges a weight after each chunk and writes down what it was shown.
class NudgingLearner final : public Learner {
 public:
  NudgingLearner(float nudge, std::vector<Chunk>& chunks) : nudge_(nudge), chunks_(&chunks) {}
  int64_t chunk_targets() const override { return 20; }
  void learn(const ScoredChunk& scored, Weights& weights) override {
    EXPECT_NE(weights.gradients(), nullptr);
    EXPECT_EQ(static_cast<int64_t>(scored.tokens().size()), scored.chunk().end());
    chunks_->push_back(scored.chunk());
    weights.master(weights.find("tok_emb"))[0] += nudge_;
    weights.refresh_compute();
  }
  uint64_t state_hash() const override { return chunks_->size(); }

 private:
  float nudge_;
  std::vector<Chunk>* chunks_;
};

TEST_F(NetworkScores, ALearnerChangesOnlyWhatIsScoredAfterItsChunk) {
  const UnpackedModel model = make_artifact_model(config_, weights_);
  for (const char* device_name : {"reference", "cpu:exact", "cpu:bf16"}) {
    const std::unique_ptr<Device> device = make_device(device_name);
    const auto losses_of = [&](float nudge, int64_t batch_tokens, LedgerTier tier) {
      std::vector<Chunk> chunks;
      NetworkScorer scorer(model, make_eval(12, 5, batch_tokens), *device, nullptr,
                           std::make_unique<NudgingLearner>(nudge, chunks));
      const std::vector<float> losses = list_losses(scorer, ids_, tier);
      EXPECT_EQ(chunks.size(), 2u);  // chunks of 20 of 41 targets, each of whole windows
      EXPECT_EQ(chunks.front().count, 22);
      return losses;
    };
    const std::vector<float> still = losses_of(0.0f, 36, LedgerTier::kMetered);
    const std::vector<float> moved = losses_of(0.5f, 36, LedgerTier::kMetered);
    for (size_t t = 0; t < still.size(); ++t) {
      EXPECT_EQ(still[t] != moved[t], t >= 22) << device_name << ", target " << t + 1;
    }
    EXPECT_EQ(losses_of(0.5f, 12, LedgerTier::kMetered), moved);
    EXPECT_EQ(losses_of(0.5f, 36, LedgerTier::kDecoded), moved);
  }
}

// Says of another rank's targets that all tokens are alike.
class UniformShare final : public WindowShare {
 public:
  explicit UniformShare(int64_t vocab) : vocab_(vocab) {}
  int rank() const override { return 0; }
  int ranks() const override { return 2; }
  void gather(std::span<float> values, std::span<const int64_t> counts) override {
    ASSERT_EQ(counts.size(), 2u);
    ASSERT_EQ(static_cast<int64_t>(values.size()), counts[0] + counts[1]);
    const auto others = values.subspan(static_cast<size_t>(counts[0]));
    std::fill(others.begin(), others.end(), -std::log(static_cast<float>(vocab_)));
  }
  void sum(Device&, float*, int64_t) override { ADD_FAILURE() << "nothing is learnt"; }

 private:
  int64_t vocab_;
};

TEST_F(NetworkScores, EverySecondBatchIsTheOtherRanks) {
  const EvalConfig eval = make_eval(12, 4, 24);  // two windows a batch
  UniformShare share(config_.vocab_size);
  NetworkScorer alone = NetworkScorer::for_diagnosis(config_, weights_, eval, *reference_);
  NetworkScorer shared = NetworkScorer::for_diagnosis(config_, weights_, eval, *reference_, &share);
  const std::vector<float> own = list_losses(alone, ids_, LedgerTier::kMetered);
  const std::vector<float> losses = list_losses(shared, ids_, LedgerTier::kMetered);
  for (size_t t = 0; t < losses.size(); ++t) {  // the first window scores 12 targets, each other 4
    const bool is_others = t >= 12 && (t - 12) / 8 % 2 == 1;
    EXPECT_EQ(losses[t], is_others ? std::log(static_cast<float>(config_.vocab_size)) : own[t])
        << "target " << t + 1;
  }
}

TEST_F(NetworkScores, RefusesTokensOutsideTheVocabulary) {
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
