// The "compliance" keys of submission.json: each follows from what the recipe asked for and what
// the run came to.
#pragma once
#include <cstdint>
#include <span>

#include "harness/record/run_result.h"
#include "src/text/json_object.h"

namespace pg {

// What a way of scoring does, in the terms of the challenge's rules.
struct ScoringTraits {
  bool trains_on_scored_text = false;     // test-time training after the score
  bool trains_before_score = false;       // on a token before it is charged
  bool optimises_on_own_targets = false;  // SLOT: fits a delta to the very window that is scored
  bool has_ngram_counts = false;          // of the scored text, whatever is done with them
  bool moves_logits = false;              // adds to logits what it learnt while scoring (ETLB)
};
ScoringTraits describe_scoring(const TttConfig& ttt, const MixConfig& mix);

// A submission needs three different seeds.
bool has_three_seeds(std::span<const int64_t> seeds);

JsonObject list_compliance(const RunResult& result, const ScoringTraits& scoring,
                           std::span<const int64_t> seeds);

}  // namespace pg
