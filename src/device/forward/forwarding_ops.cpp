#include "src/device/forward/forwarding_ops.h"

namespace pg {

void ForwardingOps::linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) {
  call(OpId::kLinear)->linear(y, x, w, addend, rows, in, out);
}
void ForwardingOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  call(OpId::kLinearDx)->linear_dx(dx, dy, w, rows, in, out);
}
void ForwardingOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  call(OpId::kLinearDw)->linear_dw(dw, dy, x, rows, in, out);
}
void ForwardingOps::embed(Out y, In ids, In table, int64_t rows, int64_t dim) {
  call(OpId::kEmbed)->embed(y, ids, table, rows, dim);
}
void ForwardingOps::embed_backward(Out dtable, In ids, In dy, int64_t rows, int64_t vocab,
                                   int64_t dim) {
  call(OpId::kEmbedBackward)->embed_backward(dtable, ids, dy, rows, vocab, dim);
}
void ForwardingOps::bigram_hash(Out hashed, In ids, int64_t rows, int64_t tokens, int64_t buckets,
                                int64_t first, bool trigram) {
  call(OpId::kBigramHash)->bigram_hash(hashed, ids, rows, tokens, buckets, first, trigram);
}
void ForwardingOps::mean_bags(Out y, In x, int64_t rows, int64_t bag, int64_t dim) {
  call(OpId::kMeanBags)->mean_bags(y, x, rows, bag, dim);
}
void ForwardingOps::mean_bags_backward(Out dx, In dy, int64_t rows, int64_t bag, int64_t dim) {
  call(OpId::kMeanBagsBackward)->mean_bags_backward(dx, dy, rows, bag, dim);
}
void ForwardingOps::add_scaled(Out y, In x, In z, In s1, In s2, int64_t rows, int64_t dim) {
  call(OpId::kAddScaled)->add_scaled(y, x, z, s1, s2, rows, dim);
}
void ForwardingOps::add_scaled_backward(Out dx, Out dz, Out ds1, Out ds2, In dy, In z, In s1, In s2,
                                        int64_t rows, int64_t dim) {
  call(OpId::kAddScaledBackward)->add_scaled_backward(dx, dz, ds1, ds2, dy, z, s1, s2, rows, dim);
}
void ForwardingOps::mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) {
  call(OpId::kMix)->mix(y, x, a, z, b, rows, dim);
}
void ForwardingOps::mix_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                                 int64_t rows, int64_t dim) {
  call(OpId::kMixBackward)->mix_backward(dx, dz, da, db, dy, x, a, z, b, rows, dim);
}
void ForwardingOps::leaky_relu2(Out y, In x, float slope, int64_t count) {
  call(OpId::kLeakyRelu2)->leaky_relu2(y, x, slope, count);
}
void ForwardingOps::leaky_relu2_backward(Out dx, In dy, In x, float slope, int64_t count) {
  call(OpId::kLeakyRelu2Backward)->leaky_relu2_backward(dx, dy, x, slope, count);
}
void ForwardingOps::swiglu(Out y, In gate, In up, int64_t rows, int64_t dim) {
  call(OpId::kSwiglu)->swiglu(y, gate, up, rows, dim);
}
void ForwardingOps::swiglu_backward(Out dgate, Out dup, In dy, In gate, In up, int64_t rows,
                                    int64_t dim) {
  call(OpId::kSwigluBackward)->swiglu_backward(dgate, dup, dy, gate, up, rows, dim);
}
void ForwardingOps::token_smear(Out y, In x, In ids, In w, In scale, const TokenSmearShape& shape) {
  call(OpId::kTokenSmear)->token_smear(y, x, ids, w, scale, shape);
}
void ForwardingOps::token_smear_backward(Out dx, Out dw, Out dscale, In dy, In x, In ids, In w,
                                         In scale, const TokenSmearShape& shape) {
  call(OpId::kTokenSmearBackward)
      ->token_smear_backward(dx, dw, dscale, dy, x, ids, w, scale, shape);
}
void ForwardingOps::gated_mix(Out y, In x, In z, In w, In gate, int64_t rows, int64_t dim) {
  call(OpId::kGatedMix)->gated_mix(y, x, z, w, gate, rows, dim);
}
void ForwardingOps::gated_mix_backward(Out dx, Out dz, Out dw, Out dgate, In dy, In x, In z, In w,
                                       In gate, int64_t rows, int64_t dim) {
  call(OpId::kGatedMixBackward)
      ->gated_mix_backward(dx, dz, dw, dgate, dy, x, z, w, gate, rows, dim);
}
void ForwardingOps::blend(Out y, In x, In a, In z, In b, bool sigmoid, int64_t rows, int64_t dim) {
  call(OpId::kBlend)->blend(y, x, a, z, b, sigmoid, rows, dim);
}
void ForwardingOps::blend_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                                   bool sigmoid, int64_t rows, int64_t dim) {
  call(OpId::kBlendBackward)->blend_backward(dx, dz, da, db, dy, x, a, z, b, sigmoid, rows, dim);
}
void ForwardingOps::gate_heads(Out y, In x, In n, In w, In b, const HeadGateShape& shape) {
  call(OpId::kGateHeads)->gate_heads(y, x, n, w, b, shape);
}
void ForwardingOps::gate_heads_backward(Out dx, Out dn, Out dw, Out db, In dy, In x, In n, In w,
                                        In b, const HeadGateShape& shape) {
  call(OpId::kGateHeadsBackward)->gate_heads_backward(dx, dn, dw, db, dy, x, n, w, b, shape);
}
void ForwardingOps::mix_layers(Out y, std::span<const In> xs, In h, In w, In a,
                               const LayerMixShape& shape) {
  call(OpId::kMixLayers)->mix_layers(y, xs, h, w, a, shape);
}
void ForwardingOps::mix_layers_backward(std::span<const Out> dxs, Out dh, Out dw, Out da, In dy,
                                        std::span<const In> xs, In h, In w, In a,
                                        const LayerMixShape& shape) {
  call(OpId::kMixLayersBackward)->mix_layers_backward(dxs, dh, dw, da, dy, xs, h, w, a, shape);
}
void ForwardingOps::prepend_rows(Out y, In m, In x, const PrependShape& shape) {
  call(OpId::kPrependRows)->prepend_rows(y, m, x, shape);
}
void ForwardingOps::prepend_rows_backward(Out dx, Out dm, In dy, const PrependShape& shape) {
  call(OpId::kPrependRowsBackward)->prepend_rows_backward(dx, dm, dy, shape);
}
void ForwardingOps::smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim,
                          int64_t first) {
  call(OpId::kSmear)->smear(y, x, gate, rows, tokens, dim, first);
}
void ForwardingOps::smear_backward(Out dx, Out dgate, In dy, In x, In gate, int64_t rows,
                                   int64_t tokens, int64_t dim) {
  call(OpId::kSmearBackward)->smear_backward(dx, dgate, dy, x, gate, rows, tokens, dim);
}
void ForwardingOps::rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows,
                            int64_t dim) {
  call(OpId::kRmsnorm)->rmsnorm(y, rstd, x, scale, eps, rows, dim);
}
void ForwardingOps::rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                                     int64_t dim) {
  call(OpId::kRmsnormBackward)->rmsnorm_backward(dx, dy, x, rstd, scale, rows, dim);
}
void ForwardingOps::mix_rmsnorm(Out y, Out n, Out rstd, In x, In a, In z, In b, float scale,
                                float eps, int64_t rows, int64_t dim) {
  call(OpId::kMixRmsnorm)->mix_rmsnorm(y, n, rstd, x, a, z, b, scale, eps, rows, dim);
}
void ForwardingOps::mix_rmsnorm_backward(Out dx, Out dz, Out da, Out db, In dy, In dn, In x, In a,
                                         In z, In b, In rstd, float scale, int64_t rows,
                                         int64_t dim) {
  call(OpId::kMixRmsnormBackward)
      ->mix_rmsnorm_backward(dx, dz, da, db, dy, dn, x, a, z, b, rstd, scale, rows, dim);
}
void ForwardingOps::qk_norm_rope(Out y, Out rstd, In x, In gain, In table, float eps,
                                 const HeadShape& shape) {
  call(OpId::kQkNormRope)->qk_norm_rope(y, rstd, x, gain, table, eps, shape);
}
void ForwardingOps::qk_norm_rope_backward(Out dx, Out dgain, In dy, In x, In rstd, In gain,
                                          In table, const HeadShape& shape) {
  call(OpId::kQkNormRopeBackward)
      ->qk_norm_rope_backward(dx, dgain, dy, x, rstd, gain, table, shape);
}
void ForwardingOps::attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) {
  call(OpId::kAttention)->attention(y, lse, q, k, v, shape);
}
void ForwardingOps::attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k,
                                       In v, const AttentionShape& shape) {
  call(OpId::kAttentionBackward)->attention_backward(dq, dk, dv, dy, y, lse, q, k, v, shape);
}
void ForwardingOps::xsa(Out y, In x, In v, const AttentionShape& shape) {
  call(OpId::kXsa)->xsa(y, x, v, shape);
}
void ForwardingOps::xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) {
  call(OpId::kXsaBackward)->xsa_backward(dx, dv, dy, x, v, shape);
}
void ForwardingOps::softcap_xent(Out loss, Out lse, In logits, In targets, In weights,
                                 const Softcap& cap, int64_t rows, int64_t vocab, int64_t n) {
  call(OpId::kSoftcapXent)->softcap_xent(loss, lse, logits, targets, weights, cap, rows, vocab, n);
}
void ForwardingOps::softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights,
                                          In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                          int64_t n) {
  call(OpId::kSoftcapXentBackward)
      ->softcap_xent_backward(dlogits, logits, lse, targets, weights, dloss, cap, rows, vocab, n);
}
void ForwardingOps::softcap_xent_sides_backward(Out dsides, In logits, In lse, In targets,
                                                In weights, In dloss, const Softcap& cap,
                                                int64_t rows, int64_t vocab, int64_t n) {
  call(OpId::kSoftcapXentSidesBackward)
      ->softcap_xent_sides_backward(dsides, logits, lse, targets, weights, dloss, cap, rows, vocab,
                                    n);
}
void ForwardingOps::softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap,
                                      int64_t rows, int64_t vocab) {
  call(OpId::kSoftcapLogProbs)->softcap_log_probs(log_probs, entropy, logits, cap, rows, vocab);
}
void ForwardingOps::cast(Out y, In x, int64_t count) { call(OpId::kCast)->cast(y, x, count); }
void ForwardingOps::sum(Out sum, In x, double scale, int64_t count) {
  call(OpId::kSum)->sum(sum, x, scale, count);
}
void ForwardingOps::sum_squares(Out sums, In x, const MatrixBatch& shape, int64_t sums_stride) {
  call(OpId::kSumSquares)->sum_squares(sums, x, shape, sums_stride);
}
void ForwardingOps::sum_pieces(Out sum, In pieces, int64_t count) {
  call(OpId::kSumPieces)->sum_pieces(sum, pieces, count);
}
void ForwardingOps::clip_coefficient(Out coefficient, In squares, float max_norm) {
  call(OpId::kClipCoefficient)->clip_coefficient(coefficient, squares, max_norm);
}
void ForwardingOps::scale_rows(Out y, In x, In s, const MatrixBatch& shape, int64_t s_stride) {
  call(OpId::kScaleRows)->scale_rows(y, x, s, shape, s_stride);
}
void ForwardingOps::scale_rows_backward(Out dx, Out ds, In x, In s, const MatrixBatch& shape,
                                        int64_t s_stride) {
  call(OpId::kScaleRowsBackward)->scale_rows_backward(dx, ds, x, s, shape, s_stride);
}
void ForwardingOps::adamw(Out p, Out m, Out v, In g, In coefficient, In step, bool cautious,
                          int64_t count) {
  call(OpId::kAdamw)->adamw(p, m, v, g, coefficient, step, cautious, count);
}
void ForwardingOps::muon_momentum(Out u, Out m, In g, In coefficient, In mu, bool row_norm,
                                  const MatrixBatch& shape) {
  call(OpId::kMuonMomentum)->muon_momentum(u, m, g, coefficient, mu, row_norm, shape);
}
void ForwardingOps::newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                                  NewtonSchulzStart start, const MatrixBatch& shape) {
  call(OpId::kNewtonSchulz)->newton_schulz(u, steps, start, shape);
}
void ForwardingOps::newton_schulz_of_batches(std::span<const MatricesOut> us,
                                             std::span<const NewtonSchulzCoefficients> steps,
                                             NewtonSchulzStart start) {
  call(OpId::kNewtonSchulz)->newton_schulz_of_batches(us, steps, start);
}
void ForwardingOps::normuon(Out u, Out v, In coefficient, In beta2, bool columns, float rms,
                            const MatrixBatch& shape, int64_t v_stride) {
  call(OpId::kNormuon)->normuon(u, v, coefficient, beta2, columns, rms, shape, v_stride);
}
void ForwardingOps::balance_neurons(Out y, Out d, In x, float beta, bool is_first,
                                    const MatrixBatch& shape) {
  call(OpId::kBalanceNeurons)->balance_neurons(y, d, x, beta, is_first, shape);
}
void ForwardingOps::apply_update(Out p, In u, In coefficient, In decay_step, bool cautious,
                                 const MatrixBatch& shape) {
  call(OpId::kApplyUpdate)->apply_update(p, u, coefficient, decay_step, cautious, shape);
}
void ForwardingOps::lerp(Out average, In x, In decay, int64_t count) {
  call(OpId::kLerp)->lerp(average, x, decay, count);
}

}  // namespace pg
