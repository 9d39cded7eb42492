// In place of src/plan/gradient: forward passes alone, which remember no rules.
#include "eval/scorer/left_out.h"
#include "src/plan/plan.h"

namespace pg {
void Plan::record_gradients(Tensor) { fail_left_out(); }
LossTensors Plan::softcap_xent(Tensor, Tensor, Tensor, const Softcap&, Tensor) { fail_left_out(); }
Tensor Plan::mean(Tensor) { fail_left_out(); }
void Plan::linear_rule(Tensor, Tensor, Tensor, Tensor, size_t) {}
void Plan::add_linear_rule(Tensor, Tensor, Tensor) {}
void Plan::embed_rule(Tensor, Tensor, Tensor, size_t) {}
void Plan::add_scaled_rule(Tensor, Tensor, Tensor, Tensor, Tensor) {}
void Plan::mix_rule(Tensor, Tensor, Tensor, Tensor, Tensor) {}
void Plan::leaky_relu2_rule(Tensor, Tensor, float) {}
// <parts>
void Plan::scale_columns_rule(Tensor, Tensor, Tensor) {}
void Plan::swiglu_rule(Tensor, Tensor, Tensor) {}
void Plan::token_smear_rule(Tensor, Tensor, Tensor, Tensor, Tensor, const TokenSmearShape&) {}
void Plan::gated_mix_rule(Tensor, Tensor, Tensor, Tensor, Tensor) {}
void Plan::blend_rule(Tensor, Tensor, Tensor, Tensor, Tensor, bool) {}
void Plan::gate_heads_rule(Tensor, Tensor, Tensor, Tensor, Tensor, const HeadGateShape&) {}
void Plan::mix_layers_rule(Tensor, const std::vector<Tensor>&, Tensor, Tensor, Tensor,
                           const LayerMixShape&) {}
void Plan::prepend_rows_rule(Tensor, Tensor, Tensor, const PrependShape&) {}
// </parts>
void Plan::smear_rule(Tensor, Tensor, Tensor, int64_t) {}
void Plan::rmsnorm_rule(Tensor, Tensor, Tensor, float) {}
void Plan::mix_rmsnorm_rule(MixNormTensors, Tensor, Tensor, Tensor, Tensor, Tensor, float) {}
void Plan::qk_norm_rope_rule(Tensor, Tensor, Tensor, Tensor, Tensor, const HeadShape&) {}
void Plan::attention_rule(Tensor, Tensor, Tensor, Tensor, Tensor, const AttentionShape&) {}
void Plan::xsa_rule(Tensor, Tensor, Tensor, const AttentionShape&) {}
void WeightLayout::add_to_ranges(const ParamSpec&, int, bool) {}

}  // namespace pg
