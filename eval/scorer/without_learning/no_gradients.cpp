// In place of src/plan/gradient: forward passes alone, which remember no rules.
#include "src/base/error.h"
#include "src/plan/plan.h"

namespace pg {
namespace {

[[noreturn]] void fail() {
  throw Error("this scorer was built without learning; build the one that learns");
}

}  // namespace

void Plan::record_gradients(Tensor) { fail(); }
LossTensors Plan::softcap_xent(Tensor, Tensor, Tensor, float) { fail(); }
Tensor Plan::mean(Tensor) { fail(); }
void Plan::linear_rule(Tensor, Tensor, Tensor, Tensor, size_t) {}
void Plan::add_linear_rule(Tensor, Tensor, Tensor) {}
void Plan::embed_rule(Tensor, Tensor, Tensor, size_t) {}
void Plan::add_scaled_rule(Tensor, Tensor, Tensor, Tensor, Tensor) {}
void Plan::mix_rule(Tensor, Tensor, Tensor, Tensor, Tensor) {}
void Plan::leaky_relu2_rule(Tensor, Tensor, float) {}
void Plan::smear_rule(Tensor, Tensor, Tensor, int64_t) {}
void Plan::rmsnorm_rule(Tensor, Tensor, Tensor, float) {}
void Plan::mix_rmsnorm_rule(MixNormTensors, Tensor, Tensor, Tensor, Tensor, Tensor, float) {}
void Plan::qk_norm_rope_rule(Tensor, Tensor, Tensor, Tensor, Tensor, const HeadShape&) {}
void Plan::attention_rule(Tensor, Tensor, Tensor, Tensor, Tensor, const AttentionShape&) {}
void Plan::xsa_rule(Tensor, Tensor, Tensor, const AttentionShape&) {}
void WeightLayout::add_to_ranges(const ParamSpec&, int, bool) {}

}  // namespace pg
