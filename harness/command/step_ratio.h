// What a training step of one recipe costs beside another's, measured in turns on this machine.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"
#include "src/base/clock.h"

namespace pg {

struct RatioOptions {
  int64_t steps = 20;  // of a short training, its schedule and phases as in a long one
  int64_t rounds = 3;  // of one such training each, base and arm by turns
};

// Seconds of a step of `arm` over those of `base`, a round each. Means over a short training on one rank, whose first
// step, which pays for its memory, counts as its second does. `show` hears how far it is; throws Interrupted.
std::vector<double> measure_step_ratios(const Recipe& base, const Recipe& arm,
                                        const RatioOptions& options, Clock& clock,
                                        const std::function<void(const std::string&)>& show);

}  // namespace pg
