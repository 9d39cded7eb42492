// Legal scorers that learn from what is scored, and none that must be turned away for it.
#include <algorithm>
#include <bit>
#include <cmath>

#include "src/base/rng.h"
#include "tests/eval/zoo/exhibits.h"

namespace pg {
namespace {

// Every token equally likely.
class Uniform final : public CountScorer {
  void fill_logits(int64_t) override { std::fill(logits_.begin(), logits_.end(), 0.0f); }
};

// Almost sure of one token each time; large costs, but a distribution.
class Overconfident final : public CountScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    for (float& logit : logits_) logit = std::clamp(8.0f * logit, -25.0f, 25.0f);
  }
};

// The network's pass over a chunk in open_chunk: row t from the tokens before t, kept for predict.
class TeacherForced final : public CountScorer {
 public:
  using CountScorer::CountScorer;

 private:
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    CountScorer::open_chunk(chunk, known);
    rows_.clear();
    const int64_t end = std::min(chunk.end(), static_cast<int64_t>(known.size()) + 1);
    for (int64_t t = chunk.first; t < end; ++t) {
      const auto row = static_cast<size_t>(known[static_cast<size_t>(t) - 1]) * kZooVocab;
      rows_.insert(rows_.end(), weights_.begin() + static_cast<int64_t>(row),
                   weights_.begin() + static_cast<int64_t>(row + kZooVocab));
    }
  }
  void fill_logits(int64_t target) override {
    const int64_t row = (target - chunk_.first) * kZooVocab;
    std::copy_n(rows_.begin() + row, kZooVocab, logits_.begin());
  }
  std::vector<float> rows_;  // [targets, V]
};

// Chunks that grow with their place in the stream, whatever its length.
class GrowingChunks final : public CountScorer {
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks;
    int64_t count = 1;
    for (int64_t first = 1; first < tokens; first = chunks.back().end(), ++count) {
      chunks.push_back({first, std::min(count, tokens - first)});
    }
    return chunks;
  }
};

// Forgets all at the start of a document.
class DocumentReset final : public CountScorer {
  void perceive(int64_t target, int32_t token) override {
    CountScorer::perceive(target, token);
    if (token == kBosId) std::fill(counts_.begin(), counts_.end(), 0.0f);
  }
};

// Older counts fade.
class FadingCounts final : public CountScorer {
  void perceive(int64_t target, int32_t token) override {
    for (float& count : counts_) count *= 0.99f;
    CountScorer::perceive(target, token);
  }
};

// Counts whole chunks, after their scores.
class LearnsByChunk : public CountScorer {
 public:
  explicit LearnsByChunk(int64_t chunk_targets = 24, int epochs = 1)
      : CountScorer(chunk_targets, /*learns=*/false), epochs_(epochs) {}

 private:
  void close_chunk(const ScoredChunk& scored) override {
    const auto tokens = scored.tokens();
    for (int epoch = 0; epoch < epochs_; ++epoch) {
      for (auto i = static_cast<size_t>(scored.chunk().first); i < tokens.size(); ++i) {
        counts_[static_cast<size_t>(tokens[i - 1]) * kZooVocab + static_cast<size_t>(tokens[i])] +=
            1.0f;
      }
    }
  }
  int epochs_;
};

// A bias over the vocabulary, trained on each scored chunk by gradient descent: test-time training.
enum class Rule { kSgd, kMomentum, kAdam };
class BiasTraining final : public CountScorer {
 public:
  explicit BiasTraining(Rule rule, bool resets = false)
      : CountScorer(24, /*learns=*/false), rule_(rule), resets_(resets) {}

 private:
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    for (size_t a = 0; a < kZooVocab; ++a) logits_[a] += bias_[a];
  }
  void close_chunk(const ScoredChunk& scored) override {
    const auto tokens = scored.tokens();
    for (int64_t t = scored.chunk().first; t < scored.chunk().end(); ++t) {
      const int32_t token = tokens[static_cast<size_t>(t)];
      if (resets_ && token == kBosId) reset();
      step(t, token);
    }
  }
  void reset() {
    for (auto* state : {&bias_, &momentum_, &square_})
      std::fill(state->begin(), state->end(), 0.0f);
  }
  void step(int64_t target, int32_t token) {
    fill_logits(target);
    TokenDistribution now;
    normalise(now);
    ++steps_;
    for (size_t a = 0; a < kZooVocab; ++a) {
      const float p = std::exp(now.network.log_prob(static_cast<int32_t>(a)));
      const float gradient = p - (static_cast<int32_t>(a) == token ? 1.0f : 0.0f);
      momentum_[a] = rule_ == Rule::kSgd ? gradient : 0.9f * momentum_[a] + 0.1f * gradient;
      square_[a] = 0.99f * square_[a] + 0.01f * gradient * gradient;
      const float scale = rule_ == Rule::kAdam ? 1.0f / (std::sqrt(square_[a]) + 1e-3f) : 1.0f;
      bias_[a] -= 0.05f * scale * momentum_[a];
    }
  }
  uint64_t state_hash() const override {
    uint64_t hash = mix64(hash_counts() ^ static_cast<uint64_t>(steps_));
    for (const auto* state : {&bias_, &momentum_, &square_}) {
      for (const float value : *state) hash = mix64(hash ^ std::bit_cast<uint32_t>(value));
    }
    return hash;
  }

  Rule rule_;
  bool resets_;
  int64_t steps_ = 0;
  std::vector<float> bias_ = std::vector<float>(kZooVocab), momentum_ = bias_, square_ = bias_;
};

// A temperature fitted on the chunks before this one.
class PastTemperature final : public CountScorer {
  void perceive(int64_t target, int32_t token) override {
    TokenDistribution now;
    CountScorer::fill_logits(target);
    normalise(now);
    cost_ += -now.network.log_prob(token) - now.network.entropy_nats;
    CountScorer::perceive(target, token);
  }
  void close_chunk(const ScoredChunk& scored) override {
    CountScorer::close_chunk(scored);
    temperature_ *= cost_ > 0 ? 0.98f : 1.02f;
    cost_ = 0;
  }
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    for (float& logit : logits_) logit *= temperature_;
  }
  uint64_t state_hash() const override {
    return mix64(hash_counts() ^ std::bit_cast<uint32_t>(temperature_)) ^
           std::bit_cast<uint32_t>(cost_);
  }
  float temperature_ = 1, cost_ = 0;
};

// Two states of the model, weighed by how they did so far: a mixture, not a choice afterwards.
class BayesianPair final : public CountScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    normalise_to(logits_, 1.0f, sharp_);
    normalise_to(logits_, 0.5f, soft_);
    const double w = 1.0 / (1.0 + std::exp(-log_odds_));
    for (size_t a = 0; a < kZooVocab; ++a) {
      logits_[a] = static_cast<float>(std::log(w * sharp_[a] + (1 - w) * soft_[a]));
    }
  }
  static void normalise_to(const std::vector<float>& logits, float scale, std::vector<double>& p) {
    double sum = 0;
    for (size_t a = 0; a < kZooVocab; ++a) sum += p[a] = std::exp(double{scale * logits[a]});
    for (double& value : p) value /= sum;
  }
  void perceive(int64_t target, int32_t token) override {
    const auto a = static_cast<size_t>(token);
    log_odds_ += std::log(sharp_[a]) - std::log(soft_[a]);
    CountScorer::perceive(target, token);
  }
  uint64_t state_hash() const override {
    return mix64(hash_counts() ^ std::bit_cast<uint64_t>(log_odds_));
  }
  std::vector<double> sharp_ = std::vector<double>(kZooVocab), soft_ = sharp_;
  double log_odds_ = 0;
};

}  // namespace

void append_legal_learners(std::vector<Exhibit>& zoo) {
  zoo.push_back(make_exhibit<CountScorer>("static_weights", "", int64_t{24}, false));
  zoo.push_back(make_exhibit<CountScorer>("counts_after_each_score", "", int64_t{24}, true));
  zoo.push_back(make_exhibit<CountScorer>("chunks_of_one", "", int64_t{1}, true));
  zoo.push_back(make_exhibit<CountScorer>("chunks_of_seven", "", int64_t{7}, true));
  zoo.push_back(make_exhibit<CountScorer>("one_chunk", "", int64_t{1} << 40, true));
  zoo.push_back(make_exhibit<GrowingChunks>("growing_chunks", ""));
  zoo.push_back(make_exhibit<Uniform>("uniform", ""));
  zoo.push_back(make_exhibit<Overconfident>("overconfident", ""));
  zoo.push_back(make_exhibit<TeacherForced>("teacher_forced_chunks", "", int64_t{24}));
  zoo.push_back(make_exhibit<TeacherForced>("teacher_forced_one_chunk", "", int64_t{1} << 40));
  zoo.push_back(make_exhibit<DocumentReset>("document_reset", ""));
  zoo.push_back(make_exhibit<FadingCounts>("fading_counts", ""));
  zoo.push_back(make_exhibit<LearnsByChunk>("learns_by_chunk", "", int64_t{24}, 1));
  zoo.push_back(make_exhibit<LearnsByChunk>("three_epochs_after_scoring", "", int64_t{40}, 3));
  zoo.push_back(make_exhibit<BiasTraining>("test_time_sgd", "", Rule::kSgd));
  zoo.push_back(make_exhibit<BiasTraining>("test_time_momentum", "", Rule::kMomentum));
  zoo.push_back(make_exhibit<BiasTraining>("test_time_adam", "", Rule::kAdam));
  zoo.push_back(make_exhibit<BiasTraining>("adam_reset_by_document", "", Rule::kAdam, true));
  zoo.push_back(make_exhibit<PastTemperature>("temperature_of_past_chunks", ""));
  zoo.push_back(make_exhibit<BayesianPair>("mixture_weighed_by_the_past", ""));
}

}  // namespace pg
