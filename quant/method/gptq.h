// GPTQ (Frantar et al., arXiv 2210.17323): rounds a matrix column by column and moves each error
// onto the columns that are still to come, so that the layer's output changes least
// (formulas.md 4.2 E). The Hessian is H = sum of x x^T over the layer's inputs x.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pg {

// H = U D U^T of the damped Hessian in processing order, U unit upper triangular: what error
// feedback needs. Matrices with the same input share one.
struct GptqFactor {
  std::vector<int32_t> order;      // [cols] original column of each place: descending diagonal
  std::vector<float> feedback;     // [cols, cols] U by rows, in processing order
  std::vector<float> conditional;  // [cols] D, in processing order
  std::vector<uint8_t> dead;       // [cols] by original column: its diagonal is zero
};

// `damping` times the mean of the nonzero diagonal is added to the diagonal. Throws Error where
// that leaves H not positive definite, or when H is not finite.
GptqFactor factor_hessian(std::span<const float> hessian,  // [cols, cols], symmetric
                          int64_t cols, double damping);

// The scale of weight (r, c) is the float row_scales[r] * col_factors[c], its value code * scale.
struct RoundingGrid {
  int max_code = 31;                        // codes lie in [-max_code, max_code]
  std::span<const float> row_scales = {};   // [rows], finite; 0: all codes of the row are 0
  std::span<const float> col_factors = {};  // [cols] > 0; empty: ones
  // Columns [fine_begin, fine_end) have row scales and a range of their own; empty: none.
  int64_t fine_begin = 0, fine_end = 0;
  int fine_max_code = 127;
  std::span<const float> fine_row_scales = {};  // [rows]
};

struct GptqResult {
  std::vector<int8_t> codes;       // [rows, cols]
  std::vector<double> row_errors;  // [rows] e H e^T, H damped; dead columns hold no error
};

// Codes of dead columns are 0.
GptqResult quantize_gptq(std::span<const float> values,  // [rows, cols], finite
                         int64_t rows, int64_t cols, const GptqFactor& factor,
                         const RoundingGrid& grid);

// e H e^T per row e of difference [rows, cols], H [cols, cols] as given, in double.
std::vector<double> hessian_row_errors(std::span<const float> difference, int64_t rows,
                                       int64_t cols, std::span<const float> hessian);

}  // namespace pg
