// One loop serves both tiers; they differ in how much the scorer is shown and how often. A target's
// token is read by the ledger alone, after its distribution is there.
#include "eval/score/ledger.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

// <parts>
#include "eval/score/document_chunks.h"
// </parts>
#include "src/base/error.h"

namespace pg {
namespace {

// A probability of 1 may come out of fp32 a few roundings above it; anything more is no rounding.
constexpr float kMostLogProb = 1e-5f;

void check_order(const std::vector<Chunk>& chunks, int64_t tokens) {
  int64_t next = 1;
  for (const Chunk& chunk : chunks) {
    if (chunk.first != next || chunk.count < 1) {
      throw Error(fmt::format(
          "order of scoring leaves out or repeats targets: {} targets from {} on where target {} "
          "is next; a scorer must take every target once, in order",
          chunk.count, chunk.first, next));
    }
    next = chunk.end();
  }
  if (next != tokens) {
    throw Error(fmt::format("order of scoring ends at target {} of {}; every target must be scored",
                            next, tokens));
  }
}

std::vector<Chunk> list_chunks(const Scorer& scorer, std::span<const int32_t> stream) {
  const auto tokens = static_cast<int64_t>(stream.size());
  std::vector<Chunk> chunks = scorer.plan_order(tokens);
  check_order(chunks, tokens);
  // <parts>
  if (const int64_t most = scorer.document_chunk_targets(); most > 0) {
    return follow_documents(stream, most);
  }
  // </parts>
  return chunks;
}

double to_bits(float log_prob, int64_t target) {
  if (!std::isfinite(log_prob) || log_prob > kMostLogProb) {
    throw Error(fmt::format(
        "log probability of validation token {} is not that of a probability: {} nats; the weights "
        "are broken, pack another checkpoint",
        target, log_prob));
  }
  return -static_cast<double>(log_prob) / std::numbers::ln2;
}

}  // namespace

double LedgerTotals::loss_nats() const {
  return tokens > 0 ? bits * std::numbers::ln2 / static_cast<double>(tokens) : 0.0;
}

Ledger::Ledger(std::span<const int32_t> stream, const ByteTable& bytes)
    : stream_(stream), bytes_(&bytes) {
  if (stream.size() < 2) {
    throw Error(fmt::format(
        "validation stream has no target: {} tokens; give a stream of at least 2 tokens",
        stream.size()));
  }
  const size_t vocab_size = bytes.bytes.size();
  for (size_t i = 0; i < stream.size(); ++i) {
    if (stream[i] < 0 || static_cast<size_t>(stream[i]) >= vocab_size) {
      throw Error(fmt::format(
          "validation token {} is not in the vocabulary: {} of {}; use the shards of the "
          "artifact's tokenizer",
          i, stream[i], vocab_size));
    }
  }
}

LedgerTotals Ledger::score(Scorer& scorer, const LedgerHooks& hooks) const {
  return run(scorer, hooks, /*as_decoder=*/false);
}

LedgerTotals Ledger::score_as_decoder(Scorer& scorer, const LedgerHooks& hooks) const {
  return run(scorer, hooks, /*as_decoder=*/true);
}

void Ledger::follow(Scorer& scorer, std::span<const int32_t> stream) {
  for (const Chunk& chunk : list_chunks(scorer, stream)) {
    scorer.open_chunk(chunk, stream.first(static_cast<size_t>(chunk.end()) - 1));
    scorer.close_chunk(ScoredChunk(chunk, stream.first(static_cast<size_t>(chunk.end()))));
  }
}

LedgerTotals Ledger::run(Scorer& scorer, const LedgerHooks& hooks, bool as_decoder) const {
  LedgerTotals totals;
  totals.documents = stream_[0] == kBosId ? 1 : 0;
  TokenDistribution distribution;
  for (const Chunk& chunk : list_chunks(scorer, stream_)) {
    if (!as_decoder) scorer.open_chunk(chunk, stream_.first(static_cast<size_t>(chunk.end()) - 1));
    for (int64_t target = chunk.first; target < chunk.end(); ++target) {
      const auto at = static_cast<size_t>(target);
      if (as_decoder) scorer.open_chunk(chunk, stream_.first(at));
      scorer.predict(target, distribution);
      if (hooks.on_distribution) hooks.on_distribution(target, distribution);
      const int32_t token = stream_[at];
      const double bits = to_bits(distribution.log_prob(token), target);
      totals.bits += bits;
      totals.bytes += bytes_->token_bytes(stream_, at);
      if (token == kBosId) ++totals.documents;
      ++totals.tokens;
      if (hooks.on_score) hooks.on_score(target, token, bits);
      scorer.perceive(target, token);
      const bool is_last = target + 1 == chunk.end();
      if (hooks.on_progress && !is_last && (target + 1 - chunk.first) % kProgressTargets == 0) {
        hooks.on_progress(totals);
      }
    }
    scorer.close_chunk(ScoredChunk(chunk, stream_.first(static_cast<size_t>(chunk.end()))));
    if (hooks.on_chunk) hooks.on_chunk({.chunk = &chunk, .totals = &totals});
    if (hooks.on_progress) hooks.on_progress(totals);
  }
  return totals;
}

}  // namespace pg
