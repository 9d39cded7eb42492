// The op table for processors: cpu_matmul.h for products, vectorised loops for the rest. One file
// per family of ops implements this class: cpu_linear.cpp, cpu_attention.cpp, cpu_embedding.cpp,
// cpu_elementwise.cpp, cpu_norm.cpp, cpu_loss.cpp, cpu_optimizer.cpp.
//
// Determinism: work is cut into chunks by shape alone, each chunk is computed by one thread,
// partial sums are combined in chunk order. Scratch is allocated at first use and kept, so a
// repeated step allocates nothing.
#pragma once
#include <memory>

#include "src/device/ops.h"

namespace pg {

class CpuMatmul;   // cpu_matmul.h
class CpuScratch;  // one growing buffer per thread, cpu_scratch.h

class CpuOps final : public Ops {
 public:
  explicit CpuOps(DType compute);
  ~CpuOps() override;

  // The instructions of products in the compute type, as people name them.
  const char* isa_name() const;

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

 private:
  DType compute_;
  std::unique_ptr<CpuMatmul> matmul_;
  std::unique_ptr<CpuScratch> scratch_;
};

}  // namespace pg
