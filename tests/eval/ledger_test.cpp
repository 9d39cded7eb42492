// The ledger asks for every target once and in order, shows a scorer nothing too early, adds up in
// f64, and refuses what is no probability.
#include "eval/score/ledger.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "src/base/error.h"

namespace pg {
namespace {

// L4: a chunk that was not scored by the ledger cannot be made.
static_assert(!std::is_constructible_v<ScoredChunk, Chunk, std::span<const int32_t>>);
static_assert(!std::is_default_constructible_v<ScoredChunk>);

constexpr int64_t kVocab = 8;
const std::vector<int32_t> kStream = {1, 5, 6, 1, 7, 4, 4, 1};
// Ids 0 to 3 stand for no bytes, id a for a bytes; 6 begins with a space.
const ByteTable kBytes = {.bytes = {0, 0, 0, 0, 4, 5, 6, 7},
                          .leading_space = {0, 0, 0, 0, 0, 0, 1, 0},
                          .boundary = {1, 1, 1, 1, 0, 0, 0, 0}};

// Counts of the tokens so far plus one, in chunks of three targets unless told; writes down every call.
class CountingScorer final : public Scorer {
 public:
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks;
    for (int64_t first = 1; first < tokens; first += chunk_targets) {
      chunks.push_back({.first = first, .count = std::min(chunk_targets, tokens - first)});
    }
    return chunks;
  }
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    calls += " open" + std::to_string(chunk.first) + ":" + std::to_string(known.size());
  }
  void predict(int64_t target, TokenDistribution& distribution) override {
    calls += " predict" + std::to_string(target);
    double mass = 0;
    for (size_t i = 0; i < counts.size(); ++i) mass += counts[i];
    for (size_t i = 0; i < counts.size(); ++i) {
      logits[i] = static_cast<float>(std::log(counts[i] / mass)) + bias;
    }
    distribution.network = {.logits = logits, .log_normaliser = 0, .entropy_nats = 0};
    distribution.mixed = {};
  }
  void perceive(int64_t target, int32_t token) override {
    calls += " perceive" + std::to_string(target);
    counts[static_cast<size_t>(token)] += 1;
  }
  void close_chunk(const ScoredChunk& scored) override {
    calls += " close" + std::to_string(scored.chunk().first);
    EXPECT_EQ(static_cast<int64_t>(scored.tokens().size()), scored.chunk().end());
    EXPECT_EQ(scored.tokens().data(), stream.data());
  }
  uint64_t state_hash() const override { return 0; }

  std::string calls;
  std::vector<double> counts = std::vector<double>(kVocab, 1.0);
  std::vector<float> logits = std::vector<float>(kVocab);
  float bias = 0;
  int64_t chunk_targets = 3;
  std::span<const int32_t> stream = kStream;
};

double expected_bits() {
  std::vector<double> counts(kVocab, 1.0);
  double mass = kVocab, bits = 0;
  for (size_t i = 1; i < kStream.size(); ++i) {
    bits -= std::log2(counts[static_cast<size_t>(kStream[i])]++ / mass++);
  }
  return bits;
}

TEST(Ledger, AddsUpBitsBytesTokensAndDocuments) {
  CountingScorer scorer;
  const LedgerTotals totals = Ledger(kStream, kBytes).score(scorer);
  EXPECT_NEAR(totals.bits, expected_bits(), 7 * 2e-7);  // the scorer's logits are fp32
  EXPECT_EQ(totals.tokens, 7);
  EXPECT_EQ(totals.bytes, 5 + 7 + 0 + 7 + 4 + 4 + 0);  // 6 after 5 has its space's byte
  EXPECT_EQ(totals.documents, 3);
  EXPECT_DOUBLE_EQ(totals.bits_per_byte(), totals.bits / 27);
  EXPECT_DOUBLE_EQ(totals.loss_nats(), totals.bits * std::log(2.0) / 7);
}

TEST(Ledger, CaseOperatorsCostBitsAndStandForBytesWhereTheyAreText) {
  ByteTable bytes = kBytes;
  bytes.operators = {5, 6, 7, 4};  // 4 escapes
  for (const int32_t id : bytes.operators) bytes.bytes[static_cast<size_t>(id)] = 0;
  bytes.leading_space.assign(kVocab, 0);
  bytes.bytes[3] = 2;
  const std::vector<int32_t> stream = {1, 4, 5, 3, 7,
                                       3, 4, 4, 6, 1};  // ESC 5, CAP, ESC ESC, 6 acts
  CountingScorer scorer;
  scorer.stream = stream;
  const LedgerTotals totals = Ledger(stream, bytes).score(scorer);
  EXPECT_EQ(totals.tokens, 9);
  EXPECT_EQ(totals.bytes, 0 + 3 + 2 + 0 + 2 + 0 + 3 + 0 + 0);
}

TEST(Ledger, OpensAChunkOnceWithAllTokensBeforeItsLastTarget) {
  CountingScorer scorer;
  Ledger(kStream, kBytes).score(scorer);
  EXPECT_EQ(scorer.calls,
            " open1:3 predict1 perceive1 predict2 perceive2 predict3 perceive3 close1"
            " open4:6 predict4 perceive4 predict5 perceive5 predict6 perceive6 close4"
            " open7:7 predict7 perceive7 close7");
}

TEST(Ledger, AsADecoderShowsOnlyTheTokensBeforeTheTarget) {
  CountingScorer scorer, metered;
  const LedgerTotals totals = Ledger(kStream, kBytes).score_as_decoder(scorer);
  EXPECT_EQ(scorer.calls,
            " open1:1 predict1 perceive1 open1:2 predict2 perceive2 open1:3 predict3 perceive3"
            " close1 open4:4 predict4 perceive4 open4:5 predict5 perceive5 open4:6 predict6"
            " perceive6 close4 open7:7 predict7 perceive7 close7");
  EXPECT_EQ(totals.bits, Ledger(kStream, kBytes).score(metered).bits);
}

TEST(Ledger, HooksSeeEveryTargetAndChunk) {
  CountingScorer scorer;
  std::string seen;
  double bits = 0;
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t target, const TokenDistribution& distribution) {
    seen += " d" + std::to_string(target);
    EXPECT_EQ(distribution.vocab_size(), kVocab);
  };
  hooks.on_score = [&](int64_t target, int32_t token, double cost) {
    seen += " s" + std::to_string(target);
    EXPECT_EQ(token, kStream[static_cast<size_t>(target)]);
    bits += cost;
  };
  hooks.on_chunk = [&](const LedgerEvent& event) {
    seen += " b" + std::to_string(event.chunk->first);
    EXPECT_EQ(event.totals->bits, bits);
  };
  Ledger(kStream, kBytes).score(scorer, hooks);
  EXPECT_EQ(seen, " d1 s1 d2 s2 d3 s3 b1 d4 s4 d5 s5 d6 s6 b4 d7 s7 b7");
}

// Also within a chunk, however long: a line every few seconds needs it.
TEST(Ledger, ProgressComesWithinAChunkAndAtItsEnd) {
  const std::vector<int32_t> stream(2 * kProgressTargets + 8, 2);
  CountingScorer scorer;
  scorer.chunk_targets = 2 * kProgressTargets + 2;
  scorer.stream = stream;
  std::vector<int64_t> seen;
  LedgerHooks hooks;
  hooks.on_progress = [&](const LedgerTotals& totals) { seen.push_back(totals.tokens); };
  Ledger(stream, kBytes).score(scorer, hooks);
  EXPECT_EQ(seen, (std::vector<int64_t>{kProgressTargets, 2 * kProgressTargets,
                                        2 * kProgressTargets + 2, 2 * kProgressTargets + 7}));
}

TEST(Ledger, RefusesWhatIsNoProbability) {
  for (const float bias : {0.5f + std::log(8.0f), NAN, INFINITY, -INFINITY}) {
    CountingScorer scorer;
    scorer.bias = bias;
    EXPECT_THROW(Ledger(kStream, kBytes).score(scorer), Error) << bias;
  }
}

// An order of its own choosing.
class MisorderedScorer final : public Scorer {
 public:
  explicit MisorderedScorer(std::vector<Chunk> order) : order_(std::move(order)) {}
  std::vector<Chunk> plan_order(int64_t) const override { return order_; }
  void open_chunk(const Chunk&, std::span<const int32_t>) override { FAIL() << "opened a chunk"; }
  void predict(int64_t, TokenDistribution&) override {}
  void perceive(int64_t, int32_t) override {}
  void close_chunk(const ScoredChunk&) override {}
  uint64_t state_hash() const override { return 0; }

 private:
  std::vector<Chunk> order_;
};

TEST(Ledger, RefusesAnOrderThatLeavesOutOrRepeatsTargets) {
  const std::vector<std::vector<Chunk>> orders = {
      {},                                  // nothing
      {{.first = 0, .count = 8}},          // the first token has no context
      {{.first = 1, .count = 6}},          // one short
      {{.first = 1, .count = 8}},          // one too many
      {{.first = 1, .count = 3}, {5, 3}},  // a gap
      {{.first = 1, .count = 3}, {3, 5}},  // a repeat
      {{.first = 4, .count = 4}, {1, 3}},  // backwards
      {{.first = 1, .count = 7}, {8, 0}},  // an empty chunk
      {{.first = 1, .count = 7}, {1, 7}},  // twice
  };
  for (size_t i = 0; i < orders.size(); ++i) {
    MisorderedScorer scorer(orders[i]);
    EXPECT_THROW(Ledger(kStream, kBytes).score(scorer), Error) << "order " << i;
  }
}

TEST(Ledger, RefusesStreamsWithoutATargetAndForeignTokens) {
  EXPECT_THROW(Ledger({}, kBytes), Error);
  EXPECT_THROW(Ledger(std::vector<int32_t>{1}, kBytes), Error);
  EXPECT_THROW(Ledger(std::vector<int32_t>{1, 8}, kBytes), Error);
  EXPECT_THROW(Ledger(std::vector<int32_t>{-1, 2}, kBytes), Error);
}

}  // namespace
}  // namespace pg
