#include "eval/mix/ngram_experts.h"

#include <algorithm>

#include "src/base/check.h"
#include "src/base/rng.h"

namespace pg {
namespace {

// Of a context, at most this many successors become candidates, the most frequent ones: what the
// first cache line of its extent holds.
constexpr size_t kMaxListed = 15;
static_assert(ExpertMasses::kContexts * kMaxListed + 1 <= ExpertMasses::kMaxCandidates);
constexpr float kMinEscape = 1e-4f;

constexpr size_t kTotalBuckets = 8, kDistinctBuckets = 6;
constexpr std::array<uint32_t, kTotalBuckets - 1> kTotalStart = {2, 3, 4, 6, 10, 20, 80};
constexpr std::array<uint32_t, kDistinctBuckets - 1> kDistinctStart = {2, 3, 4, 7, 13};

template <size_t n>
size_t bucket_of(const std::array<uint32_t, n>& starts, uint32_t value) {
  size_t bucket = 0;
  for (const uint32_t start : starts) bucket += value >= start ? 1 : 0;
  return bucket;
}

size_t escape_state(int expert, const SeenContext& seen) {
  size_t state = static_cast<size_t>(expert);
  state = state * (ContextCounts::kMaxOrder + 1) + static_cast<size_t>(seen.order);
  state = state * kTotalBuckets + bucket_of(kTotalStart, seen.total);
  const auto distinct = static_cast<uint32_t>(seen.successors.size());
  return state * kDistinctBuckets + bucket_of(kDistinctStart, distinct);
}

// PPM-D's escape, distinct / (2 total), of each state's smallest context.
std::vector<AdaptiveRate> make_escapes() {
  std::vector<AdaptiveRate> escapes;
  for (size_t context = 0; context < ExpertMasses::kContexts * (ContextCounts::kMaxOrder + 1);
       ++context) {
    for (size_t t = 0; t < kTotalBuckets; ++t) {
      for (size_t d = 0; d < kDistinctBuckets; ++d) {
        const double distinct = d == 0 ? 1 : kDistinctStart[d - 1];
        const double total = std::max(distinct, t == 0 ? 1.0 : kTotalStart[t - 1]);
        escapes.push_back({.rate = static_cast<float>(distinct / (2 * total)), .events = 4});
      }
    }
  }
  return escapes;
}

}  // namespace

NgramExperts::NgramExperts(int min_order, int max_order, int match_length, int64_t vocab_size,
                           int64_t expected_tokens)
    : counts_(min_order, max_order, expected_tokens),
      match_(match_length, expected_tokens),
      escapes_(make_escapes()),
      marks_(static_cast<size_t>(vocab_size)) {}

int NgramExperts::add_candidate(int32_t token) {
  Mark& mark = marks_[static_cast<size_t>(token)];
  if (mark.round != round_) {
    mark = {.round = round_, .candidate = masses_.count};
    masses_.tokens[static_cast<size_t>(masses_.count++)] = token;
  }
  return mark.candidate;
}

void NgramExperts::add_context(int expert, const SeenContext& seen) {
  const auto e = static_cast<size_t>(expert);
  const auto listed = seen.successors.first(std::min(seen.successors.size(), kMaxListed));
  uint32_t listed_total = 0;
  for (const Successor successor : listed) listed_total += successor.count;
  escape_states_[e] = escape_state(expert, seen);
  const float escape = std::max(escapes_[escape_states_[e]].rate, kMinEscape);
  masses_.escape[e] = escape;
  const float mass_per_count = (1.0f - escape) / static_cast<float>(listed_total);
  for (const Successor successor : listed) {
    const int candidate = add_candidate(successor.token);
    masses_.mass[e][static_cast<size_t>(candidate)] =
        mass_per_count * static_cast<float>(successor.count);
  }
}

const ExpertMasses& NgramExperts::predict() {
  if (predicted_) return masses_;
  predicted_ = true;
  if (++round_ == 0) {
    std::fill(marks_.begin(), marks_.end(), Mark{});
    round_ = 1;
  }
  masses_.count = 0;
  for (auto& of_expert : masses_.mass) of_expert.fill(0);
  masses_.escape.fill(1);
  masses_.match_candidate = -1;

  std::array<SeenContext, ExpertMasses::kContexts> seen;
  const int contexts = counts_.seen_contexts(seen);
  for (int e = 0; e < contexts; ++e) add_context(e, seen[static_cast<size_t>(e)]);
  masses_.highest_order = contexts > 0 ? seen[0].order : 0;
  masses_.highest_total = contexts > 0 ? seen[0].total : 0;
  masses_.highest_distinct = contexts > 0 ? static_cast<uint32_t>(seen[0].successors.size()) : 0;

  const MatchModel::Prediction match = match_.predict(counts_.history());
  masses_.match_bucket = match.bucket;
  if (match.length > 0) {
    constexpr auto kMatch = static_cast<size_t>(ExpertMasses::kMatch);
    masses_.match_candidate = add_candidate(match.token);
    const float escape = std::max(1.0f - match.confidence, kMinEscape);
    masses_.escape[kMatch] = escape;
    masses_.mass[kMatch][static_cast<size_t>(masses_.match_candidate)] = 1.0f - escape;
  }
  return masses_;
}

void NgramExperts::learn_escapes(int32_t token) {
  const Mark mark = marks_[static_cast<size_t>(token)];
  for (size_t e = 0; e < ExpertMasses::kContexts; ++e) {
    if (masses_.escape[e] == 1.0f) continue;  // silent
    const bool is_listed =
        mark.round == round_ && masses_.mass[e][static_cast<size_t>(mark.candidate)] > 0;
    escapes_[escape_states_[e]].learn(!is_listed);
  }
}

void NgramExperts::learn(int32_t token) {
  PG_CHECK(token >= 0 && static_cast<size_t>(token) < marks_.size(), "a token of the vocabulary");
  match_.learn(counts_.history(), token);
  counts_.learn(token);
  match_.find(counts_.history());
  if (predicted_) learn_escapes(token);
  predicted_ = false;
}

// <train_gpt>
uint64_t NgramExperts::state_hash() const {
  return hash_memory(std::span<const AdaptiveRate>(escapes_),
                     mix64(counts_.state_hash()) ^ match_.state_hash());
}
// </train_gpt>

}  // namespace pg
