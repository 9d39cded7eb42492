// Documents that are scored side by side, each with adapters of its own: every target costs what it
// costs in the text's order, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "eval/code/encode/text_encoder.h"
#include "eval/code/text_decoder.h"
#include "eval/learn/make_learner.h"
#include "eval/make_scorer.h"
#include "eval/score.h"
#include "eval/score/ledger.h"
#include "eval/score/network_scorer.h"
#include "tests/eval/ttt_fixture.h"

namespace pg {
namespace {

struct Way {
  TttKind kind = TttKind::kLora;
  int64_t stride = 4;
  bool clipped = false;
  int64_t epochs = 1;
  int64_t queues = 0;  // of warm adapters
};

class DocumentsBeside : public TestTimeTraining {
 protected:
  DocumentsBeside() {
    for (uint16_t& id : text_) id = id == kBosId ? uint16_t{5} : id;
    // A short one, several windows, whole chunks up to its end, none but a BOS, one that goes on.
    even_text_ = text_;
    for (const size_t start : {0ul, 17ul, 23ul, 90ul, 98ul, 99ul}) text_[start] = kBosId;
    for (size_t start = 0; start < kTokens; start += 25) even_text_[start] = kBosId;
  }
  ScoringConfig make_scoring(const Way& way) const {
    ScoringConfig scoring({.context = kContext,
                           .stride = way.stride,
                           .windows = Windows::kDocument,
                           .batch_tokens = 64});
    scoring.ttt = make_ttt(way.kind);
    scoring.ttt.by_document = true;
    scoring.ttt.lora_chunk_tokens = 4;
    scoring.ttt.lora_reset = way.queues > 0 ? LoraReset::kWarm : LoraReset::kFull;
    scoring.ttt.lora_queues = std::max<int64_t>(way.queues, 1);
    scoring.ttt.lora_clipped = way.clipped;
    scoring.ttt.lora_epochs = way.epochs;
    scoring.ttt.clip_norm = 0.02;
    scoring.ttt.lora_targets = "q,attn,mlp,down,head";
    scoring.ttt.phases = 2;
    scoring.ttt.phase_documents = 4;  // at the ends of the second document and the fourth
    return scoring;
  }
  // The costs of targets 1, 2, ..., with so many documents beside each other.
  std::vector<double> list_costs(const Way& way, int64_t at_once,
                                 const std::vector<uint16_t>& ids) const {
    ScoringConfig scoring = make_scoring(way);
    scoring.ttt.documents_at_once = at_once;
    const std::vector<int32_t> stream(ids.begin(), ids.end());
    NetworkScorer scorer(
        model_, scoring.eval, *device_, nullptr,
        make_learner(scoring.ttt, config_, scoring.eval, static_cast<int64_t>(ids.size())));
    std::vector<double> costs(ids.size() - 1, -1);
    LedgerHooks hooks;
    hooks.on_score = [&](int64_t target, int32_t token, double bits) {
      double& cost = costs[static_cast<size_t>(target) - 1];
      EXPECT_TRUE(cost < 0 && token == stream[static_cast<size_t>(target)]);
      cost = bits;
    };
    const ByteTable bytes = make_test_bytes();
    const Ledger ledger(stream, bytes);
    const LedgerTotals totals =
        at_once > 1 ? ledger.score_beside(scorer, hooks) : ledger.score(scorer, hooks);
    EXPECT_EQ(totals.tokens, static_cast<int64_t>(costs.size()));
    EXPECT_EQ(totals.documents, std::count(ids.begin(), ids.end(), kBosId));
    return costs;
  }

  std::vector<uint16_t> text_ = make_random_ids(kTokens, 7);
  std::vector<uint16_t> even_text_;  // documents of one length, so that none waits for another
};

TEST_F(DocumentsBeside, CostWhatTheyCostInTheTextsOrder) {
  for (const Way& way :
       {Way{.stride = 4}, Way{.stride = 3, .clipped = true}, Way{.stride = kContext, .epochs = 2},
        Way{TttKind::kPhasedLora}, Way{TttKind::kPhasedLora, 5, true}}) {
    const std::vector<double> in_order = list_costs(way, 1, text_);
    for (const int64_t at_once : {2, 3, 6, 9}) {
      EXPECT_EQ(list_costs(way, at_once, text_), in_order)
          << choice_name(way.kind) << ", stride " << way.stride << ", " << at_once << " at once";
    }
    Way other = way;
    other.clipped = !way.clipped;
    EXPECT_NE(list_costs(other, 3, text_), in_order) << "nothing is clipped, or nothing learnt";
  }
}

TEST_F(DocumentsBeside, TakeUpWhatTheDocumentBeforeThemInTheirQueueLeft) {
  std::vector<std::vector<double>> of_queues;
  for (const int64_t queues : {1, 2, 3, 4, 40}) {
    for (const TttKind kind : {TttKind::kLora, TttKind::kPhasedLora}) {
      const Way way = {.kind = kind, .queues = queues};
      const std::vector<double> in_order = list_costs(way, 1, text_);
      for (int64_t at_once = 2; at_once <= std::min<int64_t>(queues, 6); ++at_once) {
        EXPECT_EQ(list_costs(way, at_once, text_), in_order)
            << choice_name(kind) << ", " << queues << " queues, " << at_once << " at once";
      }
      if (kind == TttKind::kLora && queues <= 3) of_queues.push_back(in_order);
    }
  }
  for (size_t a = 0; a < of_queues.size(); ++a) {
    for (size_t b = 0; b < a; ++b) EXPECT_NE(of_queues[a], of_queues[b]) << a << " and " << b;
  }
  // Each of so many queues has one document, and nothing to take up.
  EXPECT_EQ(list_costs({.queues = 40}, 1, text_), list_costs({}, 1, text_));
}

// A document's cost follows from those of its queue alone, as long as no phase is due.
TEST_F(DocumentsBeside, CostsIgnoreOtherQueues) {
  const Way way = {.queues = 2};
  std::vector<uint16_t> ids = text_;  // documents 0 and 2 of 0, 1, 2, ... from tokens 0 and 23 on
  ids[5] = static_cast<uint16_t>(31 - ids[5]);
  const std::vector<double> before = list_costs(way, 2, text_), after = list_costs(way, 2, ids);
  const auto of_document = [](const std::vector<double>& costs, int64_t begin, int64_t end) {
    return std::vector<double>(costs.begin() + begin, costs.begin() + end);
  };
  EXPECT_EQ(of_document(before, 17, 23), of_document(after, 17, 23));
  EXPECT_NE(of_document(before, 23, 90), of_document(after, 23, 90));
}

// Of their own document, and without phases of all others.
TEST_F(DocumentsBeside, CostsIgnoreLaterTokens) {
  for (const TttKind kind : {TttKind::kLora, TttKind::kPhasedLora}) {
    const std::vector<double> before = list_costs({kind}, 4, text_);
    std::vector<uint16_t> ids = text_;
    for (const size_t t : {70ul, 71ul, 80ul}) ids[t] = static_cast<uint16_t>(31 - ids[t]);
    const std::vector<double> after = list_costs({kind}, 4, ids);
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + 69, after.begin()));
    EXPECT_NE(before[69], after[69]) << "of target 70";
    EXPECT_EQ(std::equal(before.begin() + 90, before.end(), after.begin() + 90),
              kind == TttKind::kLora);
  }
}

TEST_F(DocumentsBeside, TextsOfOneDocumentAndOfManyAreScored) {
  std::vector<uint16_t> one(text_.begin() + 23, text_.begin() + 90);
  one.push_back(9);
  EXPECT_EQ(list_costs({}, 4, one), list_costs({}, 1, one));
  const std::vector<uint16_t> no_start(one.begin() + 1, one.end());
  EXPECT_EQ(list_costs({}, 4, no_start), list_costs({}, 1, no_start));
  const std::vector<uint16_t> none_but_starts(20, kBosId);
  EXPECT_EQ(list_costs({}, 4, none_but_starts), list_costs({}, 1, none_but_starts));
}

// evaluate() goes beside as soon as documents may be: it then reports a step of all, not of each.
TEST_F(DocumentsBeside, EvaluationScoresAsManyAsABatchHolds) {
  const ByteTable bytes = make_test_bytes();
  ManualClock clock;
  const auto score = [&](int64_t at_once, int64_t& reports) {
    ScoringConfig scoring = make_scoring({});
    scoring.eval.batch_tokens = at_once * kContext;
    reports = 0;
    const Score scored = evaluate(model_, bytes, make_stream(even_text_), scoring, *device_, clock,
                                  [&](const EvalProgress&) { ++reports; });
    EXPECT_EQ(scored.documents_at_once(), std::min<int64_t>(at_once, 2));  // of six alike
    return scored.bits();
  };
  int64_t beside = 0, one = 0;
  EXPECT_EQ(score(4, beside), score(1, one));
  EXPECT_LT(beside, one / 2);
}

// The file of the text is that of the text's order, and decodes in it.
TEST_F(DocumentsBeside, TheCodedTextIsTheSame) {
  const ByteTable bytes = make_test_bytes();
  const std::vector<int32_t> stream(even_text_.begin(), even_text_.end());
  ManualClock clock;
  for (const Way& way :
       {Way{TttKind::kPhasedLora}, Way{.kind = TttKind::kPhasedLora, .queues = 4}}) {
    const ScoringConfig scoring = make_scoring(way);
    const auto encode = [&](int64_t at_once) {
      ScoringConfig batched = scoring;
      batched.eval.batch_tokens = at_once * kContext;
      TextEncoder encoder(stream[0]);
      evaluate(model_, bytes, make_stream(even_text_), batched, *device_, clock, {}, nullptr,
               encoder.hooks());
      return encoder.finish({}, stream);
    };
    const Bytes file = encode(4);
    EXPECT_EQ(file, encode(1));
    const auto scorer = make_scorer(model_, scoring, *device_, kTokens);
    const Result<CodedText> coded = parse_coded_text(file);
    ASSERT_TRUE(coded.ok());
    const auto decoded = decode_text(*scorer, coded.value(), config_.vocab_size);
    ASSERT_TRUE(decoded.ok()) << decoded.error();
    EXPECT_EQ(decoded.value(), stream);
  }
}

// Where a document's cost depends on those before it none is beside another: with any batch.
TEST_F(DocumentsBeside, WhatNeedsTheTextsOrderIsScoredInIt) {
  const ByteTable bytes = make_test_bytes();
  ManualClock clock;
  const auto is_in_order = [&](const auto& change) {
    ScoringConfig scoring = make_scoring({TttKind::kPhasedLora});
    change(scoring);
    std::vector<int64_t> targets;
    LedgerHooks hooks;
    hooks.on_score = [&](int64_t target, int32_t, double) { targets.push_back(target); };
    evaluate(model_, bytes, make_stream(even_text_), scoring, *device_, clock, {}, nullptr, hooks);
    return std::is_sorted(targets.begin(), targets.end());
  };
  EXPECT_FALSE(is_in_order([](ScoringConfig&) {}));
  EXPECT_TRUE(is_in_order([](ScoringConfig& s) { s.ttt.lora_reset = LoraReset::kWarm; }));
  EXPECT_FALSE(is_in_order([](ScoringConfig& s) {
    s.ttt.lora_reset = LoraReset::kWarm;
    s.ttt.lora_queues = 4;
  }));
  EXPECT_TRUE(is_in_order([](ScoringConfig& s) { s.mix.kind = MixKind::kLogit; }));
  EXPECT_TRUE(is_in_order([](ScoringConfig& s) { s.ttt.byte_weighted = true; }));
  EXPECT_TRUE(is_in_order([](ScoringConfig& s) { s.ttt.phase_documents = 0; }));  // by parts
  EXPECT_TRUE(is_in_order([](ScoringConfig& s) { s.ttt.phase_documents = 1; }));  // one at once
  EXPECT_TRUE(is_in_order([](ScoringConfig& s) { s.eval.batch_tokens = kContext; }));
}

}  // namespace
}  // namespace pg
