// <parts>
#include "eval/mix/ppm_mixer.h"

#include <algorithm>
#include <array>

#include "eval/mix/linear_blend.h"

namespace pg {

PpmMixer::PpmMixer(const MixConfig& config, int64_t vocab_size, int64_t expected_tokens)
    : weight_(config.ppm_weight),
      counts_(static_cast<int>(config.min_order), static_cast<int>(config.max_order),
              expected_tokens),
      tokens_(static_cast<size_t>(vocab_size)),
      probs_(static_cast<size_t>(vocab_size)),
      log_probs_(static_cast<size_t>(vocab_size)) {}

// visit_counts(f) calls f(token, count) for each token that was seen.
template <class VisitCounts>
void PpmMixer::add_counts(const VisitCounts& visit_counts) {
  double sum = 0;
  size_t distinct = 0;
  visit_counts([&](size_t token, uint32_t count) {
    if (probs_[token] > 0) return;
    sum += count;
    ++distinct;
  });
  if (distinct == 0) return;
  others_ -= distinct;
  const double escapes = others_ == 0 ? 0 : static_cast<double>(distinct);
  const double per_count = left_ / (sum + escapes);
  visit_counts([&](size_t token, uint32_t count) {
    if (probs_[token] == 0) probs_[token] = per_count * count;
  });
  left_ = per_count * escapes;
}

void PpmMixer::fill_probs() {
  std::fill(probs_.begin(), probs_.end(), 0.0);
  left_ = 1;
  others_ = probs_.size();
  std::array<SeenContext, ContextCounts::kMaxOrder> seen;
  const auto contexts = static_cast<size_t>(counts_.seen_contexts(seen));
  for (size_t c = 0; c < contexts; ++c) {
    add_counts([&](const auto& visit) {
      for (const Successor successor : seen[c].successors) visit(successor.token, successor.count);
    });
  }
  add_counts([&](const auto& visit) {
    for (size_t a = 0; a < tokens_.size(); ++a) {
      if (tokens_[a] > 0) visit(a, tokens_[a]);
    }
  });
  for (double& prob : probs_) {
    if (prob == 0) prob = left_ / static_cast<double>(others_);
  }
}

void PpmMixer::predict(const NetworkDistribution& network, MixedDistribution& mixed) {
  fill_probs();
  blend_linearly(network, weight_, weight_, probs_, log_probs_, mixed);
}

void PpmMixer::learn(int32_t token) {
  counts_.learn(token);
  ++tokens_[static_cast<size_t>(token)];
}

// </parts>
// <train_gpt>
uint64_t PpmMixer::state_hash() const {
  return hash_memory(std::span<const uint32_t>(tokens_), counts_.state_hash());
}
// </train_gpt>
// <parts>

}  // namespace pg
// </parts>
