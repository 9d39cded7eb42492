// What `train_gpt ablate` prints: a plan before anything runs, and what the runs say.
#pragma once
#include <string>
#include <vector>

#include "harness/ablate/ablation_plan.h"
#include "harness/ablate/ablation_results.h"

namespace pg {

// Steps, text, sizes and roughly how long, by this device's peak.
void print_ablation_plan(const std::vector<const PlannedArm*>& arms, const std::string& device);
void print_ablation_results(const AblationResults& results);

}  // namespace pg
