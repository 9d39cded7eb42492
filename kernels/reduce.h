// Sums in f64 whose order depends on sizes alone, and the coefficient that clips a gradient.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"
#include "kernels/matrices.h"

namespace pg::kernels {

// Elements whose values, or squares, are one sum: kSumPiece of src/device/ops.h.
inline constexpr int64_t kSummedPiece = 16384;
constexpr int64_t count_summed_pieces(int64_t elements) {
  return (elements + kSummedPiece - 1) / kSummedPiece;
}

// sums[matrix, piece] of the values of each kSummedPiece elements of x, or of their squares;
// sums_stride from matrix to matrix.
void sum_pieces_of_values(double* sums, const float* x, const Matrices& shape, int64_t sums_stride,
                          Stream stream);
void sum_pieces_of_squares(double* sums, const float* x, const Matrices& shape, int64_t sums_stride,
                           Stream stream);

// Doubles of working memory that sum_tree() needs.
int64_t sum_tree_scratch(int64_t count);
// sum[1] = scale * (the sum of pieces[count], as a tree: neighbours, then neighbours of those, ...).
void sum_tree(Dest<double> sum, const double* pieces, double scale, double* scratch, int64_t count,
              Stream stream);

// coefficient[1] = min(1, max_norm / (sqrt(squares[1]) + 1e-6)); 1 when max_norm is 0; NaN when
// squares is not finite.
void clip_coefficient(Dest<float> coefficient, const double* squares, float max_norm,
                      Stream stream);

}  // namespace pg::kernels
