#include "harness/record/compliance.h"

#include <set>

namespace pg {
namespace {

constexpr int64_t kChallengeBytes = 16'000'000;  // the artifact must stay under it
constexpr double kChallengeSeconds = 600;

// A budget of 0 means that there is none.
bool is_within(double used_s, double budget_s) { return budget_s == 0 || used_s <= budget_s; }

// Each kind says what it does: a new one does not compile without.
void add_traits(TttKind kind, ScoringTraits& traits) {
  switch (kind) {
    case TttKind::kNone:
      return;
    case TttKind::kSgd:
    case TttKind::kPhased:
    case TttKind::kLora:
    case TttKind::kPhasedLora:
      // All are Learners (eval/score/learner.h), which get nothing but chunks that are charged.
      traits.trains_on_scored_text = true;
      return;
  }
}

void add_traits(MixKind kind, ScoringTraits& traits) {
  switch (kind) {
    case MixKind::kNone:
      return;
    case MixKind::kLinear:  // of probabilities
    case MixKind::kCascade:
    case MixKind::kPpm:
      traits.has_ngram_counts = true;
      return;
    case MixKind::kTilt:
    case MixKind::kLogit:
      traits.has_ngram_counts = true;
      traits.moves_logits = true;
      return;
  }
}

}  // namespace

ScoringTraits describe_scoring(const TttConfig& ttt, const MixConfig& mix) {
  ScoringTraits traits;
  add_traits(ttt.kind, traits);
  add_traits(mix.kind, traits);
  return traits;
}

bool has_three_seeds(std::span<const int64_t> seeds) {
  return std::set<int64_t>(seeds.begin(), seeds.end()).size() >= 3;
}

JsonObject list_compliance(const RunResult& result, const ScoringTraits& scoring,
                           std::span<const int64_t> seeds) {
  const double train_s = result.times.budgeted_train_s(), eval_s = result.times.eval_s;
  const int64_t bytes = result.pack.total_bytes;
  const int64_t targets = result.facts.val_tokens - 1;  // the first token is none
  const bool is_val_trained_on = result.facts.is_val_in_train ||
                                 result.facts.train_fingerprint == result.facts.val_fingerprint;
  JsonObject json;
  json.add("artifact_under_cap", bytes <= result.pack.cap_bytes)
      .add("train_under_budget", is_within(train_s, result.recipe.train.wallclock_s))
      .add("eval_under_budget", is_within(eval_s, result.recipe.eval.wallclock_s))
      .add("artifact_under_16mb", bytes < kChallengeBytes)
      .add("train_under_600s", train_s <= kChallengeSeconds)
      .add("eval_under_600s", eval_s <= kChallengeSeconds)
      .add("three_seeds", has_three_seeds(seeds))
      .add("full_validation_targets", result.score.tokens == targets && !result.facts.is_val_part)
      .add("single_pass", result.score.tokens <= targets)
      .add("no_validation_training_leak", !is_val_trained_on)
      .add("no_pre_quant_ttt", !is_val_trained_on && !scoring.trains_before_score)
      .add("no_slot", !scoring.optimises_on_own_targets)
      .add("no_ttt", !scoring.trains_on_scored_text && !scoring.trains_before_score);
  // Says nothing where nothing is trained.
  if (scoring.trains_on_scored_text || scoring.trains_before_score) {
    json.add("score_first_ttt", !scoring.trains_before_score);
  }
  return json.add("no_etlb", !scoring.moves_logits)
      .add("no_ngram_cache", !scoring.has_ngram_counts);
}

}  // namespace pg
