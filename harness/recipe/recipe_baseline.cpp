// The defaults of the version that identities are counted from, frozen: see recipe_identity.h.
#include <array>
#include <vector>

#include "eval/scoring_keys.h"
#include "harness/recipe/recipe_identity.h"

namespace pg {
namespace {

// clang-format off
constexpr auto kFrozen = std::to_array<FrozenValue>({
    {"track.device", "\"cpu\""},
    {"data.loader", "\"sequential\""},
    {"train.wallclock_s", "600.0"},
    {"train.reserve_s", "0.0"},
    {"train.max_steps", "20000"},
    {"train.batch_tokens", "786432"},
    {"train.micro_batch_tokens", "8192"},
    {"train.seq_len", "2048"},
    {"train.seed", "1337"},
    {"train.warmdown_form", "\"steps\""},
    {"train.warmdown_steps", "3500"},
    {"train.warmdown_fraction", "0.667"},
    {"train.min_lr", "0.0"},
    {"train.average", "\"ema\""},
    {"train.ema_decay", "0.997"},
    {"train.swa_every", "50"},
    {"train.swa_start_lr", "0.2"},
    {"optimizer.matrix_lr", "0.025"},
    {"optimizer.embed_lr", "0.035"},
    {"optimizer.scalar_lr", "0.025"},
    {"optimizer.muon_momentum", "0.99"},
    {"optimizer.muon_momentum_start", "0.92"},
    {"optimizer.muon_momentum_warmup_steps", "1500"},
    {"optimizer.newton_schulz_steps", "5"},
    {"optimizer.newton_schulz", "\"stock\""},
    {"optimizer.muon_row_norm", "false"},
    {"optimizer.muon_weight_decay", "0.04"},
    {"optimizer.adam_weight_decay", "0.04"},
    {"optimizer.adam_beta1", "0.9"},
    {"optimizer.adam_beta2", "0.95"},
    {"optimizer.adam_epsilon", "1e-08"},
    {"optimizer.grad_clip_norm", "0.3"},
    {"quant.scales", "\"sensitivity\""},
    {"quant.rounding", "\"gptq\""},
    {"quant.fill_cap", "true"},
    {"quant.matrix_bits", "6"},
    {"quant.mlp_bits", "6"},
    {"quant.embed_bits", "8"},
    {"quant.matrix_clip_sigmas", "13.0"},
    {"quant.mlp_clip_sigmas", "11.5"},
    {"quant.embed_clip_sigmas", "20.0"},
    {"quant.hessian_lambda", "0.175"},
    {"quant.damping", "0.01"},
    {"quant.calibration_tokens", "65536"},
    {"quant.keep_fp16_elements", "8192"},
    {"quant.sort_hidden", "true"},
    {"quant.lqer_rank", "0"},
    {"quant.lqer_tensors", "3"},
    {"quant.lqer_group", "64"},
    {"quant.awq_group", "false"},
    {"quant.cap_bytes", "16000000"},
    {"eval.batch_tokens", "8192"},
    {"eval.wallclock_s", "600.0"},
    {"train.gradient_leaves", "1"},
    {"train.sums", "\"ordered\""},
    {"eval.exact_share", "0.8"},
    {"train.warmdown_shape", "\"linear\""},
    {"train.lr_warmup_steps", "0"},
    {"optimizer.newton_schulz_scaling", "\"norm\""},
    {"optimizer.aurora_iterations", "0"},
    {"optimizer.aurora_beta", "0.5"},
    {"optimizer.normuon", "\"off\""},
    {"optimizer.normuon_beta2", "0.95"},
    {"optimizer.cautious_weight_decay", "false"},
    {"optimizer.weight_decay_taper_start", "1.0"},
    {"optimizer.weight_decay_taper_end", "0.5"},
    {"optimizer.embed_weight_decay", "-1.0"},
    {"optimizer.embed_beta1", "-1.0"},
    {"optimizer.embed_beta2", "-1.0"},
    {"optimizer.ema_nesterov_beta", "0.0"},
    {"optimizer.ema_nesterov_gamma", "0.99"},
    {"optimizer.ema_nesterov_start", "0.15"},
    {"optimizer.ema_nesterov_end", "0.77"},
    {"train.ema_start_fraction", "0.0"},
    {"train.ema_start_lr", "0.0"},
    {"train.ema_restart_fraction", "0.0"},
    {"train.lawa_every", "100"},
    {"train.lawa_count", "10"},
    {"train.bag_targets", "1"},
    {"train.bag_fraction", "0.3"},
    {"train.bag_weights", "\"uniform\""},
    {"train.future_targets", "0"},
    {"train.future_weight", "0.5"},
    {"train.future_until", "0.6666666666666666"},
    {"train.prefix_weight", "0.0"},
    {"train.late_qat_lr", "0.0"},
    {"quant.row_max_quantile", "1.0"},
    {"quant.embed_row_max_quantile", "1.0"},
    {"quant.coder", "\"own\""},
    {"train.z_loss", "0.0"},
    {"train.complement_alpha", "0.0"},
    {"train.mtp_heads", "0"},
    {"train.mtp_modules", "0"},
    {"train.mtp_weight", "0.1"},
    {"train.mtp_group", "\"muon\""},
    {"train.loop_from", "0.0"},
    {"train.bag_inputs", "false"},
    {"train.bag_iso_data", "false"},
    {"optimizer.head_lr", "0.008"},
    {"train.bag_reset", "false"},
    {"train.held_out_tokens", "65536"},
    {"quant.gradient_bits", "false"},
    {"train.seq_len_growth", "\"\""},
});
// clang-format on

}  // namespace

std::span<const FrozenValue> frozen_run_keys() { return kFrozen; }

std::span<const FrozenValue> recipe_baseline() {
  static const std::vector<FrozenValue> all = [] {
    std::vector<FrozenValue> keys;
    for (const auto part : {frozen_run_keys(), frozen_model_keys(), frozen_scoring_keys()}) {
      keys.insert(keys.end(), part.begin(), part.end());
    }
    return keys;
  }();
  return all;
}

}  // namespace pg
