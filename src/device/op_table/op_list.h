// Every op once: name, gradient, tolerance class, formula. The list drives the op tests, the
// profile and docs/ops.md; an op that is missing here cannot be recorded in a plan, and one without
// a test case fails the op test.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "src/device/op_id.h"

namespace pg {

// What bounds an op's error against the fp64 reference on the same inputs (tests/ops/tolerance.h
// turns it into numbers).
enum class Tolerance : uint8_t {
  kExact,        // integers and copies
  kElementwise,  // a few roundings of the output type
  kSum,          // a sum of n products: grows with sqrt(n) of the summed magnitudes
  kSoftmax,      // exponentials of sums
};

// Why an op needs no gradient rule.
enum class NoGradient : uint8_t {
  kIsRule,        // computes a gradient itself
  kIntegers,      // its outputs are integers
  kReported,      // its output is read by people or a score, not by the loss
  kOptimizer,     // works on parameters, gradients and averages when the backward pass is done
  kOutsidePlans,  // no plan records it
};

// The op (or first of the ops) that computes an op's gradient, or why there is none. It has no
// default, so an op in the list below that says neither does not compile.
class OpGradient {
 public:
  constexpr OpGradient(OpId rule) : rule_(rule) {}
  constexpr OpGradient(NoGradient reason) : rule_(OpId::kCount), reason_(reason) {}
  constexpr bool exists() const { return rule_ != OpId::kCount; }
  constexpr OpId op() const { return rule_; }              // where it exists
  constexpr NoGradient reason() const { return reason_; }  // where it does not

 private:
  OpId rule_;
  NoGradient reason_ = NoGradient::kIsRule;
};

struct OpInfo {
  OpId id;
  std::string_view name;
  OpGradient gradient;
  Tolerance tolerance;
  std::string_view formula;
};
static_assert(!std::is_default_constructible_v<OpInfo>,
              "an op must name its gradient rule or say why it needs none");

inline constexpr auto kOps = std::to_array<OpInfo>({
    {OpId::kLinear, "linear", OpId::kLinearDx, Tolerance::kSum, "y = addend + x wT"},
    {OpId::kLinearDx, "linear_dx", NoGradient::kIsRule, Tolerance::kSum, "dx = dy w"},
    {OpId::kLinearDw, "linear_dw", NoGradient::kIsRule, Tolerance::kSum, "dw = dyT x"},
    {OpId::kEmbed, "embed", OpId::kEmbedBackward, Tolerance::kExact, "y = table[ids]"},
    {OpId::kEmbedBackward, "embed_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dtable[v] = sum of dy where ids = v"},
    {OpId::kBigramHash, "bigram_hash", NoGradient::kIntegers, Tolerance::kExact,
     "((36313 id_t) xor (27191 id_{t-1})) mod (buckets-1), of a trigram xor (51497 id_{t-2}) too"},
    // <train_gpt>
    {OpId::kMeanBags, "mean_bags", OpId::kMeanBagsBackward, Tolerance::kSum,
     "y[r] = mean of x[s r .. s r + s - 1]"},
    {OpId::kMeanBagsBackward, "mean_bags_backward", NoGradient::kIsRule, Tolerance::kElementwise,
     "dx[s r + i] = dy[r] / s"},
    // </train_gpt>
    {OpId::kAddScaled, "add_scaled", OpId::kAddScaledBackward, Tolerance::kElementwise,
     "y = x + s1 s2 z"},
    {OpId::kAddScaledBackward, "add_scaled_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dz = s1 s2 dy, ds1 = s2 sum(dy z)"},
    {OpId::kMix, "mix", OpId::kMixBackward, Tolerance::kElementwise, "y = a x + b z"},
    {OpId::kMixBackward, "mix_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx = a dy, da = sum(dy x)"},
    {OpId::kLeakyRelu2, "leaky_relu2", OpId::kLeakyRelu2Backward, Tolerance::kElementwise,
     "y = l(x)^2, l(x) = x > 0 ? x : slope x"},
    {OpId::kLeakyRelu2Backward, "leaky_relu2_backward", NoGradient::kIsRule,
     Tolerance::kElementwise, "dx = 2 dy x (x > 0 ? 1 : slope^2)"},
    {OpId::kSwiglu, "swiglu", OpId::kSwigluBackward, Tolerance::kElementwise,
     "y = silu(gate) up, silu(g) = g sigmoid(g)"},
    {OpId::kSwigluBackward, "swiglu_backward", NoGradient::kIsRule, Tolerance::kElementwise,
     "dup = dy silu(gate), dgate = dy up silu'(gate)"},
    {OpId::kTokenSmear, "token_smear", OpId::kTokenSmearBackward, Tolerance::kSum,
     "y_t = x_t + scale sigmoid(w . x_t[:n]) x_{t-1}"},
    {OpId::kTokenSmearBackward, "token_smear_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx_t = dy_t + scale g_{t+1} dy_{t+1} + scale dg_t w"},
    {OpId::kGatedMix, "gated_mix", OpId::kGatedMixBackward, Tolerance::kElementwise,
     "y = g x + (1-g) w z, g = sigmoid(gate)"},
    {OpId::kGatedMixBackward, "gated_mix_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx = g dy, dw = (1-g) sum(dy z)"},
    {OpId::kBlend, "blend", OpId::kBlendBackward, Tolerance::kElementwise,
     "y = a x + b z, or a x + sigmoid(b) z"},
    {OpId::kBlendBackward, "blend_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx = a dy, da = sum(dy x)"},
    {OpId::kGateHeads, "gate_heads", OpId::kGateHeadsBackward, Tolerance::kSum,
     "y_h = g x_h, g = factor sigmoid(scale w_h . n[:width] + b_h)"},
    {OpId::kGateHeadsBackward, "gate_heads_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx_h = g dy_h, dw_h = scale sum(dg n[:width])"},
    {OpId::kMixLayers, "mix_layers", OpId::kMixLayersBackward, Tolerance::kSum,
     "y = x_{n-1} + sum_j c_j x_j, c_j = a_j + w_j . gelu(h)"},
    {OpId::kMixLayersBackward, "mix_layers_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx_j = c_j dy, da_j = sum(dy x_j), dh = gelu'(h) sum_j (dy x_j) w_j"},
    {OpId::kPrependRows, "prepend_rows", OpId::kPrependRowsBackward, Tolerance::kExact,
     "y = [m; x], of each sequence"},
    {OpId::kPrependRowsBackward, "prepend_rows_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx = dy[M:], dm = sum of dy[:M] over sequences"},
    {OpId::kSmear, "smear", OpId::kSmearBackward, Tolerance::kElementwise,
     "y_t = (1-g) x_t + g x_{t-1}"},
    {OpId::kSmearBackward, "smear_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx_t = (1-g) dy_t + g dy_{t+1}"},
    {OpId::kRmsnorm, "rmsnorm", OpId::kRmsnormBackward, Tolerance::kElementwise,
     "y = s x / sqrt(mean(x^2) + eps)"},
    {OpId::kRmsnormBackward, "rmsnorm_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx = s r (dy - x r^2 mean(dy x))"},
    {OpId::kMixRmsnorm, "mix_rmsnorm", OpId::kMixRmsnormBackward, Tolerance::kElementwise,
     "y = a x + b z, n = s y / sqrt(mean(y^2) + eps)"},
    {OpId::kMixRmsnormBackward, "mix_rmsnorm_backward", NoGradient::kIsRule, Tolerance::kSum,
     "g = dy + rmsnorm_backward(dn), dx = a g, da = sum(g x)"},
    {OpId::kQkNormRope, "qk_norm_rope", OpId::kQkNormRopeBackward, Tolerance::kElementwise,
     "y = gain rope(rms(x))"},
    {OpId::kQkNormRopeBackward, "qk_norm_rope_backward", NoGradient::kIsRule, Tolerance::kSum,
     "inverse rotation, then rmsnorm_backward"},
    {OpId::kAttention, "attention", OpId::kAttentionBackward, Tolerance::kSoftmax,
     "y = softmax_causal(scale q kT) v"},
    {OpId::kAttentionBackward, "attention_backward", NoGradient::kIsRule, Tolerance::kSoftmax,
     "ds = p (dp - sum(dy y))"},
    {OpId::kXsa, "xsa", OpId::kXsaBackward, Tolerance::kSum, "y = x - (x . u) u, u = v / |v|"},
    {OpId::kXsaBackward, "xsa_backward", NoGradient::kIsRule, Tolerance::kSum,
     "dx = dy - (dy . u) u"},
    {OpId::kSoftcapXent, "softcap_xent", OpId::kSoftcapXentBackward, Tolerance::kSoftmax,
     "r sum_i w_i (lse(c) - c[y_i]) + z_loss lse(c)^2, c = cap tanh((z + shift)/width), or z"},
    {OpId::kSoftcapXentBackward, "softcap_xent_backward", NoGradient::kIsRule, Tolerance::kSoftmax,
     "dz = ((r W + 2 z_loss lse(c)) p - r sum_i w_i 1[y_i]) dc/dz, W = sum_i w_i, dc/dz = "
     "cap/width (1 - (c/cap)^2), or 1"},
    // <parts>
    {OpId::kSoftcapXentSidesBackward, "softcap_xent_sides_backward", NoGradient::kIsRule,
     Tolerance::kSum, "ds = sum of dc (t - z/s (1 - t^2)) over the logits of a side, t = c/s"},
    // </parts>
    {OpId::kSoftcapLogProbs, "softcap_log_probs", NoGradient::kReported, Tolerance::kSoftmax,
     "log p = c - lse(c), entropy = -sum p log p, c = cap tanh((z + shift)/width), or z"},
    {OpId::kCast, "cast", NoGradient::kOutsidePlans, Tolerance::kExact, "y = x in y's type"},
    {OpId::kSum, "sum", NoGradient::kReported, Tolerance::kSum, "scale sum(x)"},
    {OpId::kSumSquares, "sum_squares", NoGradient::kOptimizer, Tolerance::kSum,
     "sum(x^2) of each 16384 elements"},
    {OpId::kSumPieces, "sum_pieces", NoGradient::kOptimizer, Tolerance::kSum, "sum(pieces)"},
    {OpId::kClipCoefficient, "clip_coefficient", NoGradient::kOptimizer, Tolerance::kElementwise,
     "min(1, max_norm / |g|)"},
    {OpId::kScaleRows, "scale_rows", OpId::kScaleRowsBackward, Tolerance::kElementwise,
     "y[r, :] = s[r] x[r, :]"},
    {OpId::kScaleRowsBackward, "scale_rows_backward", NoGradient::kIsRule, Tolerance::kSum,
     "ds[r] = sum(dy x), dx[r, :] = s[r] dy[r, :]"},
    {OpId::kAdamw, "adamw", NoGradient::kOptimizer, Tolerance::kElementwise,
     "p = p (1 - lr wd) - lr (m/bias1) / (sqrt(v/bias2) + eps)"},
    {OpId::kMuonMomentum, "muon_momentum", NoGradient::kOptimizer, Tolerance::kElementwise,
     "m = mu m + g, u = g + mu m"},
    {OpId::kNewtonSchulz, "newton_schulz", NoGradient::kOptimizer, Tolerance::kSum,
     "x = a x + (b A + c A A) x, A = x xT"},
    {OpId::kNormuon, "normuon", NoGradient::kOptimizer, Tolerance::kSum,
     "v = b2 v + (1-b2) mean(u^2), w = u / sqrt(v), u = w scale / |w|"},
    {OpId::kBalanceNeurons, "balance_neurons", NoGradient::kOptimizer, Tolerance::kSum,
     "d = d ((m/n) / |y|^2)^beta, y = d x"},
    {OpId::kApplyUpdate, "apply_update", NoGradient::kOptimizer, Tolerance::kElementwise,
     "p = p decay - step u"},
    {OpId::kLerp, "lerp", NoGradient::kOptimizer, Tolerance::kElementwise,
     "a = decay a + (1-decay) x"},
});

constexpr const OpInfo& op_info(OpId id) { return kOps[static_cast<size_t>(id)]; }

// Whether arithmetic bounds an op; memory bounds the others.
constexpr bool is_bound_by_arithmetic(OpId id) {
  return id == OpId::kLinear || id == OpId::kLinearDx || id == OpId::kLinearDw ||
         id == OpId::kAttention || id == OpId::kAttentionBackward;
}

// A rule bears the name of its op and a suffix, and only rules do: so none can be claimed or left
// out by oversight.
constexpr bool op_list_is_sound() {
  if (kOps.size() != static_cast<size_t>(OpId::kCount)) return false;
  for (size_t i = 0; i < kOps.size(); ++i) {
    if (static_cast<size_t>(kOps[i].id) != i) return false;
    const bool is_rule = kOps[i].name.ends_with("_backward") || kOps[i].name.ends_with("_dx") ||
                         kOps[i].name.ends_with("_dw");
    const OpGradient rule = kOps[i].gradient;
    if (is_rule != (!rule.exists() && rule.reason() == NoGradient::kIsRule)) return false;
    if (rule.exists() && !op_info(rule.op()).name.starts_with(kOps[i].name)) return false;
    if (is_rule) {
      bool used = false;
      for (const OpInfo& op : kOps) {
        used |= op.gradient.exists() && kOps[i].name.starts_with(op.name);
      }
      if (!used) return false;
    }
  }
  return true;
}
static_assert(
    op_list_is_sound(),
    "kOps must list every OpId in order, with a gradient rule for each differentiable op");

}  // namespace pg
