// Muon's passes over batches of f32 matrices (Jordan et al. 2024): momentum, update. What lies
// between the matrices is left alone. A coefficient [1] that is NaN changes nothing; null counts as
// 1.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"
#include "kernels/matrices.h"

namespace pg::kernels {

// With g' = g coefficient: m = mu m + g'; u = g' + mu m. With row_norm each row of u is divided by
// max(|row|_2, 1e-7). mu [1].
void muon_momentum(Dest<float> u, float* m, const float* g, const float* coefficient,
                   const float* mu, bool row_norm, const Matrices& shape, Stream stream);

// p = p decay - step u; decay_step [2]. cautious: decay counts as 1 unless u p >= 0.
void apply_update(float* p, const float* u, const float* coefficient, const float* decay_step,
                  bool cautious, const Matrices& shape, Stream stream);

}  // namespace pg::kernels
