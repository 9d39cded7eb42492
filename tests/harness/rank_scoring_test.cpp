// Any number of ranks gives the same score to the last bit, whatever learns or mixes on the way, and
// a rank that fails ends the scoring of all.
#include "harness/command/rank_scoring.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

constexpr int64_t kTokens = 150;

class RankScores : public testing::Test {
 protected:
  static ScoringConfig make_scoring(Windows windows, TttKind ttt, MixKind mix) {
    ScoringConfig scoring = {
        {.context = 16, .stride = 4, .windows = windows, .batch_tokens = 48, .wallclock_s = 0}};
    scoring.ttt.kind = ttt;
    scoring.ttt.chunk_tokens = 32;
    scoring.ttt.lora_chunk_tokens = 12;
    scoring.ttt.epochs = 1;
    scoring.mix.kind = mix;
    return scoring;
  }

  // With so many operators of the case transform that some are escaped.
  static ByteTable make_bytes() {
    ByteTable bytes = make_test_bytes();
    for (int32_t id = 4; id < kTestVocab; ++id) bytes.operators.push_back(id);
    return bytes;
  }

  RankScoring::First first() { return {device_.get(), &bytes_, &clock_}; }
  LocalRanks make_ranks(int count) {
    return LocalRanks({.kind = RankPlan::Kind::kThreads, .rank = 0, .ranks = count, .note = ""});
  }
  Score score_on(int count, const ScoringConfig& scoring) {
    LocalRanks ranks = make_ranks(count);
    return *RankScoring(ranks, "cpu", val_, first()).evaluate(model_, scoring, {});
  }

  ModelConfig config_ = make_test_config();
  std::vector<HostTensor> weights_ = make_random_weights(config_, 3);
  UnpackedModel model_ = make_artifact_model(config_, weights_);
  TokenStream val_ = make_stream(make_random_ids(kTokens, 8));
  ByteTable bytes_ = make_bytes();
  std::unique_ptr<Device> device_ = make_device("cpu");
  ManualClock clock_;
};

// One kind of learner and of window.
class RankScoresOfKind : public RankScores,
                         public testing::WithParamInterface<std::tuple<Windows, TttKind>> {};

TEST_P(RankScoresOfKind, AnyNumberOfRanksGivesTheSame) {
  const auto [windows, ttt] = GetParam();
  for (const MixKind mix : {MixKind::kNone, MixKind::kLogit, MixKind::kCascade, MixKind::kPpm}) {
    ScoringConfig scoring = make_scoring(windows, ttt, mix);
    if (mix == MixKind::kPpm && windows == Windows::kDocument) {
      scoring.ttt.by_document = ttt == TttKind::kLora || ttt == TttKind::kPhasedLora;
      scoring.ttt.phase_documents = 3;
    }
    if (mix == MixKind::kCascade) {  // and with what a published form adds to each
      scoring.mix.cascade_buckets = 1 << 10;
      scoring.eval.temperature = 0.98;
      scoring.ttt.byte_weighted = true;
      scoring.ttt.adaptive_lr_max = 3;
      scoring.ttt.frozen_blocks = 1;
      scoring.ttt.frozen_scales = false;
      scoring.ttt.scales_fraction = 0.5;
      scoring.ttt.optimizer = TttOptimizer::kAdamw;
      scoring.ttt.polyak_decay = 0.5;
    }
    const Score alone = evaluate(model_, bytes_, val_, scoring, *device_, clock_);
    for (const int ranks : {1, 2, 5}) {
      const Score together = score_on(ranks, scoring);
      const auto where = ::testing::Message() << ranks << " ranks, " << choice_name(windows) << ", "
                                              << choice_name(ttt) << ", " << choice_name(mix);
      EXPECT_EQ(together.bits(), alone.bits()) << where;
      EXPECT_EQ(together.tokens(), alone.tokens()) << where;
      EXPECT_EQ(together.bytes(), alone.bytes()) << where;
      // Windows that a chunk of documents cuts run twice, and chunks differ.
      if (windows == Windows::kStream) {
        EXPECT_EQ(together.windows(), alone.windows()) << where;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, RankScoresOfKind,
                         testing::Combine(testing::Values(Windows::kStream, Windows::kDocument),
                                          testing::Values(TttKind::kNone, TttKind::kSgd,
                                                          TttKind::kPhased, TttKind::kLora,
                                                          TttKind::kPhasedLora)),
                         [](const auto& info) {
                           return fmt::format("{}_{}", choice_name(std::get<0>(info.param)),
                                              choice_name(std::get<1>(info.param)));
                         });

// A step's parts are computed where there are ranks for them, and add up to the same on any number.
TEST_F(RankScores, StepsOfWholeWeightsAreDealtToRanks) {
  // In fp32: bf16 copies of the weights would hide another rounding.
  const auto exact = make_device("cpu:exact");
  const auto exact_score = [&](int count, const ScoringConfig& scoring) {
    LocalRanks ranks = make_ranks(count);
    const RankScoring on_ranks(ranks, "cpu:exact", val_, {exact.get(), &bytes_, &clock_});
    return *on_ranks.evaluate(model_, scoring, {});
  };
  for (const TttKind kind : {TttKind::kSgd, TttKind::kPhased, TttKind::kPhasedLora}) {
    ScoringConfig scoring = make_scoring(Windows::kStream, kind, MixKind::kNone);
    scoring.ttt.batch_tokens = 4 * scoring.eval.context;
    scoring.ttt.chunk_tokens = 60;  // the last row of a step is not whole
    scoring.ttt.epochs = 2;
    const Score whole = exact_score(1, scoring);
    scoring.ttt.gradient_leaves = 4;
    const Score alone = exact_score(1, scoring);
    EXPECT_NE(alone.bits(), whole.bits());
    EXPECT_NEAR(alone.bits() / whole.bits(), 1, 1e-4);
    for (const int count : {2, 3, 4, 5}) {
      EXPECT_EQ(exact_score(count, scoring).bits(), alone.bits())
          << choice_name(kind) << ", " << count << " ranks";
    }
  }
}

// Each rank scores, and learns from, documents of its own.
TEST_F(RankScores, DocumentsSideBySideAreDealtToRanks) {
  std::vector<uint16_t> ids = make_random_ids(kTokens, 8);
  for (size_t t = 0; t < ids.size(); ++t) {
    if (t % 25 == 0 || ids[t] == kBosId) ids[t] = t % 25 == 0 ? uint16_t{kBosId} : uint16_t{5};
  }
  const TokenStream even = make_stream(ids);  // six documents, so that none waits for another
  for (const auto& [kind, queues] : {std::pair(TttKind::kLora, 0),
                                     {TttKind::kPhasedLora, 0},
                                     {TttKind::kLora, 3},
                                     {TttKind::kPhasedLora, 2}}) {
    ScoringConfig scoring = make_scoring(Windows::kDocument, kind, MixKind::kNone);
    scoring.ttt.by_document = true;
    scoring.ttt.lora_reset = queues > 0 ? LoraReset::kWarm : LoraReset::kFull;
    scoring.ttt.lora_queues = std::max(queues, 1);
    scoring.ttt.phases = 2;
    scoring.ttt.phase_documents = 4;
    scoring.eval.batch_tokens = scoring.eval.context;  // one after another
    const Score alone = evaluate(model_, bytes_, even, scoring, *device_, clock_);
    scoring.eval.batch_tokens = 6 * scoring.eval.context;
    for (const int count : {1, 2, 5}) {
      std::vector<int64_t> targets;
      LedgerHooks hooks;
      hooks.on_score = [&](int64_t target, int32_t, double) { targets.push_back(target); };
      LocalRanks ranks = make_ranks(count);
      const auto score =
          RankScoring(ranks, "cpu", even, first()).evaluate(model_, scoring, {}, hooks);
      EXPECT_EQ(score->bits(), alone.bits())
          << choice_name(kind) << ", " << queues << " queues, " << count << " ranks";
      EXPECT_FALSE(std::is_sorted(targets.begin(), targets.end())) << "one after another";
    }
  }
}

TEST_F(RankScores, AStreamOfFewerWindowsThanRanksIsScored) {
  const ScoringConfig scoring = make_scoring(Windows::kStream, TttKind::kNone, MixKind::kNone);
  const TokenStream brief = make_stream(make_random_ids(12, 8));
  const Score alone = evaluate(model_, bytes_, brief, scoring, *device_, clock_);
  LocalRanks ranks = make_ranks(4);
  EXPECT_EQ(RankScoring(ranks, "cpu", brief, first()).evaluate(model_, scoring, {})->bits(),
            alone.bits());
}

TEST_F(RankScores, DiagnosisOfWeightsIsTheSame) {
  const EvalConfig eval = make_scoring(Windows::kStream, {}, {}).eval;
  const DiagnosticLoss alone =
      diagnose_loss(config_, weights_, bytes_, val_, eval, *device_, clock_);
  for (const int count : {1, 2, 4}) {
    LocalRanks ranks = make_ranks(count);
    const auto loss =
        RankScoring(ranks, "cpu", val_, first()).diagnose(config_, weights_, eval, {});
    EXPECT_EQ(loss->diagnostic_loss_nats, alone.diagnostic_loss_nats) << count << " ranks";
  }
}

// Ctrl-C while several score: what ends rank 0 is what is thrown, and nobody waits for it.
TEST_F(RankScores, AnExceptionOfTheProgressEndsAllRanks) {
  struct Stop {};
  LocalRanks ranks = make_ranks(3);
  const RankScoring scoring(ranks, "cpu", val_, first());
  const ScoringConfig config = make_scoring(Windows::kStream, TttKind::kLora, MixKind::kNone);
  EXPECT_THROW(scoring.evaluate(model_, config, [](const EvalProgress&) { throw Stop{}; }), Stop);
  EXPECT_EQ(scoring.evaluate(model_, config, {})->bits(), score_on(1, config).bits());
}

TEST_F(RankScores, ARankWithoutADeviceEndsTheScoring) {
  LocalRanks ranks = make_ranks(3);
  const RankScoring scoring(ranks, "no such device", val_, first());
  const ScoringConfig config = make_scoring(Windows::kStream, TttKind::kNone, MixKind::kNone);
  EXPECT_THROW(scoring.evaluate(model_, config, {}), Error);
}

}  // namespace
}  // namespace pg
