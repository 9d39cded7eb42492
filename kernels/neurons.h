// Updates that are alike for every neuron, a row or a column, of batches of f32 matrices: NorMuon (Li
// et al. 2025) and Aurora (arXiv 2606.27715). Sums are in f64.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"
#include "kernels/matrices.h"

namespace pg::kernels {

// Working memory: doubles, and floats, that both functions need.
int64_t neuron_doubles(const Matrices& shape, bool columns);
int64_t neuron_floats(const Matrices& shape, bool columns);

// v_i = b2 v_i + (1-b2) mean(u_i^2), w_i = u_i / sqrt(max(v_i, 1e-10)), u = w scale /
// max(|w|_F, 1e-10) with scale = rms sqrt(rows cols), or what |u|_F was with an rms of 0. beta2 [1];
// v_stride elements of v from matrix to matrix. A coefficient [1] that is NaN changes nothing.
void normuon(float* u, float* v, int64_t v_stride, const float* coefficient, const float* beta2,
             bool columns, float rms, const Matrices& shape, double* doubles, float* floats,
             Stream stream);

// Over the n vectors of the longer side, m being the shorter: d_i = 1 / max(|x_i|, 1e-7) at first,
// then d_i = d_i ((m/n) / max(|y_i|^2, 1e-14))^beta; y_i = d_i x_i. d [count, n].
void balance_neurons(float* y, float* d, const float* x, float beta, bool is_first,
                     const Matrices& shape, double* doubles, Stream stream);

}  // namespace pg::kernels
