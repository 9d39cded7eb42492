// What a score is called in logs and records: by what was done for it, so that a score that learns or
// mixes never stands under the name of a plain one.
#pragma once
#include <string>

#include "harness/recipe/recipe.h"

namespace pg {

struct ScoreName {
  // Of its log line; with "_exact" the line of all digits: "final_int6_sliding_window" for windows
  // alone, the community's "legal_ttt" where weights or adapters learn from what is scored,
  // "legal_ngram_mix" with n-grams of it, "legal_ttt_ngram_mix" with both.
  std::string line;
  std::string column;  // of a README: "sliding", "sliding + LoRA + n-grams"
  bool is_plain = true;
};
ScoreName name_score(const Recipe& recipe);

}  // namespace pg
