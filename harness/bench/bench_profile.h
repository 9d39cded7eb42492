// The table of ops that `train_gpt bench ... --profile` prints.
#pragma once
#include <vector>

#include "src/device/device.h"
#include "src/plan/plan.h"

namespace pg {

// Ops by the time they took, with their share of it and of the machine's peak.
void print_profile(const std::vector<OpProfile>& profile, const DevicePeak& peak);

}  // namespace pg
