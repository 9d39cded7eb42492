// The scale of every row, chosen before rounding (formulas.md 4.2 F, G, L). Scales are fp32.
// Values must be finite.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pg {

// SDClip: k std(row) / max_code with the unbiased std, at least 1e-10.
std::vector<float> sdclip_scales(std::span<const float> values,  // [rows, cols], cols >= 2
                                 int64_t rows, int64_t cols, double k, int max_code);

// SDClip with k_row = k (1 + strength (r - 1)), r = the row's mean of |w_j| diag_j, divided by its
// mean over the rows. Strength 0 gives sdclip_scales.
std::vector<float> sdclip_hessian_scales(std::span<const float> values, int64_t rows, int64_t cols,
                                         std::span<const float> hessian_diagonal,  // [cols]
                                         double k, double strength, int max_code);

// Mean magnitude of each row, for codes in [-1, 1]; at least 1e-10.
std::vector<float> ternary_scales(std::span<const float> values, int64_t rows, int64_t cols);

}  // namespace pg
