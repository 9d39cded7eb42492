// Documents that are scored side by side. A target's token is read here alone, after its
// distribution is there; a scorer sees no token of a document behind the chunk that is open. What
// the targets cost is then added up by the loop that adds up every score, in stream order.
#include <algorithm>
#include <limits>
#include <numbers>

#include "eval/score/beside/document_batches.h"
#include "eval/score/beside/document_list.h"
#include "eval/score/ledger.h"

namespace pg {
namespace {

// Gives each target the probability that its token was found to have.
class FoundProbabilities final : public Scorer {
 public:
  FoundProbabilities(std::span<const int32_t> stream, std::span<const float> log_probs)
      : stream_(stream), log_probs_(log_probs) {}
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    return {{.first = 1, .count = tokens - 1}};
  }
  void open_chunk(const Chunk&, std::span<const int32_t>) override {}
  void predict(int64_t target, TokenDistribution& distribution) override {
    distribution.mixed.count = 1;
    distribution.mixed.tokens[0] = stream_[static_cast<size_t>(target)];
    distribution.mixed.log_probs[0] = log_probs_[static_cast<size_t>(target)];
  }
  void perceive(int64_t, int32_t) override {}
  void close_chunk(const ScoredChunk&) override {}
  uint64_t state_hash() const override { return 0; }

 private:
  std::span<const int32_t> stream_;
  std::span<const float> log_probs_;
};

}  // namespace

void Ledger::walk_beside(Scorer& scorer, std::span<const int32_t> stream,
                         const std::function<void(std::span<const OpenBeside>)>& on_open) {
  const std::vector<Document> documents = list_documents(stream, scorer.document_chunk_targets());
  std::vector<int64_t> chunks;  // of each
  for (const Document& document : documents) chunks.push_back(std::ssize(document.chunks));
  const auto count = std::ssize(documents);
  for (int64_t done = 0; done < count;) {
    const int64_t until = scorer.documents_until(done), end = std::min(until, count);
    for (const DocumentBatch& batch : batch_documents(
             std::span(chunks).subspan(static_cast<size_t>(done), static_cast<size_t>(end - done)),
             done, scorer.document_rows())) {
      scorer.begin_documents(batch.numbers);
      for (int64_t k = 0; k < batch.most_chunks; ++k) {
        std::vector<OpenBeside> places;
        std::vector<OpenDocument> open;
        std::vector<ScoredChunk> scored;
        for (size_t row = 0; row < batch.numbers.size(); ++row) {
          const int64_t number = batch.numbers[row];
          if (number < 0 || k >= chunks[static_cast<size_t>(number)]) continue;
          const Document& document = documents[static_cast<size_t>(number)];
          const Chunk& chunk = document.chunks[static_cast<size_t>(k)];
          const auto tokens =
              stream.subspan(static_cast<size_t>(document.begin), static_cast<size_t>(chunk.end()));
          const auto at = static_cast<int64_t>(row);
          places.push_back({at, document.begin, chunk});
          open.push_back({at, chunk, tokens.first(tokens.size() - 1)});
          scored.push_back(ScoredChunk(chunk, tokens));
        }
        scorer.open_documents(open);
        on_open(places);
        scorer.close_documents(scored);
      }
    }
    if (until <= count) {
      const int64_t first = documents[static_cast<size_t>(done)].begin + 1;
      const int64_t text_end = documents[static_cast<size_t>(end) - 1].end;
      scorer.close_text(
          ScoredChunk({first, text_end - first}, stream.first(static_cast<size_t>(text_end))));
    }
    done = end;
  }
}

LedgerTotals Ledger::score_beside(Scorer& scorer, const LedgerHooks& hooks) const {
  std::vector<float> log_probs(stream_.size(), std::numeric_limits<float>::quiet_NaN());
  LedgerTotals seen;  // in the order of scoring, for who waits
  TokenDistribution distribution;
  walk_beside(scorer, stream_, [&](std::span<const OpenBeside> open) {
    int64_t most = 0;
    for (const OpenBeside& document : open) most = std::max(most, document.chunk.count);
    for (int64_t i = 0; i < most; ++i) {
      for (const auto& [row, begin, chunk] : open) {
        if (i >= chunk.count) continue;
        const int64_t target = chunk.first + i;
        const auto place = static_cast<size_t>(begin + target);
        scorer.predict_beside(row, target, distribution);
        if (hooks.on_distribution) hooks.on_distribution(begin + target, distribution);
        log_probs[place] = distribution.log_prob(stream_[place]);
        const double bits = -static_cast<double>(log_probs[place]) / std::numbers::ln2;
        if (hooks.on_score) hooks.on_score(begin + target, stream_[place], bits);
        seen.bits += bits;
        seen.bytes += bytes_->token_bytes(stream_, place);
        ++seen.tokens;
        if (hooks.on_progress && seen.tokens % kProgressTargets == 0) hooks.on_progress(seen);
      }
    }
  });
  FoundProbabilities found(stream_, log_probs);
  const LedgerTotals totals = run(found, {}, /*as_decoder=*/false);
  if (hooks.on_progress) hooks.on_progress(totals);
  return totals;
}

void Ledger::follow_beside(Scorer& scorer, std::span<const int32_t> stream) {
  walk_beside(scorer, stream, [](std::span<const OpenBeside>) {});
}

}  // namespace pg
