// <parts>
#include "eval/mix/cascade_mixer.h"

#include <algorithm>
#include <array>

#include "eval/mix/lazy_array.h"
#include "eval/mix/linear_blend.h"

namespace pg {
namespace {

constexpr std::array<uint64_t, 7> kCascadePrimes = {36313,  27191,  51647, 81929,
                                                    131071, 174763, 233017};

uint64_t cascade_term(int32_t token, int64_t place) {
  return static_cast<uint64_t>(token) * kCascadePrimes[static_cast<size_t>(place) % 7];
}

}  // namespace

CascadeMixer::CascadeMixer(const MixConfig& config, int64_t vocab_size)
    : config_(config),
      mask_(static_cast<uint64_t>(config.cascade_buckets) - 1),
      orders_(static_cast<size_t>(config.max_order - config.min_order + 1)),
      tokens_(static_cast<size_t>(vocab_size)),
      claims_(static_cast<size_t>(vocab_size)),
      log_probs_(static_cast<size_t>(vocab_size)) {
  for (Tables& tables : orders_) {
    tables.contexts.resize(static_cast<size_t>(config.cascade_buckets));
    tables.full.resize(static_cast<size_t>(config.cascade_buckets));
  }
}

// XOR over the last so many tokens, the oldest first.
uint64_t CascadeMixer::hash_context(int64_t tokens) const {
  uint64_t hash = 0;
  for (int64_t k = 0; k < tokens; ++k) {
    hash ^= cascade_term(recent_[recent_.size() - static_cast<size_t>(tokens - k)], k);
  }
  return hash;
}

void CascadeMixer::fill_claims() {
  for (int64_t order = config_.max_order; order >= config_.min_order; --order) {
    const int64_t tokens = order - 1;
    if (static_cast<int64_t>(recent_.size()) < tokens) continue;
    const Tables& tables = orders_[static_cast<size_t>(order - config_.min_order)];
    const uint64_t hash = hash_context(tokens);
    const uint32_t context = tables.contexts[hash & mask_];
    if (context < config_.cascade_min_count) continue;
    for (size_t a = 0; a < claims_.size(); ++a) {
      const uint64_t full = hash ^ cascade_term(static_cast<int32_t>(a), tokens);
      claims_[a] = std::min(tables.full[full & mask_], context);
    }
    return;
  }
  for (size_t a = 0; a < claims_.size(); ++a) claims_[a] = tokens_[a] + 0.5;
}

void CascadeMixer::predict(const NetworkDistribution& network, MixedDistribution& mixed) {
  fill_claims();
  double sum = 0;
  for (const double claim : claims_) sum += claim;
  double weight =
      config_.linear_base +
      config_.linear_range /
          (1 + exp_f64(-config_.linear_slope *
                       (static_cast<double>(network.entropy_nats) - config_.linear_centre_nats)));
  if (sum == 0) weight = 0;  // every token is claimed impossible: the counts say nothing
  blend_linearly(network, weight, sum == 0 ? 0 : weight / sum, claims_, log_probs_, mixed);
}

void CascadeMixer::learn(int32_t token) {
  for (int64_t order = config_.min_order; order <= config_.max_order; ++order) {
    const int64_t tokens = order - 1;
    if (static_cast<int64_t>(recent_.size()) < tokens) break;
    Tables& tables = orders_[static_cast<size_t>(order - config_.min_order)];
    const uint64_t hash = hash_context(tokens);
    ++tables.contexts[hash & mask_];
    ++tables.full[(hash ^ cascade_term(token, tokens)) & mask_];
  }
  ++tokens_[static_cast<size_t>(token)];
  if (static_cast<int64_t>(recent_.size()) == config_.max_order - 1) {
    recent_.erase(recent_.begin());
  }
  recent_.push_back(token);
}

// </parts>
// <train_gpt>
uint64_t CascadeMixer::state_hash() const {
  uint64_t hash = hash_memory(std::span<const uint32_t>(tokens_), 1);
  for (const Tables& tables : orders_) {
    hash = hash_memory(std::span<const uint32_t>(tables.contexts), hash);
    hash = hash_memory(std::span<const uint32_t>(tables.full), hash);
  }
  return recent_.empty() ? hash : hash_memory(std::span<const int32_t>(recent_), hash);
}
// </train_gpt>
// <parts>

}  // namespace pg
// </parts>
