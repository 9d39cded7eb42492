#include "harness/bench/counting_device.h"

#include <utility>

namespace pg {

OpCounts CountingOps::take_counts() { return std::exchange(counts_, OpCounts{}); }

Ops& CountingOps::counted(OpId op) {
  ++counts_[static_cast<size_t>(op)];
  return inner_;
}

void CountingOps::linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) {
  counted(OpId::kLinear).linear(y, x, w, addend, rows, in, out);
}
void CountingOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  counted(OpId::kLinearDx).linear_dx(dx, dy, w, rows, in, out);
}
void CountingOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  counted(OpId::kLinearDw).linear_dw(dw, dy, x, rows, in, out);
}
void CountingOps::embed(Out y, In ids, In table, int64_t rows, int64_t dim) {
  counted(OpId::kEmbed).embed(y, ids, table, rows, dim);
}
void CountingOps::embed_backward(Out dtable, In ids, In dy, int64_t rows, int64_t vocab,
                                 int64_t dim) {
  counted(OpId::kEmbedBackward).embed_backward(dtable, ids, dy, rows, vocab, dim);
}
void CountingOps::bigram_hash(Out hashed, In ids, int64_t rows, int64_t tokens, int64_t buckets,
                              int64_t first, bool trigram) {
  counted(OpId::kBigramHash).bigram_hash(hashed, ids, rows, tokens, buckets, first, trigram);
}
void CountingOps::mean_bags(Out y, In x, int64_t rows, int64_t bag, int64_t dim) {
  counted(OpId::kMeanBags).mean_bags(y, x, rows, bag, dim);
}
void CountingOps::mean_bags_backward(Out dx, In dy, int64_t rows, int64_t bag, int64_t dim) {
  counted(OpId::kMeanBagsBackward).mean_bags_backward(dx, dy, rows, bag, dim);
}
void CountingOps::add_scaled(Out y, In x, In z, In s1, In s2, int64_t rows, int64_t dim) {
  counted(OpId::kAddScaled).add_scaled(y, x, z, s1, s2, rows, dim);
}
void CountingOps::add_scaled_backward(Out dx, Out dz, Out ds1, Out ds2, In dy, In z, In s1, In s2,
                                      int64_t rows, int64_t dim) {
  counted(OpId::kAddScaledBackward).add_scaled_backward(dx, dz, ds1, ds2, dy, z, s1, s2, rows, dim);
}
void CountingOps::mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) {
  counted(OpId::kMix).mix(y, x, a, z, b, rows, dim);
}
void CountingOps::mix_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                               int64_t rows, int64_t dim) {
  counted(OpId::kMixBackward).mix_backward(dx, dz, da, db, dy, x, a, z, b, rows, dim);
}
void CountingOps::leaky_relu2(Out y, In x, float slope, int64_t count) {
  counted(OpId::kLeakyRelu2).leaky_relu2(y, x, slope, count);
}
void CountingOps::leaky_relu2_backward(Out dx, In dy, In x, float slope, int64_t count) {
  counted(OpId::kLeakyRelu2Backward).leaky_relu2_backward(dx, dy, x, slope, count);
}
void CountingOps::swiglu(Out y, In gate, In up, int64_t rows, int64_t dim) {
  counted(OpId::kSwiglu).swiglu(y, gate, up, rows, dim);
}
void CountingOps::swiglu_backward(Out dgate, Out dup, In dy, In gate, In up, int64_t rows,
                                  int64_t dim) {
  counted(OpId::kSwigluBackward).swiglu_backward(dgate, dup, dy, gate, up, rows, dim);
}
void CountingOps::token_smear(Out y, In x, In ids, In w, In scale, const TokenSmearShape& shape) {
  counted(OpId::kTokenSmear).token_smear(y, x, ids, w, scale, shape);
}
void CountingOps::token_smear_backward(Out dx, Out dw, Out dscale, In dy, In x, In ids, In w,
                                       In scale, const TokenSmearShape& shape) {
  counted(OpId::kTokenSmearBackward)
      .token_smear_backward(dx, dw, dscale, dy, x, ids, w, scale, shape);
}
void CountingOps::gated_mix(Out y, In x, In z, In w, In gate, int64_t rows, int64_t dim) {
  counted(OpId::kGatedMix).gated_mix(y, x, z, w, gate, rows, dim);
}
void CountingOps::gated_mix_backward(Out dx, Out dz, Out dw, Out dgate, In dy, In x, In z, In w,
                                     In gate, int64_t rows, int64_t dim) {
  counted(OpId::kGatedMixBackward)
      .gated_mix_backward(dx, dz, dw, dgate, dy, x, z, w, gate, rows, dim);
}
void CountingOps::blend(Out y, In x, In a, In z, In b, bool sigmoid, int64_t rows, int64_t dim) {
  counted(OpId::kBlend).blend(y, x, a, z, b, sigmoid, rows, dim);
}
void CountingOps::blend_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                                 bool sigmoid, int64_t rows, int64_t dim) {
  counted(OpId::kBlendBackward).blend_backward(dx, dz, da, db, dy, x, a, z, b, sigmoid, rows, dim);
}
void CountingOps::prepend_rows(Out y, In m, In x, const PrependShape& shape) {
  counted(OpId::kPrependRows).prepend_rows(y, m, x, shape);
}
void CountingOps::prepend_rows_backward(Out dx, Out dm, In dy, const PrependShape& shape) {
  counted(OpId::kPrependRowsBackward).prepend_rows_backward(dx, dm, dy, shape);
}
void CountingOps::smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim,
                        int64_t first) {
  counted(OpId::kSmear).smear(y, x, gate, rows, tokens, dim, first);
}
void CountingOps::smear_backward(Out dx, Out dgate, In dy, In x, In gate, int64_t rows,
                                 int64_t tokens, int64_t dim) {
  counted(OpId::kSmearBackward).smear_backward(dx, dgate, dy, x, gate, rows, tokens, dim);
}
void CountingOps::rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows,
                          int64_t dim) {
  counted(OpId::kRmsnorm).rmsnorm(y, rstd, x, scale, eps, rows, dim);
}
void CountingOps::rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                                   int64_t dim) {
  counted(OpId::kRmsnormBackward).rmsnorm_backward(dx, dy, x, rstd, scale, rows, dim);
}
void CountingOps::mix_rmsnorm(Out y, Out n, Out rstd, In x, In a, In z, In b, float scale,
                              float eps, int64_t rows, int64_t dim) {
  counted(OpId::kMixRmsnorm).mix_rmsnorm(y, n, rstd, x, a, z, b, scale, eps, rows, dim);
}
void CountingOps::mix_rmsnorm_backward(Out dx, Out dz, Out da, Out db, In dy, In dn, In x, In a,
                                       In z, In b, In rstd, float scale, int64_t rows,
                                       int64_t dim) {
  counted(OpId::kMixRmsnormBackward)
      .mix_rmsnorm_backward(dx, dz, da, db, dy, dn, x, a, z, b, rstd, scale, rows, dim);
}
void CountingOps::qk_norm_rope(Out y, Out rstd, In x, In gain, In table, float eps,
                               const HeadShape& shape) {
  counted(OpId::kQkNormRope).qk_norm_rope(y, rstd, x, gain, table, eps, shape);
}
void CountingOps::qk_norm_rope_backward(Out dx, Out dgain, In dy, In x, In rstd, In gain, In table,
                                        const HeadShape& shape) {
  counted(OpId::kQkNormRopeBackward)
      .qk_norm_rope_backward(dx, dgain, dy, x, rstd, gain, table, shape);
}
void CountingOps::attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) {
  counted(OpId::kAttention).attention(y, lse, q, k, v, shape);
}
void CountingOps::attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                                     const AttentionShape& shape) {
  counted(OpId::kAttentionBackward).attention_backward(dq, dk, dv, dy, y, lse, q, k, v, shape);
}
void CountingOps::xsa(Out y, In x, In v, const AttentionShape& shape) {
  counted(OpId::kXsa).xsa(y, x, v, shape);
}
void CountingOps::xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) {
  counted(OpId::kXsaBackward).xsa_backward(dx, dv, dy, x, v, shape);
}
void CountingOps::softcap_xent(Out loss, Out lse, In logits, In targets, In weights,
                               const Softcap& cap, int64_t rows, int64_t vocab, int64_t n) {
  counted(OpId::kSoftcapXent)
      .softcap_xent(loss, lse, logits, targets, weights, cap, rows, vocab, n);
}
void CountingOps::softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights,
                                        In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                        int64_t n) {
  counted(OpId::kSoftcapXentBackward)
      .softcap_xent_backward(dlogits, logits, lse, targets, weights, dloss, cap, rows, vocab, n);
}
void CountingOps::softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap,
                                    int64_t rows, int64_t vocab) {
  counted(OpId::kSoftcapLogProbs).softcap_log_probs(log_probs, entropy, logits, cap, rows, vocab);
}
void CountingOps::cast(Out y, In x, int64_t count) { counted(OpId::kCast).cast(y, x, count); }
void CountingOps::sum(Out sum, In x, double scale, int64_t count) {
  counted(OpId::kSum).sum(sum, x, scale, count);
}
void CountingOps::sum_squares(Out sums, In x, const MatrixBatch& shape, int64_t sums_stride) {
  counted(OpId::kSumSquares).sum_squares(sums, x, shape, sums_stride);
}
void CountingOps::sum_pieces(Out sum, In pieces, int64_t count) {
  counted(OpId::kSumPieces).sum_pieces(sum, pieces, count);
}
void CountingOps::clip_coefficient(Out coefficient, In squares, float max_norm) {
  counted(OpId::kClipCoefficient).clip_coefficient(coefficient, squares, max_norm);
}
void CountingOps::scale_rows(Out y, In x, In s, const MatrixBatch& shape, int64_t s_stride) {
  counted(OpId::kScaleRows).scale_rows(y, x, s, shape, s_stride);
}
void CountingOps::scale_rows_backward(Out dx, Out ds, In x, In s, const MatrixBatch& shape,
                                      int64_t s_stride) {
  counted(OpId::kScaleRowsBackward).scale_rows_backward(dx, ds, x, s, shape, s_stride);
}
void CountingOps::adamw(Out p, Out m, Out v, In g, In coefficient, In step, bool cautious,
                        int64_t count) {
  counted(OpId::kAdamw).adamw(p, m, v, g, coefficient, step, cautious, count);
}
void CountingOps::muon_momentum(Out u, Out m, In g, In coefficient, In mu, bool row_norm,
                                const MatrixBatch& shape) {
  counted(OpId::kMuonMomentum).muon_momentum(u, m, g, coefficient, mu, row_norm, shape);
}
void CountingOps::newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                                NewtonSchulzStart start, const MatrixBatch& shape) {
  counted(OpId::kNewtonSchulz).newton_schulz(u, steps, start, shape);
}
void CountingOps::normuon(Out u, Out v, In coefficient, In beta2, bool columns, float rms,
                          const MatrixBatch& shape, int64_t v_stride) {
  counted(OpId::kNormuon).normuon(u, v, coefficient, beta2, columns, rms, shape, v_stride);
}
void CountingOps::balance_neurons(Out y, Out d, In x, float beta, bool is_first,
                                  const MatrixBatch& shape) {
  counted(OpId::kBalanceNeurons).balance_neurons(y, d, x, beta, is_first, shape);
}
void CountingOps::apply_update(Out p, In u, In coefficient, In decay_step, bool cautious,
                               const MatrixBatch& shape) {
  counted(OpId::kApplyUpdate).apply_update(p, u, coefficient, decay_step, cautious, shape);
}
void CountingOps::lerp(Out average, In x, In decay, int64_t count) {
  counted(OpId::kLerp).lerp(average, x, decay, count);
}

}  // namespace pg
