// A gate for each head of a row, made from the first channels of another matrix's row; T is float or
// bf16, gates are f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

struct GatedHeads {
  int64_t rows = 0, dim = 0;
  int heads = 0, size = 0, width = 0;
  float scale = 1, factor = 1;
};

// g = factor sigmoid(scale w_h . n_r[0:width] + b_h); y_h = g x_h of each row. y, x [rows,
// heads*size], n [rows, dim], w [heads, width], b [heads]; a null b counts as 0.
template <class T>
void gate_heads(Dest<T> y, const T* x, const T* n, const float* w, const float* b,
                const GatedHeads& shape, Stream stream);

// f32 elements of the working memory of gate_heads_backward().
int64_t count_gate_heads_floats(const GatedHeads& shape);

// With s = g / factor and u = factor s (1-s) dy_h . x_h: dx = g dy, db[heads] = sum u,
// dw[heads, width] = scale sum u n[0:width], dn[rows, dim] = scale sum over heads of u w_h in its
// first `width` channels, 0 in the others.
template <class T>
void gate_heads_backward(Dest<T> dx, Dest<T> dn, Dest<float> dw, Dest<float> db, const T* dy,
                         const T* x, const T* n, const float* w, const float* b,
                         const GatedHeads& shape, float* work, Stream stream);

}  // namespace pg::kernels
