// One pass over the logits each way. Forward: online softmax (Milakov, Gimelshein 2018) per thread,
// partial results combined in a fixed order. Backward: no reduction at all; every thread finds the
// targets among its own elements. A warp per row for short rows, else a block.
#include "kernels/softcap_xent.h"

#include "kernels/column_sums.h"
#include "kernels/dialect.h"
#include "kernels/pack.h"
#include "kernels/row_reduce.h"
#include "kernels/softcap.h"

namespace pg::kernels {
inline namespace softcap_xent_kernels {

// Up to here the rows of one warp give each thread at most 16 loads; beyond, a block's barriers
// cost less.
constexpr int64_t kMaxWarpVocab = 2048;

struct CapArgs : SoftcapArgs {
  const float* sides;
  float ratio;  // dc/dz where tanh is 0
  float z_loss;
  const float* row_weights;
};

CapArgs make_args(const XentForm& form) {
  return {{form.cap, form.shift, 1.0f / form.width},
          form.sides,
          form.cap == 0.0f || form.sides != nullptr ? 1.0f : form.cap / form.width,
          form.z_loss,
          form.row_weights};
}

template <int kRowThreads, bool kVector, bool kSided>
__global__ void __launch_bounds__(kBlockThreads)
    softcap_xent_kernel(Dest<float> loss, Dest<float> lse, const float* __restrict__ logits,
                        const int32_t* __restrict__ targets, const float* __restrict__ weights,
                        CapArgs args, int64_t rows, int vocab, int n) {
  __shared__ float partial[4][kBlockWarps];
  constexpr int kPack = kPackOf<float>;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const int thread = thread_in_row<kRowThreads>();
  const float* z_row = logits + row * vocab;
  const auto form = read_form<kSided>(args, args.sides);

  // The targets first: these scattered reads overlap with the pass below.
  float weight = 0.0f, target_sum = 0.0f;
  for (int i = thread; i < n; i += kRowThreads) {
    const int32_t target = targets[row * n + i];
    if (target < 0) continue;
    weight += weights[i];
    target_sum += weights[i] * softcap(z_row[target], form).value;
  }

  float top = -INFINITY, sum = 0.0f;  // sum = sum of exp(c - top) so far
  for (int first = thread * kPack; first < vocab; first += kRowThreads * kPack) {
    const Pack<float, kPack> z = load_pack<kPack, kVector>(z_row, first, vocab);
    float c[kPack], new_top = top;
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      c[i] = first + i < vocab ? softcap(z.v[i], form).value : -INFINITY;
      new_top = fmaxf(new_top, c[i]);
    }
    sum *= __expf(top - new_top);
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) sum += __expf(c[i] - new_top);
    top = new_top;
  }
  const float row_top = row_max<kRowThreads>(top, partial[0]);
  sum = row_sum<kRowThreads>(sum * __expf(top - row_top), partial[1]);
  weight = row_sum<kRowThreads>(weight, partial[2]);
  target_sum = row_sum<kRowThreads>(target_sum, partial[3]);
  if (thread != 0) return;
  const float row_lse = row_top + logf(sum);
  store_value(lse, row, row_lse);
  const float row_weight = args.row_weights != nullptr ? args.row_weights[row] : 1.0f;
  const float z_loss = weight != 0.0f ? args.z_loss : 0.0f;
  store_value(loss, row, row_weight * (weight * row_lse - target_sum) + z_loss * row_lse * row_lse);
}

// dL/dc of a row, without dloss: W exp(c - lse) - r sum_i w_i onehot(y_i), W = r sum_i w_i + 2 z_loss
// lse.
class RowGradient {
 public:
  __device__ __forceinline__ RowGradient(const float* lse, const int32_t* targets,
                                         const float* weights, const CapArgs& args, int64_t row,
                                         int n)
      : targets_(targets + row * n), weights_(weights), n_(n), lse_(lse[row]) {
    row_weight_ = args.row_weights != nullptr ? args.row_weights[row] : 1.0f;
    float weight = 0.0f;
    for (int j = 0; j < n; ++j) weight += targets_[j] >= 0 ? weights[j] : 0.0f;
    const float z_loss = weight != 0.0f ? args.z_loss : 0.0f;
    weight_ = row_weight_ * weight + 2.0f * z_loss * lse_;
  }
  __device__ __forceinline__ float of_probability(float c) const {
    return weight_ * __expf(c - lse_);
  }
  // Of columns first, first + 1, ...
  template <int kPack>
  __device__ __forceinline__ void take_targets(float (&gradient)[kPack], int first) const {
    for (int j = 0; j < n_; ++j) {
      const int place = targets_[j] - first;
      if (place < 0 || place >= kPack) continue;
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) gradient[i] -= place == i ? row_weight_ * weights_[j] : 0.0f;
    }
  }

 private:
  const int32_t* targets_;
  const float* weights_;
  int n_;
  float lse_, weight_, row_weight_;
};

template <class T, int kRowThreads, bool kVector, bool kSided>
__global__ void __launch_bounds__(kBlockThreads)
    softcap_xent_backward_kernel(Dest<T> dlogits, const float* __restrict__ logits,
                                 const float* __restrict__ lse, const int32_t* __restrict__ targets,
                                 const float* __restrict__ weights, const float* __restrict__ dloss,
                                 CapArgs args, int64_t rows, int vocab, int n) {
  constexpr int kPack = kPackOf<T>;  // 16 bytes of dlogits; of bf16, that is 32 bytes of logits
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= rows) return;
  const float* z_row = logits + row * vocab;
  T* dz_row = dlogits.data + row * vocab;
  const auto form = read_form<kSided>(args, args.sides);
  const RowGradient of_row(lse, targets, weights, args, row, n);
  const float loss_scale = args.ratio * *dloss;

  for (int first = thread_in_row<kRowThreads>() * kPack; first < vocab;
       first += kRowThreads * kPack) {
    const Pack<float, kPack> z = load_pack<kPack, kVector>(z_row, first, vocab);
    float gradient[kPack], slope[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const Softcapped c = softcap(z.v[i], form);
      gradient[i] = of_row.of_probability(c.value);
      slope[i] = c.slope;
    }
    of_row.take_targets(gradient, first);
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) gradient[i] *= loss_scale * slope[i];
    store_pack<kVector>(dz_row, gradient, first, vocab, dlogits.accumulate);
  }
}

// A block a chunk of rows, each thread its columns of all of them: partial[chunks, 2].
template <bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    softcap_xent_sides_kernel(float* __restrict__ partial, const float* __restrict__ logits,
                              const float* __restrict__ lse, const int32_t* __restrict__ targets,
                              const float* __restrict__ weights, const float* __restrict__ dloss,
                              CapArgs args, int64_t rows, int64_t chunk_rows, int vocab, int n) {
  __shared__ float of_warps[2][kBlockWarps];
  constexpr int kPack = kPackOf<float>;
  const SidedSoftcap form = read_form<true>(args, args.sides);
  const int64_t begin = blockIdx.x * chunk_rows;
  const int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
  float up = 0.0f, down = 0.0f;
  for (int64_t row = begin; row < end; ++row) {
    const RowGradient of_row(lse, targets, weights, args, row, n);
    for (int first = static_cast<int>(threadIdx.x) * kPack; first < vocab;
         first += kBlockThreads * kPack) {
      const Pack<float, kPack> z = load_pack<kPack, kVector>(logits + row * vocab, first, vocab);
      float gradient[kPack], of_side[kPack];
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const Softcapped c = softcap(z.v[i], form);
        const float inverse = of_sign(z.v[i], form.inverse_up, form.inverse_down);
        gradient[i] = of_row.of_probability(c.value);
        of_side[i] = inverse * (c.value - z.v[i] * c.slope);  // t - z/s (1 - t^2)
      }
      of_row.take_targets(gradient, first);
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const float part = first + i < vocab ? gradient[i] * of_side[i] : 0.0f;
        up += z.v[i] > 0.0f ? part : 0.0f;
        down += z.v[i] > 0.0f ? 0.0f : part;
      }
    }
  }
  up = row_sum<kBlockThreads>(up, of_warps[0]);
  down = row_sum<kBlockThreads>(down, of_warps[1]);
  if (threadIdx.x != 0) return;
  partial[2 * int64_t{blockIdx.x}] = *dloss * up;
  partial[2 * int64_t{blockIdx.x} + 1] = *dloss * down;
}

}  // namespace softcap_xent_kernels

void softcap_xent(Dest<float> loss, Dest<float> lse, const float* logits, const int32_t* targets,
                  const float* weights, const XentForm& form, int64_t rows, int64_t vocab,
                  int64_t n, Stream stream) {
  if (rows == 0) return;
  const bool vector = has_vector_rows<kPackOf<float>>(logits, vocab);
  with_row_variant(vocab <= kMaxWarpVocab, vector, [&]<int kRowThreads, bool kVector>() {
    launch(form.sides != nullptr ? &softcap_xent_kernel<kRowThreads, kVector, true>
                                 : &softcap_xent_kernel<kRowThreads, kVector, false>,
           grid_of_rows<kRowThreads>(rows), dim3(kBlockThreads), 0, stream, loss, lse, logits,
           targets, weights, make_args(form), rows, static_cast<int>(vocab), static_cast<int>(n));
  });
}

template <class T>
void softcap_xent_backward(Dest<T> dlogits, const float* logits, const float* lse,
                           const int32_t* targets, const float* weights, const float* dloss,
                           const XentForm& form, int64_t rows, int64_t vocab, int64_t n,
                           Stream stream) {
  if (rows == 0 || dlogits.data == nullptr) return;
  const bool vector = has_vector_rows<kPackOf<T>>(logits, vocab) &&
                      has_vector_rows<kPackOf<T>>(dlogits.data, vocab);
  with_row_variant(vocab <= kMaxWarpVocab, vector, [&]<int kRowThreads, bool kVector>() {
    launch(form.sides != nullptr ? &softcap_xent_backward_kernel<T, kRowThreads, kVector, true>
                                 : &softcap_xent_backward_kernel<T, kRowThreads, kVector, false>,
           grid_of_rows<kRowThreads>(rows), dim3(kBlockThreads), 0, stream, dlogits, logits, lse,
           targets, weights, dloss, make_args(form), rows, static_cast<int>(vocab),
           static_cast<int>(n));
  });
}

void softcap_xent_sides_backward(Dest<float> dsides, const float* logits, const float* lse,
                                 const int32_t* targets, const float* weights, const float* dloss,
                                 const XentForm& form, int64_t rows, int64_t vocab, int64_t n,
                                 float* partial, Stream stream) {
  if (rows == 0 || dsides.data == nullptr) return;
  const int64_t chunks = count_row_chunks(rows);
  const auto launch_with = [&](auto* kernel) {
    launch(kernel, dim3(static_cast<unsigned>(chunks)), dim3(kBlockThreads), 0, stream, partial,
           logits, lse, targets, weights, dloss, make_args(form), rows, rows_per_chunk(rows),
           static_cast<int>(vocab), static_cast<int>(n));
  };
  if (has_vector_rows<kPackOf<float>>(logits, vocab)) {
    launch_with(&softcap_xent_sides_kernel<true>);
  } else {
    launch_with(&softcap_xent_sides_kernel<false>);
  }
  sum_chunks<float>(dsides, partial, nullptr, chunks, 2, stream);
}

template void softcap_xent_backward<float>(Dest<float>, const float*, const float*, const int32_t*,
                                           const float*, const float*, const XentForm&, int64_t,
                                           int64_t, int64_t, Stream);
template void softcap_xent_backward<bf16>(Dest<bf16>, const float*, const float*, const int32_t*,
                                          const float*, const float*, const XentForm&, int64_t,
                                          int64_t, int64_t, Stream);

}  // namespace pg::kernels
