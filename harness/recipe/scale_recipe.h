// A recipe of one track made to fit another by one rule, so that what was learnt on one can be tried on the other without
// choosing anything anew.
#pragma once
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"

namespace pg {

// What a rule does to one key, for people: "model.dim", "x 3/8, in steps of the head size".
struct ScaledKey {
  std::string key, rule;
};

// From 10min_16mb to cpu_10min_1mb: 600 s of two CPU cores and 1,000,000 bytes instead of 8 H100s and 16,000,000. Rates, the
// techniques and what they are made of stay; sizes and what is counted in steps shrink. Throws Error for a recipe that is
// on the smaller track already.
Recipe scale_to_cpu(const Recipe& recipe);
std::vector<ScaledKey> scaling_rule();

}  // namespace pg
