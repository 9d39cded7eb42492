// The hidden units of an MLP may stand in any order: rows of `up` and columns of `down` move
// together and the function stays. Ordered by how much they matter, neighbouring scales are alike
// and cost next to nothing.
#pragma once
#include <cstdint>
#include <vector>

#include "quant/method/calibration.h"
#include "src/plan/weights.h"

namespace pg {

// Hidden units by falling row weight of `up`: order[place] = unit. Ties by number.
std::vector<int32_t> order_hidden(const SensitivityTerm& up);
void permute_rows(const std::vector<int32_t>& order, HostTensor& weights, SensitivityTerm& term);
void permute_columns(const std::vector<int32_t>& order, HostTensor& weights, SensitivityTerm& term);

}  // namespace pg
