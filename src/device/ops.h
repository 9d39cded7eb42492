// The op table: every computation a model, an optimizer or a scorer may ask of a device.
// Implementations: `cpu` (fast), `reference` (double loops: the specification), `simt` (CUDA
// kernels run on the host), `cuda`.
//
// Element types. Activations and the compute copies of weights share one type per device (bf16 or
// f32; the reference also takes f64). Tensors marked f32 below are f32 on every device; where the
// reference runs in f64, those that a plan makes are f64, while parameters, their gradients and the
// optimizer's state stay f32, from which it reads exactly. Ids are int32. Whatever the storage type,
// sums accumulate in f32 or wider, in an order that depends on shapes alone, so results are bitwise
// equal for any number of threads.
//
// Outputs: overwritten, or added to when Out::accumulate is set. An empty Out is not computed.
// Inputs and outputs do not alias unless the comment allows it. An operand that is marked "view" may
// be columns of a wider tensor (tensor_view.h); all others are dense. What changes from step to step
// - rates, decays, scales - is read from device memory, so that a recorded step can be replayed. Letters: B batch, T tokens, N = B*T
// rows, D model, H heads, K kv heads, S head size, V vocabulary.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "src/device/tensor_view.h"

namespace pg {

// Of a logit z: c = cap tanh((z + shift) / width), or z itself where cap is 0.
struct Softcap {
  Softcap(float symmetric) : cap(symmetric) {}
  float cap;
  // <parts>
  float shift = 0, width = cap;
  // Where given, f32 [2]: c = s tanh(z / s) instead, s = sides[0] where z > 0 and sides[1] elsewhere.
  In sides = {};
  // dc/dz where tanh is 0
  float ratio() const { return cap == 0 || sides ? 1.0f : cap / width; }
  // </parts>
  // Of the loss alone. A row of weight r has r times its loss, r f32 [rows], 1 where absent; and with
  // z_loss > 0 each row whose targets' weights are not 0 in all has z_loss lse^2 more.
  // <parts>
  In row_weights = {};
  // </parts>
  // <train_gpt>
  float z_loss = 0;
  // </train_gpt>
};

// <train_gpt>
// Of a batch row that holds several sequences, one behind the other: each row attends within its own
// alone, and its position counts from there. Nothing where `starts` is absent.
struct PackedRows {
  In starts = {};       // int32 [B*T]: where in its batch row, [0, T), a row's sequence begins
  int64_t longest = 0;  // no sequence has more rows
};
// </train_gpt>

// [N, heads*S] of B*T rows; RoPE turns the first rope_dims of each head. The T tokens stand at
// positions first, first + 1, ...
struct HeadShape {
  int64_t batch = 0, tokens = 0, heads = 0, head_dim = 0, rope_dims = 0;
  int64_t first = 0;
  // <parts>
  bool is_normed = true;  // false: n = x, and rstd is 1
  // </parts>
  // <train_gpt>
  PackedRows packed = {};  // with `first` 0
  // </train_gpt>
  int64_t rows() const { return batch * tokens; }
};

// Causal grouped-query attention: query head h reads kv head h / (heads / kv_heads). The T queries
// stand at positions first, first + 1, ... of their keys, from position 0 on.
struct AttentionShape {
  int64_t batch = 0, tokens = 0, heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 1.0f;  // on the scores; 1/sqrt(S)
  int64_t first = 0;
  // <train_gpt>
  PackedRows packed = {};  // with `first` 0
  // </train_gpt>
  int64_t rows() const { return batch * tokens; }
  int64_t keys() const { return first + tokens; }  // of a row of the batch
};

// <parts>
// See Ops::token_smear.
struct TokenSmearShape {
  int64_t rows = 0, tokens = 0, dim = 0, width = 0, bos = -1, first = 0;
};
// See Ops::gate_heads.
struct HeadGateShape {
  int64_t rows = 0, dim = 0, heads = 0, head_dim = 0, width = 0;
  float scale = 1, factor = 1;
};
// See Ops::mix_layers.
struct LayerMixShape {
  int64_t rows = 0, dim = 0, hidden = 0;
};
inline constexpr size_t kMaxMixedLayers = 32;
// See Ops::prepend_rows. Each of `batch` sequences has M = memory rows and then T = tokens rows; the
// call is of `rows` of them all from row `first` on.
struct PrependShape {
  int64_t batch = 0, memory = 0, tokens = 0, dim = 0, first = 0, rows = batch * (memory + tokens);
};
// </parts>

// `count` matrices [rows, cols] that lie `stride` elements apart: one matrix of each block.
struct MatrixBatch {
  int64_t count = 1, rows = 0, cols = 0, stride = 0;
  int64_t size() const { return rows * cols; }  // of one matrix
};

// <train_gpt>
// Such matrices f32, where they lie.
struct MatricesOut {
  Out data;
  MatrixBatch shape;
};
// </train_gpt>

// Elements whose squares are one sum: see sum_squares.
inline constexpr int64_t kSumPiece = 16384;
constexpr int64_t count_sum_pieces(int64_t elements) {
  return (elements + kSumPiece - 1) / kSumPiece;
}

// The numbers of an AdamW step, as they lie in device memory.
struct AdamWStep {
  float lr = 0, beta1 = 0, beta2 = 0, epsilon = 0, weight_decay = 0;
  float bias1 = 1, bias2 = 1;  // 1 - beta^step
};
inline constexpr int64_t kAdamWScalars = sizeof(AdamWStep) / sizeof(float);

// x <- a x + (b A + c A A) x with A = x xT, once per row.
using NewtonSchulzCoefficients = std::array<float, 3>;
// What makes its norm at most 1 before: the norm itself, or almost-orthogonal scaling.
enum class NewtonSchulzStart : uint8_t { kNorm, kAol };

class Ops {
 public:
  virtual ~Ops() = default;

  // ---- linear maps ----
  // y[rows, out] = addend[rows, out] + x[rows, in] w[out, in]T, rounded once; an empty addend counts
  // as 0. y is an activation or f32, view; the addend has y's type.
  virtual void linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) = 0;
  // A device may have a form of w that it reads faster where few rows meet it: linear() then takes
  // that with In::packed set, and gives the same bits. Bytes of the form; 0: there is none.
  virtual int64_t packed_bytes(DType /*w*/, int64_t /*in*/, int64_t /*out*/) const { return 0; }
  virtual void pack(void* /*packed*/, In /*w*/, int64_t /*in*/, int64_t /*out*/) {}
  // dx[rows, in] = dy[rows, out] w[out, in]. dy view.
  virtual void linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) = 0;
  // dw[out, in] f32 = dy[rows, out]T x[rows, in]. dy view.
  virtual void linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) = 0;
  // <train_gpt>
  // The three where each of the equal parts of the rows has a w, or dw, of its own, none packed: what
  // they give for each part alone. None is an op of its own.
  virtual void linear_of_parts(Out y, In x, std::span<const In> ws, int64_t rows, int64_t in,
                               int64_t out);
  virtual void linear_dx_of_parts(Out dx, In dy, std::span<const In> ws, int64_t rows, int64_t in,
                                  int64_t out);
  virtual void linear_dw_of_parts(std::span<const Out> dws, In dy, In x, int64_t rows, int64_t in,
                                  int64_t out);
  // </train_gpt>

  // ---- embeddings ----
  // y[rows, dim] = table[ids[row], :]; table [vocab, dim] has the activation type. Ids lie in
  // [0, vocab).
  virtual void embed(Out y, In ids, In table, int64_t rows, int64_t dim) = 0;
  // dtable[vocab, dim] f32, or of the activation type, which a table of activations has: row v = sum
  // over rows with ids[row] == v of dy[row, :], in row order.
  virtual void embed_backward(Out dtable, In ids, In dy, int64_t rows, int64_t vocab,
                              int64_t dim) = 0;
  // Bucket of the bigram (previous id, id), for rows of T tokens each (formulas.md 2.2):
  // M = buckets-1; hashed = M at each row start, else ((36313 id_t) xor (27191 id_{t-1})) mod M, in
  // int32 arithmetic. With `first` hashed and ids point at that row of the N: the one before it lies
  // in front. A trigram has xor (51497 id_{t-2}) as well, and M at the first two.
  virtual void bigram_hash(Out hashed, In ids, int64_t rows, int64_t tokens, int64_t buckets,
                           int64_t first, bool trigram) = 0;

  // <train_gpt>
  // y[rows, dim] = the mean of x's rows s r ... s r + s - 1, summed in order and divided by s (token
  // superposition, arXiv:2605.06546); x [rows * s, dim].
  virtual void mean_bags(Out y, In x, int64_t rows, int64_t bag, int64_t dim) = 0;
  // dx[s r + i] = dy[r] / s.
  virtual void mean_bags_backward(Out dx, In dy, int64_t rows, int64_t bag, int64_t dim) = 0;
  // </train_gpt>

  // ---- elementwise ----
  // y[rows, dim] = x + s1 s2 z; s1, s2 f32 [1]; an empty s2 counts as 1. x view.
  virtual void add_scaled(Out y, In x, In z, In s1, In s2, int64_t rows, int64_t dim) = 0;
  // dx = dy, dz = s1 s2 dy, ds1 = s2 sum(dy z), ds2 = s1 sum(dy z); ds f32 [1]. dx view.
  virtual void add_scaled_backward(Out dx, Out dz, Out ds1, Out ds2, In dy, In z, In s1, In s2,
                                   int64_t rows, int64_t dim) = 0;
  // y[rows, dim] = a * x + b * z with per-channel a, b f32 [dim]; an empty a or b counts as ones,
  // an empty z as 0.
  virtual void mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) = 0;
  // dx = a dy, dz = b dy, da = sum over rows of dy x, db = of dy z; da, db f32 [dim].
  virtual void mix_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                            int64_t rows, int64_t dim) = 0;
  // y[count] = l(x)^2, l(x) = x for x > 0 else slope x (LeakyReLU squared).
  virtual void leaky_relu2(Out y, In x, float slope, int64_t count) = 0;
  // dx = dy * (2x for x > 0, else 2 slope^2 x).
  virtual void leaky_relu2_backward(Out dx, In dy, In x, float slope, int64_t count) = 0;
  // <parts>
  // y[rows, dim] = silu(gate) up, silu(g) = g sigmoid(g) (SwiGLU, Shazeer 2020). gate, up view.
  virtual void swiglu(Out y, In gate, In up, int64_t rows, int64_t dim) = 0;
  // With s = sigmoid(gate): dgate = dy up s (1 + gate (1 - s)), dup = dy gate s; both view.
  virtual void swiglu_backward(Out dgate, Out dup, In dy, In gate, In up, int64_t rows,
                               int64_t dim) = 0;
  // g_t = sigmoid(w . x_t[0:width]); y_t = x_t + scale g_t x_{t-1}, but x_t at the start of every T
  // tokens and where ids_t is `bos`. w f32 [width], scale f32 [1], ids int32 [rows]. With `first` y,
  // x and ids point at that row of the N: the one before it lies in front.
  virtual void token_smear(Out y, In x, In ids, In w, In scale, const TokenSmearShape& shape) = 0;
  // With a_t = dy_t . x_{t-1}, 0 where no x_{t-1} is read: dscale = sum g a, dw = scale sum
  // g (1-g) a x[0:width], dx_t = dy_t + scale g_{t+1} dy_{t+1} and to its first `width` channels
  // scale g (1-g) a w; dw, dscale f32. All rows: `first` is 0.
  virtual void token_smear_backward(Out dx, Out dw, Out dscale, In dy, In x, In ids, In w, In scale,
                                    const TokenSmearShape& shape) = 0;
  // g = sigmoid(gate); y[rows, dim] = g x + (1-g) w z; gate, w f32 [dim].
  virtual void gated_mix(Out y, In x, In z, In w, In gate, int64_t rows, int64_t dim) = 0;
  // dx = g dy, dz = (1-g) w dy; over rows dw = (1-g) sum dy z, dgate = g (1-g) sum dy (x - w z).
  virtual void gated_mix_backward(Out dx, Out dz, Out dw, Out dgate, In dy, In x, In z, In w,
                                  In gate, int64_t rows, int64_t dim) = 0;
  // Of each row r and head h: g = factor sigmoid(scale w_h . n_r[0:width] + b_h), y_h = g x_h. x, y
  // [rows, heads*S], n [rows, dim], w f32 [heads, width], b f32 [heads], an empty b counts as 0.
  virtual void gate_heads(Out y, In x, In n, In w, In b, const HeadGateShape& shape) = 0;
  // With s = g / factor and u = factor s (1-s) dy_h . x_h: dx = g dy, db = sum u, dw = scale sum u
  // n[0:width], dn[0:width] = scale sum over heads of u w_h, its other channels 0; dw, db f32.
  virtual void gate_heads_backward(Out dx, Out dn, Out dw, Out db, In dy, In x, In n, In w, In b,
                                   const HeadGateShape& shape) = 0;
  // With c_j = a_j + sum over k of w_jk gelu(h_rk), of each row r, for the n tensors of xs: y = x_{n-1}
  // + sum over j of c_j x_j; gelu(h) = h sigmoid(2 sqrt(2/pi) (h + 0.044715 h^3)) (Hendrycks, Gimpel
  // 2016). y, x_j [rows, dim], h [rows, hidden], w f32 [n, hidden], a f32 [n], n <= kMaxMixedLayers.
  virtual void mix_layers(Out y, std::span<const In> xs, In h, In w, In a,
                          const LayerMixShape& shape) = 0;
  // With u_j = dy . x_j of each row: dx_j = c_j dy, and dy more for the last, da_j = sum u_j, dw_jk =
  // sum u_j gelu(h_k), dh_k = gelu'(h_k) sum over j of u_j w_jk; da, dw f32.
  virtual void mix_layers_backward(std::span<const Out> dxs, Out dh, Out dw, Out da, In dy,
                                   std::span<const In> xs, In h, In w, In a,
                                   const LayerMixShape& shape) = 0;
  // y[rows, dim] = a x + s z with s = b, or sigmoid(b); a, b f32 [1], an empty a counts as 1. x, z
  // view.
  virtual void blend(Out y, In x, In a, In z, In b, bool sigmoid, int64_t rows, int64_t dim) = 0;
  // dx = a dy, dz = s dy, da = sum dy x, db = s' sum dy z with s' = 1, or s (1-s). dx, dz view.
  virtual void blend_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                              bool sigmoid, int64_t rows, int64_t dim) = 0;
  // Of each sequence y[0:M] = m and y[M:M+T] = x, its T rows of x; m [M, dim], an empty m counts as 0;
  // x [B*T, dim]. y points at row `first` of [B*(M+T), dim]; x and m are whole.
  virtual void prepend_rows(Out y, In m, In x, const PrependShape& shape) = 0;
  // Of each sequence dx = dy[M:M+T]; dm = sum over sequences of dy[0:M], rounded once. All rows.
  virtual void prepend_rows_backward(Out dx, Out dm, In dy, const PrependShape& shape) = 0;
  // </parts>
  // g = sigmoid(gate[dim]); y_t = (1-g) x_t + g x_{t-1}, x_{-1} = 0 at the start of every T tokens;
  // gate f32. With `first` y and x point at that row of the N: the one before it lies in front.
  virtual void smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim,
                     int64_t first) = 0;
  virtual void smear_backward(Out dx, Out dgate, In dy, In x, In gate, int64_t rows, int64_t tokens,
                              int64_t dim) = 0;

  // ---- norms ----
  // r = 1/sqrt(mean(x^2) + eps); y[rows, dim] = scale r x; rstd[rows] f32 = r; no weight (Zhang,
  // Sennrich 2019).
  virtual void rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows,
                       int64_t dim) = 0;
  // dx = scale r (dy - x r^2 mean(dy x)).
  virtual void rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                                int64_t dim) = 0;
  // y = mix(x, a, z, b) rounded to its type, n = rmsnorm(y), in one pass; rstd that of y.
  virtual void mix_rmsnorm(Out y, Out n, Out rstd, In x, In a, In z, In b, float scale, float eps,
                           int64_t rows, int64_t dim) = 0;
  // With g = dy + rmsnorm_backward(dn), an empty dy counts as 0: dx = a g, dz = b g, da = sum over
  // rows of g x, db = of g z. y is computed anew from x and z.
  virtual void mix_rmsnorm_backward(Out dx, Out dz, Out da, Out db, In dy, In dn, In x, In a, In z,
                                    In b, In rstd, float scale, int64_t rows, int64_t dim) = 0;

  // ---- attention ----
  // Per head: n = x r (RMSNorm over S, eps), RoPE on the first R dims, times gain[head] (f32; empty
  // counts as 1). Half-split RoPE with h = R/2:
  //   out_i = n_i c + n_{i+h} s, out_{i+h} = n_{i+h} c - n_i s, (c, s) = table[t, i, 0..1].
  // table f32 [first + T, R/2, 2], of packed rows [longest, R/2, 2]; x view, y [N, heads*S]; rstd f32
  // [N, heads].
  virtual void qk_norm_rope(Out y, Out rstd, In x, In gain, In table, float eps,
                            const HeadShape& shape) = 0;
  // dgain f32 [heads]; dx, x view.
  virtual void qk_norm_rope_backward(Out dx, Out dgain, In dy, In x, In rstd, In gain, In table,
                                     const HeadShape& shape) = 0;
  // y[N, H*S] = softmax_causal(scale q kT) v; lse f32 [B, H, T] = log sum exp of the scaled scores.
  // q [N, H*S], k, v [B*(first + T), K*S], v view. Packed rows see the keys of their own sequence
  // alone. Never builds a T x T tensor.
  virtual void attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) = 0;
  // FlashAttention-2's backward (Dao 2023): recomputes the scores from lse. dv, v view. All queries:
  // `first` is 0.
  virtual void attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                                  const AttentionShape& shape) = 0;
  // Exclusive self-attention: y_h = x_h - (x_h . u) u with u = v_t / max(|v_t|, 1e-12), v of the kv
  // head of h. x, y [N, H*S], v, dv [N, K*S] view.
  virtual void xsa(Out y, In x, In v, const AttentionShape& shape) = 0;
  virtual void xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) = 0;

  // ---- loss ----
  // c of a Softcap for logits z[rows, vocab] f32; lse[row] = log sum exp c; with n weighted
  // targets per row: loss[row] f32 = (sum_i w_i) lse - sum_i w_i c[y_i]. targets int32 [rows, n],
  // weights f32 [n]. A negative target is skipped, its weight too. n = 1, w = 1 gives
  // -log p(target) in nats.
  virtual void softcap_xent(Out loss, Out lse, In logits, In targets, In weights,
                            const Softcap& cap, int64_t rows, int64_t vocab, int64_t n) = 0;
  // dz = dloss ((r sum_i w_i + 2 z_loss lse) p - r sum_i w_i onehot(y_i)) dc/dz, dc/dz = cap/width
  // (1 - (c/cap)^2) or 1, dloss f32 [1], the same for all rows. dlogits [rows, vocab] has the activation type.
  virtual void softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights,
                                     In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                     int64_t n) = 0;
  // <parts>
  // Of the same where cap.sides is given: dsides f32 [2], each the sum over its side's logits of dloss
  // ((r sum_i w_i + 2 z_loss lse) p - r sum_i w_i onehot(y_i)) (t - z/s (1 - t^2)), t = c/s.
  virtual void softcap_xent_sides_backward(Out dsides, In logits, In lse, In targets, In weights,
                                           In dloss, const Softcap& cap, int64_t rows,
                                           int64_t vocab, int64_t n) = 0;
  // </parts>
  // What a score reads: log_probs[rows, vocab] f32 = c - lse, so that what is left to subtract is 0;
  // entropy[rows] f32 = lse - sum p c, nats. The sums and c - lse are in f64: a rounding then differs
  // from token to token, and the probabilities of a row add up to 1 within 1e-6 also where lse is
  // large. A row that holds a NaN becomes all NaN, its entropy too.
  virtual void softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap,
                                 int64_t rows, int64_t vocab) = 0;

  // ---- reductions and casts ----
  // y[count] = x, converted to y's type.
  virtual void cast(Out y, In x, int64_t count) = 0;
  // sum[1] f64 = scale * sum of x[count] f32, accumulated in f64.
  virtual void sum(Out sum, In x, double scale, int64_t count) = 0;
  // Per matrix of x f32, sums f64 [count, count_sum_pieces(size)]: of the squares of each kSumPiece
  // elements, in f64; sums_stride from matrix to matrix. So a sum does not depend on which matrices
  // are in a batch. Never accumulates.
  virtual void sum_squares(Out sums, In x, const MatrixBatch& shape, int64_t sums_stride) = 0;
  // sum[1] f64 of pieces[count] f64, as a tree: neighbours, then neighbours of those, ...
  virtual void sum_pieces(Out sum, In pieces, int64_t count) = 0;
  // coefficient[1] f32 = min(1, max_norm / (sqrt(squares[1] f64) + 1e-6)); 1 when max_norm is 0; NaN
  // when squares is not finite.
  virtual void clip_coefficient(Out coefficient, In squares, float max_norm) = 0;

  // ---- weights ----
  // Per matrix: y[r, :] = s[r] x[r, :]; x, s f32, y the compute type. The compute copies of matrices
  // whose output is scaled per channel. s [count, rows], `s_stride` elements from matrix to matrix.
  virtual void scale_rows(Out y, In x, In s, const MatrixBatch& shape, int64_t s_stride) = 0;
  // From dy in `dx`, in place: ds[r] = sum over columns of dy x, dx[r, :] = s[r] dy[r, :]; all f32.
  // Never accumulates.
  virtual void scale_rows_backward(Out dx, Out ds, In x, In s, const MatrixBatch& shape,
                                   int64_t s_stride) = 0;

  // ---- optimizers ----
  // All f32, in place. g' = g coefficient[1]. Where the coefficient is NaN, the gradient being of no
  // use, nothing is changed: what led to it can still be looked at.
  // m = b1 m + (1-b1) g'; v = b2 v + (1-b2) g'^2;
  // p = p (1 - lr wd) - lr (m/bias1) / (sqrt(v/bias2) + eps) (Loshchilov, Hutter 2019).
  // step: an AdamWStep, f32 [kAdamWScalars]. Cautious decay: wd counts as 0 unless m p > 0.
  virtual void adamw(Out p, Out m, Out v, In g, In coefficient, In step, bool cautious,
                     int64_t count) = 0;
  // m = mu m + g'; u = g' + mu m (Nesterov), mu f32 [1]. With row_norm each row of u is divided by
  // max(|row|_2, 1e-7). m, u, g f32. An empty u is not computed.
  virtual void muon_momentum(Out u, Out m, In g, In coefficient, In mu, bool row_norm,
                             const MatrixBatch& shape) = 0;
  // In place on each matrix of u f32: u /= |u|_F + 1e-7, then one iteration per coefficient triple,
  // on the smaller side. Products in the device's compute type, accumulated in f32 (Jordan et al.
  // 2024, Muon). kAol: after the first, with A = u uT on that side, its vector i is divided by
  // sqrt(max(sum_j |A_ij|, 1e-14)), and the first iteration takes A's elements divided likewise
  // (Turbo-Muon, Boissin et al. 2025; Prach, Lampert 2022).
  virtual void newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                             NewtonSchulzStart start, const MatrixBatch& shape) = 0;
  // <train_gpt>
  // The same of several batches whose matrices have one shape: what it gives for each. No op of its
  // own.
  virtual void newton_schulz_of_batches(std::span<const MatricesOut> us,
                                        std::span<const NewtonSchulzCoefficients> steps,
                                        NewtonSchulzStart start);
  // </train_gpt>
  // In place, per matrix of u f32, over its rows i, or its columns (NorMuon, Li et al. 2025):
  //   v_i = b2 v_i + (1-b2) mean(u_i^2), w_i = u_i / sqrt(max(v_i, 1e-10)), u = w scale / max(|w|_F, 1e-10);
  // scale is rms sqrt(rows cols), or with an rms of 0 what |u|_F was; b2 f32 [1]. v f32, of each
  // matrix as many as it has rows (columns), v_stride from matrix to matrix.
  virtual void normuon(Out u, Out v, In coefficient, In beta2, bool columns, float rms,
                       const MatrixBatch& shape, int64_t v_stride) = 0;
  // Per matrix, over the n of its longer side and m of the shorter: rows i, or columns of a wide one
  // (Aurora, arXiv 2606.27715): first d_i = 1 / max(|x_i|, 1e-7), later d_i = d_i ((m/n) /
  // max(|y_i|^2, 1e-14))^beta, y being what was made of the y before; y_i = d_i x_i. d f32 [count, n].
  virtual void balance_neurons(Out y, Out d, In x, float beta, bool is_first,
                               const MatrixBatch& shape) = 0;
  // p = p decay - step u, f32; decay_step f32 [2]. Cautious: decay counts as 1 unless u p >= 0.
  virtual void apply_update(Out p, In u, In coefficient, In decay_step, bool cautious,
                            const MatrixBatch& shape) = 0;
  // average[count] = decay average + (1 - decay) x, f32; decay f32 [1].
  virtual void lerp(Out average, In x, In decay, int64_t count) = 0;
};

}  // namespace pg
