// What Newton-Schulz needs besides products (Jordan et al. 2024, Muon): its start and its end. T,
// float or bf16, is the type that products take. Matrices in T lie x_stride elements apart, aligned
// to 16 bytes; row-major like those of u.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"
#include "kernels/matrices.h"

namespace pg::kernels {

// x = u / (|u|_F + 1e-7), |u|_F^2 being the sum of squares[count, count_summed_pieces(size)]. With
// scales [count, min(rows, cols)] each row, or column of a tall matrix, is scaled as well.
template <class T>
void start_newton_schulz(T* x, int64_t x_stride, const float* u, const double* squares,
                         const float* scales, const Matrices& shape, Stream stream);

// scales[count, side] = 1 / sqrt(max(sum_j |A_ij|, 1e-14)) of symmetric gram[count, side, side]
// (Prach, Lampert 2022).
void sum_almost_orthogonal(float* scales, const float* gram, int64_t count, int64_t side,
                           Stream stream);
// a[i, j] = scales[i] scales[j] gram[i, j]; a lies a_stride elements from matrix to matrix.
template <class T>
void scale_gram(T* a, int64_t a_stride, const float* gram, const float* scales, int64_t count,
                int64_t side, Stream stream);

// u = x
template <class T>
void end_newton_schulz(float* u, const T* x, int64_t x_stride, const Matrices& shape,
                       Stream stream);

}  // namespace pg::kernels
