// How long scoring will take, judged from the speed of training steps: long before the time for it
// is spent.
#pragma once
#include <cstdint>
#include <string>

#include "harness/recipe/recipe.h"

namespace pg {

// Of the network alone, and of what [ttt] learns; [mix] comes on top. `step_s`: of one training
// step, of which the forward pass takes a third.
double estimate_scoring_s(const Recipe& recipe, int64_t targets, double step_s);

// What to say of it; empty of less than a minute. `is_warning`: it will not end within
// eval.wallclock_s.
struct ScoringForecast {
  std::string text;
  bool is_warning = false;
};
ScoringForecast forecast_scoring(const Recipe& recipe, int64_t targets, double step_s);

}  // namespace pg
