// The specification: every op as the formula says, in double, on tensors of any storage type (f32,
// bf16, f64), one thread, no cleverness. Other devices are tested against it; the simt device
// derives from it for ops that have no kernel. Implemented in reference_ops.cpp,
// reference_ops_attention.cpp and reference_ops_optimizer.cpp.
//
// Tensors that an op updates in place (adamw's p, m, v; newton_schulz's u; ...) are overwritten:
// Out::accumulate has no meaning for them.
#pragma once
#include "src/device/ops.h"

namespace pg {

class ReferenceOps : public Ops {
 public:
  void linear(Out y, In x, In w, int64_t rows, int64_t in, int64_t out) override;
  void linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) override;
  void linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) override;

  void embed(Out y, In ids, In table, int64_t rows, int64_t dim) override;
  void embed_backward(Out dtable, In ids, In dy, int64_t rows, int64_t vocab, int64_t dim) override;
  void bigram_hash(Out hashed, In ids, int64_t rows, int64_t tokens, int64_t buckets) override;

  void add_scaled(Out y, In x, In z, In s1, In s2, int64_t count) override;
  void add_scaled_backward(Out dx, Out dz, Out ds1, Out ds2, In dy, In z, In s1, In s2,
                           int64_t count) override;
  void mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) override;
  void mix_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b, int64_t rows,
                    int64_t dim) override;
  void leaky_relu2(Out y, In x, float slope, int64_t count) override;
  void leaky_relu2_backward(Out dx, In dy, In x, float slope, int64_t count) override;
  void smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim) override;
  void smear_backward(Out dx, Out dgate, In dy, In x, In gate, int64_t rows, int64_t tokens,
                      int64_t dim) override;

  void rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows, int64_t dim) override;
  void rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                        int64_t dim) override;

  void qk_norm_rope(Out y, Out rstd, In x, In gain, In table, float eps,
                    const HeadShape& shape) override;
  void qk_norm_rope_backward(Out dx, Out dgain, In dy, In x, In rstd, In gain, In table,
                             const HeadShape& shape) override;
  void attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) override;
  void attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                          const AttentionShape& shape) override;
  void xsa(Out y, In x, In v, const AttentionShape& shape) override;
  void xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) override;

  void softcap_xent(Out loss, Out lse, In logits, In targets, In weights, float cap, int64_t rows,
                    int64_t vocab, int64_t n) override;
  void softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights, float cap,
                             float dloss, int64_t rows, int64_t vocab, int64_t n) override;

  void cast(Out y, In x, int64_t count) override;
  void sum(Out sum, In x, float scale, int64_t count) override;
  void sum_squares(Out sum, In x, int64_t count) override;
  void clip_coefficient(Out coefficient, In squares, float max_norm) override;

  void adamw(Out p, Out m, Out v, In g, In coefficient, const AdamWStep& step,
             int64_t count) override;
  void muon_momentum(Out u, Out m, In g, In coefficient, float mu, bool row_norm, int64_t rows,
                     int64_t cols) override;
  void newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps, int64_t rows,
                     int64_t cols) override;
  void apply_update(Out p, In u, float decay, float step, int64_t count) override;
  void lerp(Out average, In x, float decay, int64_t count) override;
};

}  // namespace pg
