// Bits that follow the gradient (parameter-golf PR #332; no gain beyond noise in PR #375): matrices that
// the loss still pulls at get a bit more, those it leaves alone one less.
//
// Published is the square of a batch's gradient, averaged over the steps of the last tenth of the
// warmdown, which made each of them slower. Here it is that of a token of the calibration text at the
// final weights, of which calibration has the factors anyway.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "quant/method/calibration.h"

namespace pg {

// Fewer rows than these have no rank.
inline constexpr int64_t kLeastRankedRows = 64;

// The mean over a matrix's weights of E[dy_r^2] E[x_c^2], the square of the gradient of a token's loss.
double mean_squared_gradient(const SensitivityTerm& term);

// Of each tensor what is added to its bits: by mean squared gradient the first tenth of those with
// sensitivity and rows enough have 1, the last fifth -1, all others 0; tables and heads, which have a
// rank, too. Of four or fewer none changes. `terms`: of each tensor, absent where there is none.
std::vector<int> rank_by_gradient(std::span<const HostTensor> tensors,
                                  std::span<const std::optional<SensitivityTerm>> terms);

}  // namespace pg
