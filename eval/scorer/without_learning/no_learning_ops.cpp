// In place of src/device/cpu/gradient and optimizer.
#include "src/base/error.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

[[noreturn]] void fail() {
  throw Error("this scorer was built without learning; build the one that learns");
}

}  // namespace

void CpuOps::linear_dx(Out, In, In, int64_t, int64_t, int64_t) { fail(); }
void CpuOps::linear_dw(Out, In, In, int64_t, int64_t, int64_t) { fail(); }
void CpuOps::embed_backward(Out, In, In, int64_t, int64_t, int64_t) { fail(); }
void CpuOps::add_scaled_backward(Out, Out, Out, Out, In, In, In, In, int64_t, int64_t) { fail(); }
void CpuOps::mix_backward(Out, Out, Out, Out, In, In, In, In, In, int64_t, int64_t) { fail(); }
void CpuOps::leaky_relu2_backward(Out, In, In, float, int64_t) { fail(); }
void CpuOps::smear_backward(Out, Out, In, In, In, int64_t, int64_t, int64_t) { fail(); }
void CpuOps::rmsnorm_backward(Out, In, In, In, float, int64_t, int64_t) { fail(); }
void CpuOps::mix_rmsnorm_backward(Out, Out, Out, Out, In, In, In, In, In, In, In, float, int64_t,
                                  int64_t) {
  fail();
}
void CpuOps::qk_norm_rope_backward(Out, Out, In, In, In, In, In, const HeadShape&) { fail(); }
void CpuOps::attention_backward(Out, Out, Out, In, In, In, In, In, In, const AttentionShape&) {
  fail();
}
void CpuOps::xsa_backward(Out, Out, In, In, In, const AttentionShape&) { fail(); }
void CpuOps::softcap_xent(Out, Out, In, In, In, float, int64_t, int64_t, int64_t) { fail(); }
void CpuOps::softcap_xent_backward(Out, In, In, In, In, In, float, int64_t, int64_t, int64_t) {
  fail();
}
void CpuOps::sum(Out, In, double, int64_t) { fail(); }
void CpuOps::scale_rows_backward(Out, Out, In, In, const MatrixBatch&, int64_t) { fail(); }
void CpuOps::sum_squares(Out, In, const MatrixBatch&, int64_t) { fail(); }
void CpuOps::sum_pieces(Out, In, int64_t) { fail(); }
void CpuOps::clip_coefficient(Out, In, float) { fail(); }
void CpuOps::adamw(Out, Out, Out, In, In, In, int64_t) { fail(); }
void CpuOps::muon_momentum(Out, Out, In, In, In, bool, const MatrixBatch&) { fail(); }
void CpuOps::apply_update(Out, In, In, In, const MatrixBatch&) { fail(); }

}  // namespace pg
