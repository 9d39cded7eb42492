// Test-time training by document (PRs #1530 and #1626): chunks that begin and end with documents,
// adapters of each document alone, adapters beside whole branches, phases by finished documents.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "eval/audit/audit.h"
#include "eval/learn/make_learner.h"
#include "eval/learn/sgd_trainer.h"
#include "eval/score/document_chunks.h"
#include "eval/score/ledger.h"
#include "eval/score/network_scorer.h"
#include "src/base/error.h"
#include "src/model/model.h"
#include "tests/eval/ttt_fixture.h"

namespace pg {
namespace {

class ByDocument : public TestTimeTraining {
 protected:
  ByDocument() {
    eval_by_document_.windows = Windows::kDocument;
    eval_by_document_.stride = 4;  // as a chunk
    for (uint16_t& id : text_) id = id == kBosId ? uint16_t{5} : id;
    // One window, one chunk, several windows, an end within a chunk, a text that goes on.
    for (const size_t start : {0ul, 17ul, 23ul, 90ul}) text_[start] = kBosId;
  }
  static TttConfig make_document_ttt(TttKind kind, LoraReset reset = LoraReset::kFull) {
    TttConfig ttt = make_ttt(kind);
    ttt.by_document = true;
    ttt.lora_chunk_tokens = 4;
    ttt.lora_reset = reset;
    if (kind == TttKind::kPhasedLora) {
      ttt.phases = 2;
      ttt.phase_documents = 3;  // at the ends of the first document and the third
    }
    return ttt;
  }
  std::vector<float> list_losses_of(const TttConfig& ttt, const std::vector<uint16_t>& ids,
                                    LedgerTier tier = LedgerTier::kMetered) {
    NetworkScorer scorer(
        model_, eval_by_document_, *device_, nullptr,
        make_learner(ttt, config_, eval_by_document_, static_cast<int64_t>(ids.size())));
    return list_losses(scorer, ids, tier);
  }
  // Document i of the text, with the BOS behind it if it has one.
  std::vector<uint16_t> document(size_t i) const {
    const std::vector<size_t> starts = {0, 17, 23, 90, text_.size() - 1};
    return {text_.begin() + static_cast<ptrdiff_t>(starts[i]),
            text_.begin() + static_cast<ptrdiff_t>(starts[i + 1]) + 1};
  }

  EvalConfig eval_by_document_ = eval_;
  std::vector<uint16_t> text_ = make_random_ids(kTokens, 7);
};

TEST(DocumentChunks, EndWithDocumentsAndAfterSoManyTargets) {
  const int32_t b = kBosId;
  const std::vector<int32_t> stream = {b, 5, 6, 7, 8, b, 9, 9, b, b, 5, 5, 5, 5};
  std::vector<std::pair<int64_t, int64_t>> chunks;
  for (const Chunk& chunk : follow_documents(stream, 3))
    chunks.emplace_back(chunk.first, chunk.end());
  EXPECT_EQ(chunks, (std::vector<std::pair<int64_t, int64_t>>{
                        {1, 4}, {4, 6}, {6, 9}, {9, 10}, {10, 13}, {13, 14}}));
}

// The order of the documents is then nobody's business: each costs what it costs alone.
TEST_F(ByDocument, AFullResetMakesEachDocumentAsIfItWereAlone) {
  const TttConfig ttt = make_document_ttt(TttKind::kLora);
  const std::vector<float> together = list_losses_of(ttt, text_);
  std::vector<float> alone;
  for (size_t i = 0; i < 4; ++i) {
    for (const float loss : list_losses_of(ttt, document(i))) alone.push_back(loss);
  }
  EXPECT_EQ(together, alone);
  TttConfig off = ttt;
  off.by_document = false;
  EXPECT_NE(list_losses_of(off, text_), together);
  EXPECT_NE(list_losses_of(make_document_ttt(TttKind::kLora, LoraReset::kWarm), text_), together);
}

// A document's last chunk, which ends with the BOS of the next, teaches nothing: two short documents
// leave the adapters that stay warm as they were.
TEST_F(ByDocument, TheLastChunkOfADocumentTeachesNothing) {
  const TttConfig ttt = make_document_ttt(TttKind::kLora, LoraReset::kWarm);
  std::vector<uint16_t> two = {kBosId, 9, 8, 7, kBosId, 6, 9};
  const std::vector<uint16_t> tail = document(2);
  two.insert(two.end(), tail.begin(), tail.end());
  const std::vector<float> after = list_losses_of(ttt, two), alone = list_losses_of(ttt, tail);
  EXPECT_EQ(std::vector<float>(after.begin() + 7, after.end()), alone);
}

// The windows are those without a learner, in plans as long as each is.
TEST_F(ByDocument, AtRateZeroEveryLossIsThePlainOne) {
  TttConfig ttt = make_document_ttt(TttKind::kLora);
  ttt.lora_lr = 0;
  EXPECT_EQ(list_losses_of(ttt, text_), list_losses_of(make_ttt(TttKind::kNone), text_));
}

TEST_F(ByDocument, LossesIgnoreLaterTokens) {
  for (const TttKind kind : {TttKind::kLora, TttKind::kPhasedLora}) {
    const TttConfig ttt = make_document_ttt(kind, LoraReset::kWarm);
    const std::vector<float> before = list_losses_of(ttt, text_);
    for (const size_t changed : {size_t{21}, size_t{60}, size_t{93}}) {
      std::vector<uint16_t> ids = text_;  // a BOS goes and others come
      for (size_t t = changed; t < ids.size(); ++t) ids[t] = static_cast<uint16_t>(31 - ids[t]);
      ids[changed + 5] = ids[changed + 9] = kBosId;
      const std::vector<float> after = list_losses_of(ttt, ids);
      for (size_t t = 0; t + 1 < changed; ++t) ASSERT_EQ(before[t], after[t]) << t;
      EXPECT_NE(before, after);
    }
  }
}

// Every probability of every target, for strides as long as a chunk, shorter and as a window.
TEST_F(ByDocument, ADecoderSeesEveryBitOfTheDistributions) {
  for (const TttKind kind : {TttKind::kLora, TttKind::kPhasedLora}) {
    for (const int64_t stride : {int64_t{4}, int64_t{8}, int64_t{5}, kContext}) {
      EvalConfig eval = eval_by_document_;
      eval.stride = stride;
      std::vector<std::vector<float>> metered;
      for (const int threads : {1, 2}) {
        set_thread_count(threads);
        for (const LedgerTier tier : {LedgerTier::kMetered, LedgerTier::kDecoded}) {
          NetworkScorer scorer(
              model_, eval, *device_, nullptr,
              make_learner(make_document_ttt(kind, LoraReset::kWarm), config_, eval, kTokens));
          const auto distributions = list_distributions(scorer, text_, tier);
          if (metered.empty()) metered = distributions;
          EXPECT_EQ(distributions, metered)
              << choice_name(kind) << ", stride " << stride << ", " << threads << " threads";
        }
      }
    }
  }
}

// Score first: what a distribution follows from stays while a chunk is scored.
TEST_F(ByDocument, StateChangesBehindChunksAndOnlyThere) {
  const TttConfig ttt = make_document_ttt(TttKind::kPhasedLora);
  NetworkScorer scorer(model_, eval_by_document_, *device_, nullptr,
                       make_learner(ttt, config_, eval_by_document_, kTokens));
  const std::vector<int32_t> stream(text_.begin(), text_.end());
  uint64_t hash = scorer.state_hash();
  std::vector<int64_t> ends;
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t, const TokenDistribution&) {
    ASSERT_EQ(scorer.state_hash(), hash);
  };
  hooks.on_chunk = [&](const LedgerEvent& event) {
    ends.push_back(event.chunk->end());
    hash = scorer.state_hash();
  };
  Ledger(stream, make_test_bytes()).score(scorer, hooks);
  for (const int64_t bos : {17, 23, 90}) {
    EXPECT_EQ(std::count(ends.begin(), ends.end(), bos + 1), 1) << "a chunk ends behind the BOS";
  }
}

// Until a phase is due the adapters are alone; without a rate in it, and with adapters that start
// anew at each document anyway, it changes nothing.
TEST_F(ByDocument, PhasesComeWhenSoManyDocumentsAreScored) {
  TttConfig phased = make_document_ttt(TttKind::kPhasedLora);
  const std::vector<float> plain = list_losses_of(make_document_ttt(TttKind::kLora), text_);
  const auto first_change = [&](int64_t documents, int64_t phases) {
    phased.phase_documents = documents;
    phased.phases = phases;
    const std::vector<float> losses = list_losses_of(phased, text_);
    return std::mismatch(losses.begin(), losses.end(), plain.begin()).first - losses.begin();
  };
  EXPECT_EQ(first_change(1, 1), 17);  // target 18, the first behind the BOS at 17
  EXPECT_EQ(first_change(2, 1), 23);
  EXPECT_EQ(first_change(3, 1), 90);
  EXPECT_EQ(first_change(4, 1), 149);  // of 149: no document is that late
  EXPECT_EQ(first_change(3, 2), 17);
  EXPECT_EQ(first_change(3, 3), 17);
  const auto losses_at = [&](int64_t phases) {
    phased.phase_documents = 3;
    phased.phases = phases;
    return list_losses_of(phased, text_);
  };
  EXPECT_NE(losses_at(2), losses_at(3));
  phased.lr = 0;
  EXPECT_EQ(losses_at(3), plain);
}

// A phase is one pass over all that is scored, in rows that end with their documents.
TEST_F(ByDocument, APhaseIsAPassInRowsOfDocuments) {
  TttConfig ttt = make_document_ttt(TttKind::kPhasedLora);
  ttt.phases = ttt.epochs = 1;
  ttt.phase_documents = 3;
  ttt.lora_lr = 0;
  ttt.chunk_tokens = 1000;  // one chunk, at the whole rate
  Weights weights(*device_, list_params(config_), true);
  weights.upload(model_.tensors());
  const std::vector<int32_t> stream(text_.begin(), text_.end());
  ttt.batch_tokens = 100 * kContext;  // all rows in one step
  TrainingRows rows(config_, ttt, weights, 100, kContext);
  const std::vector<TrainingWindow> windows = {{0, 1, 17},   {16, 17, 18}, {17, 18, 24},
                                               {23, 24, 40}, {39, 40, 56}, {55, 56, 72},
                                               {71, 72, 88}, {87, 88, 91}};
  rows.compute_gradient(stream, windows, ttt.clip_norm);
  std::vector<float> want(weights.gradients(), weights.gradients() + weights.gradient_elements());
  SgdTrainer trainer(config_, ttt, kContext, weights);
  trainer.train_pass(stream, 1, 91, ttt.lr);
  const std::vector<float> got(weights.gradients(),
                               weights.gradients() + weights.gradient_elements());
  EXPECT_EQ(got, want);
  // And the scorer's weights are then those.
  NetworkScorer scorer(model_, eval_by_document_, *device_, nullptr,
                       make_learner(ttt, config_, eval_by_document_, kTokens));
  list_losses(scorer, text_, LedgerTier::kMetered);
  const std::vector<HostTensor> after = scorer.download_weights(), trained = weights.download();
  int changed = 0;
  for (size_t i = 0; i < trained.size(); ++i) {
    EXPECT_EQ(after[i].values, trained[i].values) << trained[i].spec.name;
    changed += after[i].values != model_.tensors()[i].values;
  }
  EXPECT_GT(changed, 10);
}

TEST_F(ByDocument, PassesEveryProbeOfTheAudit) {
  const ByteTable bytes = make_test_bytes();
  const std::vector<int32_t> stream(text_.begin(), text_.end());
  AuditSubject subject;
  subject.vocab_size = config_.vocab_size;
  subject.bytes = &bytes;
  subject.make_scorer = [&] {
    const TttConfig ttt = make_document_ttt(TttKind::kPhasedLora, LoraReset::kWarm);
    return std::make_unique<NetworkScorer>(model_, eval_by_document_, *device_, nullptr,
                                           make_learner(ttt, config_, eval_by_document_, kTokens));
  };
  for (const ProbeResult& result : audit_scorer(subject, stream, {.decode_tokens = 100})) {
    const bool may_be_absent = result.id == "V4" || result.id == "V6";
    EXPECT_TRUE(may_be_absent || result.verdict == Verdict::kPass)
        << result.id << ": " << result.reason;
  }
}

TEST_F(ByDocument, EveryKeyChangesTheScore) {
  const auto changes = [&](const char* targets, const auto& change) {
    TttConfig ttt = make_document_ttt(TttKind::kLora);
    ttt.lora_targets = targets;
    const std::vector<float> before = list_losses_of(ttt, text_);
    change(ttt);
    return list_losses_of(ttt, text_) != before;
  };
  EXPECT_TRUE(changes("q", [](TttConfig& t) { t.lora_targets = "q,attn"; }));
  EXPECT_TRUE(changes("q", [](TttConfig& t) { t.lora_targets = "q,mlp"; }));
  EXPECT_TRUE(changes("attn,mlp", [](TttConfig& t) { t.lora_rank = 2; }));
  const auto clip = [](TttConfig& t) { t.clip_norm = 1e-9; };
  EXPECT_TRUE(changes("q,v", [&](TttConfig& t) { clip(t); }));
  EXPECT_TRUE(changes("q", [](TttConfig& t) { t.lora_queues = 2; }));
  // Clipped to 1e-9 a gradient is no longer far above AdamW's epsilon.
  TttConfig ttt = make_document_ttt(TttKind::kLora);
  ttt.lora_clipped = false;
  const std::vector<float> free = list_losses_of(ttt, text_);
  clip(ttt);
  EXPECT_EQ(list_losses_of(ttt, text_), free);
}

}  // namespace
}  // namespace pg
