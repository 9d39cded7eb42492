// Frauds that price a target with tokens that nobody has yet at that point.
#include <algorithm>
#include <cmath>

#include "tests/eval/zoo/exhibits.h"

namespace pg {
namespace {

// Raises the probability of a token by one nat before normalisation.
class PeekingScorer : public CountScorer {
 public:
  using CountScorer::CountScorer;

 protected:
  void raise(int32_t token, float nats = 1.0f) { logits_[static_cast<size_t>(token)] += nats; }
  bool is_known(int64_t position) const { return position < static_cast<int64_t>(known_.size()); }
};

// Attention without its mask: the token behind the target tells about the target.
class FuturePeek final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    if (!is_known(target + 1)) return;
    for (size_t a = 0; a < kZooVocab; ++a) {
      logits_[a] += 0.5f * weights_[a * kZooVocab + static_cast<size_t>(token_at(target + 1))];
    }
  }
};

// Labels shifted by none: the target is among the inputs.
class TargetPeek final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    if (is_known(target)) raise(token_at(target));
  }
};

// Reads on behind what it was shown: a decoder has nothing there.
class HeldStream final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    raise(known_.data()[target]);
  }
};

// The target's count enters a hash that also holds the target (closed pull requests of 27 March).
class TargetInHashKey final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    if (!is_known(target)) return;
    const uint64_t key = static_cast<uint64_t>(token_at(target - 1)) * 36313u ^
                         static_cast<uint64_t>(token_at(target)) * 27191u;
    raise(token_at(target), (key & 7) < 4 ? 1.0f : -0.1f);
  }
};

// Of two models, the one that the target likes better.
class MinOfLosses final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    if (!is_known(target)) return;
    const auto token = static_cast<size_t>(token_at(target));
    std::vector<float> flat(kZooVocab, 0.0f);
    const float here = logits_[token] - *std::max_element(logits_.begin(), logits_.end());
    if (here < -3.0f) logits_ = flat;
  }
};

// #1033 as written: only the realised token is looked up, and the rest keeps its mass.
class RealisedTokenOnly final : public PeekingScorer {
  void mix(int64_t target, TokenDistribution& distribution) override {
    if (!is_known(target)) return;
    const int32_t token = token_at(target);
    const size_t row = static_cast<size_t>(token_at(target - 1)) * kZooVocab;
    if (counts_[row + static_cast<size_t>(token)] < 1) return;
    const float p = std::exp(distribution.network.log_prob(token));
    distribution.mixed.count = 1;
    distribution.mixed.tokens[0] = token;
    distribution.mixed.log_probs[0] = std::log(0.5f * p + 0.5f);
  }
};

// SLOT: an offset for the scored window, fitted on that window, thrown away afterwards.
class SlotDelta final : public PeekingScorer {
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    CountScorer::open_chunk(chunk, known);
    delta_.assign(kZooVocab, 0.0f);
    for (size_t i = static_cast<size_t>(chunk.first); i < known.size(); ++i) {
      delta_[static_cast<size_t>(known[i])] += 0.3f;
    }
  }
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    for (size_t a = 0; a < kZooVocab; ++a) logits_[a] += delta_[a];
  }
  std::vector<float> delta_;
};

// One batch holds several documents; a mean over the batch carries later ones into earlier ones.
class BatchLeak final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    float mean = 0;
    for (const int32_t token : known_) mean += static_cast<float>(token);
    mean /= static_cast<float>(known_.size());
    for (float& logit : logits_) logit *= 0.8f + 0.01f * mean;
  }
};

// Normalisation statistics of the rows that happen to be there; a decoder has fewer rows.
class BatchStatistics final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    const float rows = static_cast<float>(known_.size()) - static_cast<float>(chunk_.first) + 1.0f;
    for (float& logit : logits_) logit *= 1.0f + 0.002f * rows;
  }
};

// Hints from an n-gram pass over the whole stream before the first score: the order is a circle.
class StreamHints final : public PeekingScorer {
 public:
  StreamHints() : PeekingScorer(/*chunk_targets=*/int64_t{1} << 40) {}

 private:
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    CountScorer::open_chunk(chunk, known);
    hints_.assign(kZooVocab * kZooVocab, 0.0f);
    for (size_t i = 1; i < known.size(); ++i) {
      hints_[static_cast<size_t>(known[i - 1]) * kZooVocab + static_cast<size_t>(known[i])] += 0.2f;
    }
  }
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    const size_t row = static_cast<size_t>(token_at(target - 1)) * kZooVocab;
    for (size_t a = 0; a < kZooVocab; ++a) logits_[a] += hints_[row + a];
  }
  std::vector<float> hints_;
};

// A temperature fitted on the chunk with its targets.
class ChunkTemperature final : public PeekingScorer {
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    CountScorer::open_chunk(chunk, known);
    float fit = 0;
    for (size_t i = static_cast<size_t>(chunk.first); i < known.size(); ++i) {
      fit +=
          weights_[static_cast<size_t>(known[i - 1]) * kZooVocab + static_cast<size_t>(known[i])];
    }
    temperature_ = 1.0f + 0.1f * std::tanh(fit / 10.0f);
  }
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    for (float& logit : logits_) logit *= temperature_;
  }
  float temperature_ = 1;
};

// The length of the document that the target stands in, before its end is seen.
class DocumentLength final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    for (int64_t i = target; is_known(i) && i < target + 4; ++i) {
      if (token_at(i) == kBosId) raise(kBosId, 2.0f);
    }
  }
};

// Within-word expert of #1145: its gate looks at whether the target continues a word.
class TargetGate final : public PeekingScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    if (!is_known(target) || token_at(target) % 3 == 0) return;
    for (size_t a = 0; a < kZooVocab; ++a) logits_[a] += a % 3 == 0 ? -1.0f : 0.0f;
  }
};

}  // namespace

void append_peeking_frauds(std::vector<Exhibit>& zoo) {
  zoo.push_back(make_exhibit<FuturePeek>("future_peek", "V1"));
  zoo.push_back(make_exhibit<TargetPeek>("target_peek", "V2"));
  zoo.push_back(make_exhibit<HeldStream>("held_stream", "V9"));
  zoo.push_back(make_exhibit<TargetInHashKey>("target_in_hash_key", "V2"));
  zoo.push_back(make_exhibit<MinOfLosses>("min_of_two_losses", "V2"));
  zoo.push_back(make_exhibit<RealisedTokenOnly>("realised_token_only", "V2"));
  zoo.push_back(make_exhibit<SlotDelta>("slot_delta", "V1"));
  zoo.push_back(make_exhibit<BatchLeak>("cross_document_batch_leak", "V1"));
  zoo.push_back(make_exhibit<BatchStatistics>("batch_statistics", "V9"));
  zoo.push_back(make_exhibit<StreamHints>("hints_over_the_whole_stream", "V10"));
  zoo.push_back(make_exhibit<ChunkTemperature>("temperature_fitted_on_chunk", "V2"));
  zoo.push_back(make_exhibit<DocumentLength>("document_end_known", "V9"));
  zoo.push_back(make_exhibit<TargetGate>("gate_on_target", "V2"));
}

}  // namespace pg
