// A mix of what several layers gave, each row by shares of its own; T is float or bf16, shares are f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

inline constexpr int kMostLayers = 32;

struct MixedLayers {
  int64_t rows = 0, dim = 0;
  int count = 0, hidden = 0;  // layers, at most kMostLayers; width of h
};
template <class T>
struct LayerInputs {
  const T* x[kMostLayers];
};
template <class T>
struct LayerGradients {
  Dest<T> dx[kMostLayers];
};

// With c_j = a_j + sum over k of w_jk gelu(h_k) of each row: y = x_{n-1} + sum over j of c_j x_j. y,
// x_j [rows, dim], h [rows, hidden], w [count, hidden], a [count]; gelu as in src/device/ops.h.
template <class T>
void mix_layers(Dest<T> y, const LayerInputs<T>& layers, const T* h, const float* w, const float* a,
                const MixedLayers& shape, Stream stream);

// f32 elements of the working memory of mix_layers_backward().
int64_t count_mix_layers_floats(const MixedLayers& shape);

// With u_j = dy . x_j: dx_j = c_j dy, and dy more for the last, da[count] = sum u_j, dw[count, hidden]
// = sum u_j gelu(h_k), dh[rows, hidden] = gelu'(h_k) sum over j of u_j w_jk.
template <class T>
void mix_layers_backward(const LayerGradients<T>& gradients, Dest<T> dh, Dest<float> dw,
                         Dest<float> da, const T* dy, const LayerInputs<T>& layers, const T* h,
                         const float* w, const float* a, const MixedLayers& shape, float* work,
                         Stream stream);

}  // namespace pg::kernels
