// The model of a file that names no key.
#include <array>

#include "src/model/model_config.h"

namespace pg {
namespace {

// clang-format off
constexpr auto kFrozenModel = std::to_array<FrozenValue>({
    {"model.vocab_size", "1024"},
    {"model.layers", "11"},
    {"model.dim", "512"},
    {"model.heads", "8"},
    {"model.kv_heads", "4"},
    {"model.mlp_hidden", "1536"},
    {"model.leaky_slope", "0.5"},
    {"model.rope_dims", "16"},
    {"model.rope_base", "10000.0"},
    {"model.rope_ntk_length", "1024"},
    {"model.qk_gain_init", "1.5"},
    {"model.ln_scale", "true"},
    {"model.xsa_last_n", "4"},
    {"model.unet_skips", "true"},
    {"model.resid_mix", "true"},
    {"model.smear_gate", "true"},
    {"model.bigram_buckets", "1536"},
    {"model.bigram_dim", "128"},
    {"model.value_embed_dim", "128"},
    {"model.value_embed_layers", "2"},
    {"model.logit_softcap", "30.0"},
    {"model.embed_init_std", "0.005"},
    {"model.rope_context", "0"},
    // <parts>
    {"model.q_gain", "true"},
    {"model.block_scales", "true"},
    {"model.qk_norm", "true"},
    {"model.mlp", "\"leaky_relu2\""},
    {"model.norm_gains", "false"},
    {"model.token_smear", "false"},
    {"model.token_smear_width", "12"},
    {"model.bos_id", "1"},
    {"model.skip_gates", "false"},
    {"model.value_residual", "\"none\""},
    {"model.value_embed_at", "\"\""},
    {"model.softcap_form", "\"symmetric\""},
    {"model.softcap_shift", "5.0"},
    {"model.softcap_width", "7.5"},
    {"model.loop_first", "3"},
    {"model.loop_last", "5"},
    {"model.loop_passes", "1"},
    {"model.tied_head", "true"},
    {"model.trigram", "false"},
    {"model.bigram_projection", "\"adam\""},
    {"model.value_projection", "\"adam\""},
    {"model.yarn_factor", "1.0"},
    {"model.memory_tokens", "0"},
    {"model.attention_gate", "\"none\""},
    {"model.attention_gate_width", "12"},
    {"model.attention_gate_scale", "0.5"},
    {"model.parallel_residual", "\"none\""},
    {"model.parallel_from", "7"},
    {"model.mudd_at", "\"\""},
    {"model.mudd_local_at", "\"\""},
    {"model.mudd_value_at", "\"\""},
    {"model.paired_heads_at", "\"\""},
    // </parts>
});
// clang-format on

}  // namespace

std::span<const FrozenValue> frozen_model_keys() { return kFrozenModel; }

}  // namespace pg
