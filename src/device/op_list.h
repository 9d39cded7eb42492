// Every op once: name, gradient, tolerance class, formula. The list drives the op tests, the
// profile and docs/ops.md; an op that is missing here cannot be recorded in a plan, and one without
// a test case fails the op test.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace pg {

enum class OpId : uint8_t {
  kLinear,
  kLinearDx,
  kLinearDw,
  kEmbed,
  kEmbedBackward,
  kBigramHash,
  kAddScaled,
  kAddScaledBackward,
  kMix,
  kMixBackward,
  kLeakyRelu2,
  kLeakyRelu2Backward,
  kSmear,
  kSmearBackward,
  kRmsnorm,
  kRmsnormBackward,
  kQkNormRope,
  kQkNormRopeBackward,
  kAttention,
  kAttentionBackward,
  kXsa,
  kXsaBackward,
  kSoftcapXent,
  kSoftcapXentBackward,
  kCast,
  kSum,
  kSumSquares,
  kClipCoefficient,
  kAdamw,
  kMuonMomentum,
  kNewtonSchulz,
  kApplyUpdate,
  kLerp,
  kCount
};

// What bounds an op's error against the fp64 reference on the same inputs (tests/ops/tolerance.h
// turns it into numbers).
enum class Tolerance : uint8_t {
  kExact,        // integers and copies
  kElementwise,  // a few roundings of the output type
  kSum,          // a sum of n products: grows with sqrt(n) of the summed magnitudes
  kSoftmax,      // exponentials of sums
};

struct OpInfo {
  OpId id;
  std::string_view name;
  OpId gradient;  // the op (or first of the ops) that computes its gradient; kCount: has none, see
                  // `formula`
  Tolerance tolerance;
  std::string_view formula;
};

inline constexpr OpId kNoGradient = OpId::kCount;

inline constexpr auto kOps = std::to_array<OpInfo>({
    {OpId::kLinear, "linear", OpId::kLinearDx, Tolerance::kSum, "y = x wT"},
    {OpId::kLinearDx, "linear_dx", kNoGradient, Tolerance::kSum, "dx = dy w"},
    {OpId::kLinearDw, "linear_dw", kNoGradient, Tolerance::kSum, "dw = dyT x"},
    {OpId::kEmbed, "embed", OpId::kEmbedBackward, Tolerance::kExact, "y = table[ids]"},
    {OpId::kEmbedBackward, "embed_backward", kNoGradient, Tolerance::kSum,
     "dtable[v] = sum of dy where ids = v"},
    {OpId::kBigramHash, "bigram_hash", kNoGradient, Tolerance::kExact,
     "((36313 id_t) xor (27191 id_{t-1})) mod (buckets-1); integers"},
    {OpId::kAddScaled, "add_scaled", OpId::kAddScaledBackward, Tolerance::kElementwise,
     "y = x + s1 s2 z"},
    {OpId::kAddScaledBackward, "add_scaled_backward", kNoGradient, Tolerance::kSum,
     "dz = s1 s2 dy, ds1 = s2 sum(dy z)"},
    {OpId::kMix, "mix", OpId::kMixBackward, Tolerance::kElementwise, "y = a x + b z"},
    {OpId::kMixBackward, "mix_backward", kNoGradient, Tolerance::kSum, "dx = a dy, da = sum(dy x)"},
    {OpId::kLeakyRelu2, "leaky_relu2", OpId::kLeakyRelu2Backward, Tolerance::kElementwise,
     "y = l(x)^2, l(x) = x > 0 ? x : slope x"},
    {OpId::kLeakyRelu2Backward, "leaky_relu2_backward", kNoGradient, Tolerance::kElementwise,
     "dx = 2 dy x (x > 0 ? 1 : slope^2)"},
    {OpId::kSmear, "smear", OpId::kSmearBackward, Tolerance::kElementwise,
     "y_t = (1-g) x_t + g x_{t-1}"},
    {OpId::kSmearBackward, "smear_backward", kNoGradient, Tolerance::kSum,
     "dx_t = (1-g) dy_t + g dy_{t+1}"},
    {OpId::kRmsnorm, "rmsnorm", OpId::kRmsnormBackward, Tolerance::kElementwise,
     "y = s x / sqrt(mean(x^2) + eps)"},
    {OpId::kRmsnormBackward, "rmsnorm_backward", kNoGradient, Tolerance::kSum,
     "dx = s r (dy - x r^2 mean(dy x))"},
    {OpId::kQkNormRope, "qk_norm_rope", OpId::kQkNormRopeBackward, Tolerance::kElementwise,
     "y = gain rope(rms(x))"},
    {OpId::kQkNormRopeBackward, "qk_norm_rope_backward", kNoGradient, Tolerance::kSum,
     "inverse rotation, then rmsnorm_backward"},
    {OpId::kAttention, "attention", OpId::kAttentionBackward, Tolerance::kSoftmax,
     "y = softmax_causal(scale q kT) v"},
    {OpId::kAttentionBackward, "attention_backward", kNoGradient, Tolerance::kSoftmax,
     "ds = p (dp - sum(dy y))"},
    {OpId::kXsa, "xsa", OpId::kXsaBackward, Tolerance::kSum, "y = x - (x . u) u, u = v / |v|"},
    {OpId::kXsaBackward, "xsa_backward", kNoGradient, Tolerance::kSum, "dx = dy - (dy . u) u"},
    {OpId::kSoftcapXent, "softcap_xent", OpId::kSoftcapXentBackward, Tolerance::kSoftmax,
     "sum_i w_i (lse(c) - c[y_i]), c = cap tanh(z/cap)"},
    {OpId::kSoftcapXentBackward, "softcap_xent_backward", kNoGradient, Tolerance::kSoftmax,
     "dz = (W p - sum_i w_i 1[y_i]) (1 - (c/cap)^2)"},
    {OpId::kCast, "cast", kNoGradient, Tolerance::kExact,
     "y = x in y's type; not part of a forward pass"},
    {OpId::kSum, "sum", kNoGradient, Tolerance::kSum,
     "scale sum(x); its gradient is the constant dloss of softcap_xent_backward"},
    {OpId::kSumSquares, "sum_squares", kNoGradient, Tolerance::kSum, "sum(x^2); optimizer"},
    {OpId::kClipCoefficient, "clip_coefficient", kNoGradient, Tolerance::kElementwise,
     "min(1, max_norm / |g|); optimizer"},
    {OpId::kAdamw, "adamw", kNoGradient, Tolerance::kElementwise, "AdamW; optimizer"},
    {OpId::kMuonMomentum, "muon_momentum", kNoGradient, Tolerance::kElementwise,
     "m = mu m + g, u = g + mu m; optimizer"},
    {OpId::kNewtonSchulz, "newton_schulz", kNoGradient, Tolerance::kSum,
     "x = a x + (b A + c A A) x, A = x xT; optimizer"},
    {OpId::kApplyUpdate, "apply_update", kNoGradient, Tolerance::kElementwise,
     "p = p decay - step u; optimizer"},
    {OpId::kLerp, "lerp", kNoGradient, Tolerance::kElementwise,
     "a = decay a + (1-decay) x; averaging"},
});

constexpr const OpInfo& op_info(OpId id) { return kOps[static_cast<size_t>(id)]; }

// An op with a gradient names its rule by the suffix _backward (or _dx), so a listed op cannot lack
// one by oversight.
constexpr bool op_list_is_sound() {
  if (kOps.size() != static_cast<size_t>(OpId::kCount)) return false;
  for (size_t i = 0; i < kOps.size(); ++i) {
    if (static_cast<size_t>(kOps[i].id) != i) return false;
    const bool is_rule = kOps[i].name.ends_with("_backward") || kOps[i].name.ends_with("_dx") ||
                         kOps[i].name.ends_with("_dw");
    if (kOps[i].gradient != kNoGradient && is_rule) return false;
    if (kOps[i].gradient != kNoGradient &&
        !op_info(kOps[i].gradient).name.starts_with(kOps[i].name))
      return false;
    if (is_rule) {
      bool used = false;
      for (const OpInfo& op : kOps)
        used |= op.gradient != kNoGradient && kOps[i].name.starts_with(op.name);
      if (!used) return false;
    }
  }
  return true;
}
static_assert(
    op_list_is_sound(),
    "kOps must list every OpId in order, with a gradient rule for each differentiable op");

}  // namespace pg
