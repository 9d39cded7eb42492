// In place of src/device/cpu/gradient and optimizer.
#include "eval/scorer/left_out.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

void CpuOps::linear_dx(Out, In, In, int64_t, int64_t, int64_t) { fail_left_out(); }
void CpuOps::linear_dw(Out, In, In, int64_t, int64_t, int64_t) { fail_left_out(); }
void CpuOps::embed_backward(Out, In, In, int64_t, int64_t, int64_t) { fail_left_out(); }
void CpuOps::add_scaled_backward(Out, Out, Out, Out, In, In, In, In, int64_t, int64_t) {
  fail_left_out();
}
void CpuOps::mix_backward(Out, Out, Out, Out, In, In, In, In, In, int64_t, int64_t) {
  fail_left_out();
}
void CpuOps::leaky_relu2_backward(Out, In, In, float, int64_t) { fail_left_out(); }
// <parts>
void CpuOps::softcap_xent_sides_backward(Out, In, In, In, In, In, const Softcap&, int64_t, int64_t,
                                         int64_t) {
  fail_left_out();
}
void CpuOps::swiglu_backward(Out, Out, In, In, In, int64_t, int64_t) { fail_left_out(); }
void CpuOps::token_smear_backward(Out, Out, Out, In, In, In, In, In, const TokenSmearShape&) {
  fail_left_out();
}
void CpuOps::gated_mix_backward(Out, Out, Out, Out, In, In, In, In, In, int64_t, int64_t) {
  fail_left_out();
}
void CpuOps::blend_backward(Out, Out, Out, Out, In, In, In, In, In, bool, int64_t, int64_t) {
  fail_left_out();
}
void CpuOps::gate_heads_backward(Out, Out, Out, Out, In, In, In, In, In, const HeadGateShape&) {
  fail_left_out();
}
void CpuOps::mix_layers_backward(std::span<const Out>, Out, Out, Out, In, std::span<const In>, In,
                                 In, In, const LayerMixShape&) {
  fail_left_out();
}
void CpuOps::prepend_rows_backward(Out, Out, In, const PrependShape&) { fail_left_out(); }
// </parts>
void CpuOps::smear_backward(Out, Out, In, In, In, int64_t, int64_t, int64_t) { fail_left_out(); }
void CpuOps::rmsnorm_backward(Out, In, In, In, float, int64_t, int64_t) { fail_left_out(); }
void CpuOps::mix_rmsnorm_backward(Out, Out, Out, Out, In, In, In, In, In, In, In, float, int64_t,
                                  int64_t) {
  fail_left_out();
}
void CpuOps::qk_norm_rope_backward(Out, Out, In, In, In, In, In, const HeadShape&) {
  fail_left_out();
}
void CpuOps::attention_backward(Out, Out, Out, In, In, In, In, In, In, const AttentionShape&) {
  fail_left_out();
}
void CpuOps::xsa_backward(Out, Out, In, In, In, const AttentionShape&) { fail_left_out(); }
void CpuOps::softcap_xent(Out, Out, In, In, In, const Softcap&, int64_t, int64_t, int64_t) {
  fail_left_out();
}
void CpuOps::softcap_xent_backward(Out, In, In, In, In, In, const Softcap&, int64_t, int64_t,
                                   int64_t) {
  fail_left_out();
}
void CpuOps::sum(Out, In, double, int64_t) { fail_left_out(); }
void CpuOps::scale_rows_backward(Out, Out, In, In, const MatrixBatch&, int64_t) { fail_left_out(); }
void CpuOps::sum_squares(Out, In, const MatrixBatch&, int64_t) { fail_left_out(); }
void CpuOps::sum_pieces(Out, In, int64_t) { fail_left_out(); }
void CpuOps::clip_coefficient(Out, In, float) { fail_left_out(); }
void CpuOps::adamw(Out, Out, Out, In, In, In, bool, int64_t) { fail_left_out(); }
void CpuOps::muon_momentum(Out, Out, In, In, In, bool, const MatrixBatch&) { fail_left_out(); }
void CpuOps::apply_update(Out, In, In, In, bool, const MatrixBatch&) { fail_left_out(); }

}  // namespace pg
