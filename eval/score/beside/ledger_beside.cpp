// Documents that are scored side by side. A target's token is read here alone, after its
// distribution is there; a scorer sees no token of a document behind the chunk that is open. What
// the targets cost is then added up by the loop that adds up every score, in stream order.
#include <algorithm>
#include <limits>
#include <numbers>

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

// Longer documents first, so that those of a batch end at about the same time.
void Ledger::walk_beside(Scorer& scorer, std::span<const int32_t> stream,
                         const std::function<void(std::span<const OpenBeside>)>& on_open) {
  std::vector<Document> documents = list_documents(stream, scorer.document_chunk_targets());
  const auto count = static_cast<int64_t>(documents.size());
  const auto at = [&](int64_t i) { return documents.begin() + static_cast<ptrdiff_t>(i); };
  for (int64_t done = 0; done < count;) {
    const int64_t until = scorer.documents_until(done), end = std::min(until, count);
    const Chunk text = {at(done)->begin + 1, at(end - 1)->end - at(done)->begin - 1};
    std::stable_sort(at(done), at(end), [](const Document& a, const Document& b) {
      return a.end - a.begin > b.end - b.begin;
    });
    for (; done < end; done = std::min(done + scorer.documents_at_once(), end)) {
      const auto first = at(done), last = at(std::min(done + scorer.documents_at_once(), end));
      scorer.begin_documents();
      for (size_t k = 0; k < first->chunks.size(); ++k) {
        std::vector<OpenBeside> places;
        std::vector<OpenDocument> open;
        std::vector<ScoredChunk> scored;
        for (auto document = first; document < last && k < document->chunks.size(); ++document) {
          const Chunk& chunk = document->chunks[k];
          const auto tokens = stream.subspan(static_cast<size_t>(document->begin),
                                             static_cast<size_t>(chunk.end()));
          places.push_back({document->begin, chunk});
          open.push_back({chunk, tokens.first(tokens.size() - 1)});
          scored.push_back(ScoredChunk(chunk, tokens));
        }
        scorer.open_documents(open);
        on_open(places);
        scorer.close_documents(scored);
      }
    }
    if (until <= count) {
      scorer.close_text(ScoredChunk(text, stream.first(static_cast<size_t>(text.end()))));
    }
  }
}

LedgerTotals Ledger::score_beside(Scorer& scorer, const LedgerHooks& hooks) const {
  std::vector<float> log_probs(stream_.size(), std::numeric_limits<float>::quiet_NaN());
  LedgerTotals seen;  // in the order of scoring, for who waits
  TokenDistribution distribution;
  walk_beside(scorer, stream_, [&](std::span<const OpenBeside> open) {
    for (int64_t i = 0; i < open.front().chunk.count; ++i) {
      for (size_t d = 0; d < open.size() && i < open[d].chunk.count; ++d) {
        const int64_t target = open[d].chunk.first + i;
        const auto place = static_cast<size_t>(open[d].begin + target);
        scorer.predict_beside(d, target, distribution);
        if (hooks.on_distribution) hooks.on_distribution(open[d].begin + target, distribution);
        log_probs[place] = distribution.log_prob(stream_[place]);
        const double bits = -static_cast<double>(log_probs[place]) / std::numbers::ln2;
        if (hooks.on_score) hooks.on_score(open[d].begin + target, stream_[place], bits);
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
