// Cross-entropy of softcapped logits against n weighted targets per row, forward and backward. c =
// cap tanh(z / cap); targets int32 [rows, n], weights f32 [n]; a negative target is skipped, its
// weight too; equal targets add up.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// c = cap tanh((z + shift) / width), or z where cap is 0: Softcap of src/device/ops.h, which says
// what the rest is. row_weights [rows] or null.
struct XentForm {
  float cap, shift, width, z_loss;
  const float* row_weights;
  const float* sides;  // [2] or null
};

// lse[rows] = log sum exp c; loss[rows] = (sum_i w_i) lse - sum_i w_i c[y_i]. logits [rows, vocab].
void softcap_xent(Dest<float> loss, Dest<float> lse, const float* logits, const int32_t* targets,
                  const float* weights, const XentForm& form, int64_t rows, int64_t vocab,
                  int64_t n, Stream stream);

// dlogits[rows, vocab] = dloss ((sum_i w_i) exp(c - lse) - sum_i w_i onehot(y_i)) (1 - (c/cap)^2).
// dloss [1]. T is float or bf16.
template <class T>
void softcap_xent_backward(Dest<T> dlogits, const float* logits, const float* lse,
                           const int32_t* targets, const float* weights, const float* dloss,
                           const XentForm& form, int64_t rows, int64_t vocab, int64_t n,
                           Stream stream);

// dsides[2] of the same where form.sides is given. partial: working memory, 2 count_row_chunks(rows) of
// column_sums.h.
void softcap_xent_sides_backward(Dest<float> dsides, const float* logits, const float* lse,
                                 const int32_t* targets, const float* weights, const float* dloss,
                                 const XentForm& form, int64_t rows, int64_t vocab, int64_t n,
                                 float* partial, Stream stream);

}  // namespace pg::kernels
