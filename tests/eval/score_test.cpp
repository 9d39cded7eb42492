// Sums, bytes and units of the score, and that only an artifact gets one.
#include "eval/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "src/base/error.h"
#include "src/data/corpus/tokenizer_training.h"
#include "src/device/registry/make_device.h"
#include "src/files/write_file.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

// L3: nothing but evaluate() makes a Score, and raw weights do not fit into it.
static_assert(!std::is_default_constructible_v<Score>);
static_assert(!std::is_constructible_v<Score, DiagnosticLoss>);
static_assert(!std::is_convertible_v<DiagnosticLoss, Score>);
static_assert(!std::is_constructible_v<UnpackedModel, ModelConfig, std::vector<HostTensor>>);

class ScoreOfArtifact : public testing::Test {
 protected:
  Score score(const UnpackedModel& model, const std::vector<uint16_t>& ids,
              const EvalConfig& eval) {
    return evaluate(model, make_test_bytes(), make_stream(ids), eval, *device_, clock_);
  }
  DiagnosticLoss diagnose(const std::vector<HostTensor>& weights,
                          const std::vector<uint16_t>& ids) {
    return diagnose_loss(config_, weights, make_test_bytes(), make_stream(ids), eval_, *device_,
                         clock_);
  }

  const ModelConfig config_ = make_test_config();
  const std::vector<uint16_t> ids_ = make_random_ids(62, 5);
  const EvalConfig eval_ = {.context = 16, .stride = 6, .batch_tokens = 64};
  const std::unique_ptr<Device> device_ = make_device("reference");
  ManualClock clock_;
};

TEST_F(ScoreOfArtifact, SumsLossesAndBytesOfEveryTargetOnce) {
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  const Score got = score(model, ids_, eval_);
  const std::vector<float> losses = list_losses(config_, model.tensors(), ids_, eval_, *device_);
  double nats = 0;
  int64_t bytes = 0, documents = ids_[0] == kBosId ? 1 : 0;
  for (size_t i = 1; i < ids_.size(); ++i) {
    nats += static_cast<double>(losses[i - 1]);
    if (ids_[i] == kBosId) ++documents;
    if (ids_[i] < 4) continue;
    bytes += 1 + ids_[i] % 4;
    if (ids_[i] % 3 == 0 && ids_[i - 1] >= 4) ++bytes;
  }
  EXPECT_EQ(got.tokens(), 61);
  EXPECT_EQ(got.bytes(), bytes);
  EXPECT_EQ(got.documents(), documents);
  EXPECT_EQ(got.windows(), 9);  // 16 targets, then 7 windows of 6, then the last 3
  // 61 roundings of a sum that is added up in bits here and in nats there.
  const double bits = nats / std::log(2.0), rounding = 61 * bits * 2.3e-16;
  EXPECT_NEAR(got.bits(), bits, rounding);
  EXPECT_NEAR(got.loss_nats(), nats / 61, rounding);
  EXPECT_NEAR(got.bits_per_byte(), bits / static_cast<double>(bytes), rounding);
}

TEST_F(ScoreOfArtifact, AnUntrainedArtifactCostsLogVocabBitsPerToken) {
  const Score got = score(make_artifact_model(config_, make_zero_weights(config_)), ids_, eval_);
  EXPECT_NEAR(got.bits() / static_cast<double>(got.tokens()), 5.0, 5 * 4 * 1.2e-7);
}

TEST_F(ScoreOfArtifact, ScoreDoesNotDependOnBatchTokens) {
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  const Score expected = score(model, ids_, eval_);
  for (const int64_t batch_tokens : {1, 16, 33, 4096}) {
    EvalConfig eval = eval_;
    eval.batch_tokens = batch_tokens;
    EXPECT_EQ(score(model, ids_, eval).bits(), expected.bits()) << batch_tokens;
  }
}

TEST_F(ScoreOfArtifact, ContextAndStrideChangeTheScore) {
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  const Score sliding = score(model, ids_, eval_);
  const Score plain = score(model, ids_, {.context = 16, .stride = 16, .batch_tokens = 64});
  EXPECT_NE(sliding.bits(), plain.bits());
  EXPECT_EQ(sliding.bytes(), plain.bytes());
  EXPECT_EQ(sliding.tokens(), plain.tokens());
}

TEST_F(ScoreOfArtifact, ABosTargetCostsBitsAndNoBytes) {
  std::vector<uint16_t> ids = {1, 8, 9, 10};
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  const Score without = score(model, ids, eval_);
  ids.push_back(kBosId);
  const Score with = score(model, ids, eval_);
  EXPECT_EQ(with.bytes(), without.bytes());
  EXPECT_EQ(with.tokens(), without.tokens() + 1);
  EXPECT_EQ(with.documents(), without.documents() + 1);
  EXPECT_GT(with.bits(), without.bits());
}

TEST_F(ScoreOfArtifact, ProgressEndsAtTheScore) {
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  std::vector<EvalProgress> seen;
  const Score got = evaluate(model, make_test_bytes(), make_stream(ids_), eval_, *device_, clock_,
                             [&](const EvalProgress& progress) {
                               seen.push_back(progress);
                               clock_.advance_s(2.0);
                             });
  ASSERT_EQ(seen.size(), 2u);  // the first window and 8 more in batches of 64 / 16
  for (size_t i = 1; i < seen.size(); ++i) {
    EXPECT_GT(seen[i].tokens_done, seen[i - 1].tokens_done);
  }
  EXPECT_EQ(seen.back().tokens_done, got.tokens());
  EXPECT_EQ(seen.back().tokens_total, got.tokens());
  EXPECT_EQ(seen.back().bits_per_byte, got.bits_per_byte());
  EXPECT_EQ(seen.back().elapsed_s, 2.0);
  EXPECT_EQ(seen.front().elapsed_s, 0.0);
  EXPECT_EQ(seen.back().budget_s, eval_.wallclock_s);
  EXPECT_EQ(got.eval_s(), 4.0);
}

// Ctrl-C while scoring.
TEST_F(ScoreOfArtifact, AnExceptionOfTheProgressEndsIt) {
  struct Stop {};
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  const auto stop = [](const EvalProgress&) { throw Stop{}; };
  EXPECT_THROW(evaluate(model, make_test_bytes(), make_stream(ids_), eval_, *device_, clock_, stop),
               Stop);
}

// Learning may take most of the time: it is heard of between its steps, and can be ended there.
class ProgressOfLearning : public ScoreOfArtifact, public testing::WithParamInterface<TttKind> {};

TEST_P(ProgressOfLearning, GoesOnWhileAChunkIsLearntFrom) {
  const TttKind kind = GetParam();
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  ScoringConfig scoring = {eval_};
  scoring.ttt.chunk_tokens = 32;
  scoring.ttt.lora_chunk_tokens = 8;
  scoring.ttt.epochs = 3;
  scoring.ttt.kind = kind;
  int64_t still = 0, last = 0;
  const Score whole = evaluate(model, make_test_bytes(), make_stream(ids_), scoring, *device_,
                               clock_, [&](const EvalProgress& progress) {
                                 still += progress.tokens_done == last ? 1 : 0;
                                 last = progress.tokens_done;
                               });
  EXPECT_GE(still, 3) << choice_name(kind);
  EXPECT_EQ(last, whole.tokens());
  struct Stop {};
  int64_t calls = 0;
  const auto stop = [&](const EvalProgress& progress) {
    if (progress.tokens_done == 0 && ++calls == 2) throw Stop{};
  };
  EXPECT_EQ(evaluate(model, make_test_bytes(), make_stream(ids_), scoring, *device_, clock_).bits(),
            whole.bits());
  if (kind == TttKind::kPhased) return;  // learns first when a quarter is scored
  EXPECT_THROW(
      evaluate(model, make_test_bytes(), make_stream(ids_), scoring, *device_, clock_, stop), Stop);
}

INSTANTIATE_TEST_SUITE_P(Each, ProgressOfLearning,
                         testing::Values(TttKind::kSgd, TttKind::kPhased, TttKind::kLora,
                                         TttKind::kPhasedLora),
                         [](const auto& info) { return std::string(choice_name(info.param)); });

TEST(EvalProgress, ProjectsTheWholeFromThePaceSoFar) {
  EXPECT_EQ((EvalProgress{.tokens_done = 25, .tokens_total = 100, .elapsed_s = 3}).projected_s(),
            12);
  EXPECT_EQ((EvalProgress{.tokens_total = 100, .elapsed_s = 3}).projected_s(), 0);
}

TEST_F(ScoreOfArtifact, KnowsWhenItTookLongerThanItsBudget) {
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  for (const double budget_s : {3.9, 4.0, 0.0}) {  // 0: none
    EvalConfig eval = eval_;
    eval.wallclock_s = budget_s;
    const Score got = evaluate(model, make_test_bytes(), make_stream(ids_), eval, *device_, clock_,
                               [&](const EvalProgress&) { clock_.advance_s(2.0); });
    EXPECT_EQ(got.eval_s(), 4.0);
    EXPECT_EQ(got.is_over_budget(), budget_s == 3.9);
  }
}

TEST_F(ScoreOfArtifact, DiagnosisOfAnArtifactsWeightsGivesItsScore) {
  const UnpackedModel model = make_artifact_model(config_, make_random_weights(config_, 4));
  const DiagnosticLoss loss = diagnose(model.tensors(), ids_);
  const Score got = score(model, ids_, eval_);
  EXPECT_EQ(loss.diagnostic_loss_nats, got.loss_nats());
  EXPECT_EQ(loss.diagnostic_bits_per_byte, got.bits_per_byte());
}

TEST_F(ScoreOfArtifact, RefusesAStreamOfNoBytes) {
  EXPECT_THROW(diagnose(make_zero_weights(config_), {1, 0, 2, 3, 1}), Error);
}

TEST_F(ScoreOfArtifact, RefusesAStreamOfOneToken) {
  EXPECT_THROW(diagnose(make_zero_weights(config_), {1}), Error);
}

TEST_F(ScoreOfArtifact, RefusesATokenizerOfAnotherSize) {
  ByteTable table = make_test_bytes();
  table.bytes.pop_back();
  EXPECT_THROW(diagnose_loss(config_, make_zero_weights(config_), table, make_stream(ids_), eval_,
                             *device_, clock_),
               Error);
}

TEST_F(ScoreOfArtifact, RefusesLossesThatAreNoProbability) {
  std::vector<HostTensor> weights = make_random_weights(config_, 4);
  weights[0].values[40] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(diagnose(weights, ids_), Error);
}

TEST_F(ScoreOfArtifact, RefusesAnotherTokenizer) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir());
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "the windows of a stream number " + std::to_string(i) + "\n";
  write_file_atomic(folder / "eval_corpus.txt", text);
  train_tokenizer(folder / "eval_corpus.txt", 320, folder / "eval_tokenizer.model");
  const Tokenizer tokenizer(folder / "eval_tokenizer.model");
  const std::vector<HostTensor> weights = make_zero_weights(config_);
  EXPECT_NO_THROW(
      check_tokenizer(make_artifact_model(config_, weights, tokenizer.sha256()), tokenizer));
  const Sha256 other = {1, 2, 3};
  try {
    check_tokenizer(make_artifact_model(config_, weights, other), tokenizer);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(hex(other)), std::string::npos);
    EXPECT_NE(std::string(error.what()).find(hex(tokenizer.sha256())), std::string::npos);
  }
}

}  // namespace
}  // namespace pg
