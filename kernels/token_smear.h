// Smearing by a gate a token that the token's first channels make; T is float or bf16, gates are
// f32.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// `rows` rows from row `first` on of sequences of `tokens`; ids of `bos` read no row before, -1 for
// none.
struct SmearedTokens {
  int64_t rows = 0, tokens = 0, dim = 0, width = 0, bos = -1, first = 0;
};

// g_t = sigmoid(w . x_t[0:width]); y_t = x_t + scale g_t x_{t-1}, but x_t at the start of a sequence
// and where ids_t is bos. y, x [rows, dim], with the row before in front of x; w [width]; scale [1].
template <class T>
void token_smear(Dest<T> y, const T* x, const int32_t* ids, const float* w, const float* scale,
                 const SmearedTokens& shape, Stream stream);

// f32 elements of the working memory of token_smear_backward().
int64_t count_token_smear_sums(const SmearedTokens& shape);

// With a_t = dy_t . x_{t-1}, 0 where no x_{t-1} is read: dscale[1] = sum g a, dw[width] = scale sum
// g (1-g) a x[0:width], dx_t = dy_t + scale g_{t+1} dy_{t+1} and to its first `width` channels
// scale g (1-g) a w. All rows: `first` is 0.
template <class T>
void token_smear_backward(Dest<T> dx, Dest<float> dw, Dest<float> dscale, const T* dy, const T* x,
                          const int32_t* ids, const float* w, const float* scale,
                          const SmearedTokens& shape, float* partial, Stream stream);

}  // namespace pg::kernels
