// The step of every row, chosen before rounding (quant_eval.md 1.2 F, G, L). Steps are fp32;
// snap_half makes them what an artifact stores. Values must be finite.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pg {

// SDClip: k std(row) / max_code with the unbiased std, at least 1e-10.
std::vector<float> sdclip_steps(std::span<const float> values,  // [rows, cols], cols >= 2
                                int64_t rows, int64_t cols, double k, int max_code);

// SDClip with k_row = k (1 + strength (r - 1)), r = the row's mean of |w_j| diag_j, divided by its
// mean over the rows. Strength 0 gives sdclip_steps.
std::vector<float> sdclip_hessian_steps(std::span<const float> values, int64_t rows, int64_t cols,
                                        std::span<const float> hessian_diagonal,  // [cols]
                                        double k, double strength, int max_code);

// Mean magnitude of each row, for codes in [-1, 1]; at least 1e-10.
std::vector<float> ternary_steps(std::span<const float> values, int64_t rows, int64_t cols);

// The nearest fp16 with only `mantissa_bits` of its 10 fraction bits in use (fewer are cheaper to
// code). Never 0 and never infinite: steps beyond fp16's range take its end.
uint16_t snap_half(float step, int mantissa_bits);

}  // namespace pg
