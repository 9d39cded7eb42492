// Each part of a model beyond the base stack (model_config.h): how a recipe switches it on, and by what
// its own parameters are known. The tests of models, of decoding and of training walk over the list.
#pragma once
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "src/model/model_config.h"

namespace pg {

struct ModelPart {
  const char* name;
  std::function<void(ModelConfig&)> switch_on;
  // Names of its parameters, or ends of them; empty: it has none of its own.
  std::vector<std::string> params = {};
};
inline void PrintTo(const ModelPart& part, std::ostream* out) { *out << part.name; }

inline std::span<const ModelPart> model_parts() {
  static const std::vector<ModelPart> parts = {
      {"no_q_gain", [](ModelConfig& c) { c.q_gain = false; }},
      {"no_block_scales", [](ModelConfig& c) { c.block_scales = false; }},
      {"no_qk_norm", [](ModelConfig& c) { c.qk_norm = false; }},
      {"swiglu", [](ModelConfig& c) { c.mlp = Mlp::kSwiglu; }, {"mlp.gate"}},
      {"norm_gains",
       [](ModelConfig& c) { c.norm_gains = true; },
       {"attn_norm.gain", "mlp_norm.gain", "final_norm.gain"}},
      {"token_smear",
       [](ModelConfig& c) {
         c.smear_gate = false;
         c.token_smear = true;
       },
       {"token_smear.gate", "token_smear.scale"}},
      {"skip_gates", [](ModelConfig& c) { c.skip_gates = true; }, {"skips.0.gate", "skips.1.gate"}},
      {"value_mean",
       [](ModelConfig& c) { c.value_residual = ValueResidual::kMean; },
       {"attn.v_scale", "attn.v_first_scale"}},
      {"value_sigmoid",
       [](ModelConfig& c) { c.value_residual = ValueResidual::kSigmoid; },
       {"attn.v_first_scale"}},
      {"value_scalar",
       [](ModelConfig& c) { c.value_residual = ValueResidual::kScalar; },
       {"attn.v_first_scale"}},
      {"value_first_input",
       [](ModelConfig& c) {
         c.value_residual = ValueResidual::kFirstInput;
         c.value_embed_at = "0,2";
       },
       {"attn.v_first_scale", "blocks.0.value_embed.scale", "blocks.2.value_embed.scale"}},
      {"gated_attention",
       [](ModelConfig& c) { c.attention_gate = AttentionGate::kGated; },
       {"attn.gate", "attn.gate_bias"}},
      {"attention_output_gate",
       [](ModelConfig& c) { c.attention_gate = AttentionGate::kOutput; },
       {"attn.gate"}},
      {"gated_attention_from_noise",
       [](ModelConfig& c) { c.attention_gate = AttentionGate::kGatedNormal; },
       {"attn.gate"}},
      {"sparse_attention_gate",
       [](ModelConfig& c) { c.attention_gate = AttentionGate::kSparse; },
       {"attn.gate"}},
      {"parallel_residual",
       [](ModelConfig& c) {
         c.parallel_residual = ParallelResidual::kGptj;
         c.parallel_from = 1;
         c.norm_gains = true;
       }},
      {"parallel_residual_of_the_last_block_in_a_loop",
       [](ModelConfig& c) {
         c.parallel_residual = ParallelResidual::kGptj;
         c.parallel_from = 3;
         c.loop_first = c.loop_last = c.layers - 1;
         c.loop_passes = 2;
       }},
      {"lanes",
       [](ModelConfig& c) {
         c.parallel_residual = ParallelResidual::kLanes;
         c.parallel_from = 2;
       },
       {"lanes.keep.0", "lanes.keep.1", "lanes.attn.0", "lanes.attn.1", "lanes.mlp.0",
        "lanes.mlp.1"}},
      {"lanes_behind_a_loop",
       [](ModelConfig& c) {
         c.parallel_residual = ParallelResidual::kLanes;
         c.parallel_from = 3;
         c.skip_gates = c.norm_gains = true;
         c.loop_first = c.loop_last = 1;
         c.loop_passes = 3;
         c.attention_gate = AttentionGate::kSparse;
       },
       {"lanes.keep.0", "lanes.keep.1", "lanes.attn.0", "lanes.attn.1", "lanes.mlp.0",
        "lanes.mlp.1"}},
      {"lanes_in_turn",
       [](ModelConfig& c) {
         c.parallel_residual = ParallelResidual::kLanesInTurn;
         c.parallel_from = 2;
         c.memory_tokens = 2;
       },
       {"lanes.keep.0", "lanes.keep.1", "lanes.attn.0", "lanes.attn.1", "lanes.mlp.0",
        "lanes.mlp.1"}},
      {"lanes_in_turn_without_mixes",
       [](ModelConfig& c) {
         c.parallel_residual = ParallelResidual::kLanesInTurn;
         c.parallel_from = 3;
         c.resid_mix = c.unet_skips = false;
       }},
      {"mudd",
       [](ModelConfig& c) {
         c.mudd_at = "0,2,3";
         c.mudd_local_at = std::string("2");
         c.mudd_value_at = "0,2";
         c.norm_gains = true;
       },
       {"mudd.0.hidden", "mudd.0.stream", "mudd.0.stream_share", "mudd.0.value",
        "mudd.0.value_share", "mudd.2.hidden", "mudd.2.stream", "mudd.2.stream_share",
        "mudd.2.value", "mudd.2.value_share", "mudd.3.hidden", "mudd.3.stream",
        "mudd.3.stream_share"}},
      {"mudd_in_place_of_skips_and_mixes_in_a_loop",
       [](ModelConfig& c) {
         c.unet_skips = c.resid_mix = false;
         c.loop_first = 1;
         c.loop_last = 2;
         c.loop_passes = 2;
         c.mudd_at = "1,3,5";
         c.mudd_value_at = "1,3";
         c.memory_tokens = 2;
       },
       {"mudd.1.hidden", "mudd.3.value", "mudd.5.stream"}},
      {"paired_heads",
       [](ModelConfig& c) {
         c.paired_heads_at = "0,2,3";
         c.xsa_last_n = 1;
         c.memory_tokens = 1;
       }},
      {"untied_head", [](ModelConfig& c) { c.tied_head = false; }, {"lm_head"}},
      {"trigram", [](ModelConfig& c) { c.trigram = true; }},
      {"muon_projections",
       [](ModelConfig& c) {
         c.bigram_projection = ProjectionGroup::kMuon;
         c.value_projection = ProjectionGroup::kMuon;
       },
       {"bigram.proj", "value_embed.proj"}},
      {"yarn",
       [](ModelConfig& c) {
         c.rope_ntk_length = 0;
         c.rope_context = 64;
         c.yarn_factor = 4.0;
       }},
      {"memory_tokens", [](ModelConfig& c) { c.memory_tokens = 3; }, {"memory"}},
      {"memory_before_what_reads_neighbours",
       [](ModelConfig& c) {
         c.memory_tokens = 5;
         c.smear_gate = false;
         c.token_smear = true;
         c.trigram = true;
         c.value_residual = ValueResidual::kSigmoid;
         c.value_embed_at = "0,3";
       },
       {"memory"}},
      {"no_softcap", [](ModelConfig& c) { c.softcap_form = SoftcapForm::kNone; }},
      {"asymmetric_softcap",
       [](ModelConfig& c) {
         c.softcap_form = SoftcapForm::kAsymmetric;
         c.logit_softcap = 11.5;
       }},
      {"two_sided_softcap",
       [](ModelConfig& c) {
         c.softcap_form = SoftcapForm::kTwoSided;
         c.logit_softcap = 3.0;
       },
       {"logit_sides"}},
      {"loop",
       [](ModelConfig& c) {
         c.loop_first = 1;
         c.loop_last = 2;
         c.loop_passes = 3;
       },
       {"skips.2", "skips.3"}},
      {"loop_of_the_last_block",
       [](ModelConfig& c) {
         c.loop_first = c.loop_last = c.layers - 1;
         c.loop_passes = 2;
       }},
  };
  return parts;
}

}  // namespace pg
