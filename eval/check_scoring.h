// Ways of scoring that contradict themselves, refused before anything is trained for them.
#pragma once
#include "eval/scoring_config.h"

namespace pg {

// Throws Error naming the key, its value and the fix: for keys that contradict each other, and for
// those that would change nothing.
void check_scoring(const ScoringConfig& config);

}  // namespace pg
