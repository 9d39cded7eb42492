// The parameter list: names, places, shapes, optimizer groups and initial values
// (formulas.md 2.8).
//
// Order matters: it is the order in the artifact, in checkpoints and in the flat gradient.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
// <parts>
#include <cmath>
// </parts>

#include "src/device/ops.h"
#include "src/model/model.h"

namespace pg {
namespace {

// <parts>
constexpr double kMemoryStd = 0.02;  // of PR #375; its norm makes rows of 1 of it
constexpr double kGateStd = 0.01;    // of PR #1736
constexpr double kLaneKeep = 1.1;    // of record 2026-04-13; squared, once a branch, of 2026-03-31
constexpr double kGateBias = 4.0;    // of record 2026-03-23, where the gate was off
// </parts>

class ParamList {
 public:
  void add(ParamRole role, const char* name, int64_t rows, int64_t cols, ParamGroup group,
           ParamInit init, double init_value) {
    const bool has_compute_copy = group != ParamGroup::kScalar || (rows > 1 && cols > 1);
    specs_.push_back({.name = prefix_ + name,
                      .rows = rows,
                      .cols = cols,
                      .group = group,
                      .init = init,
                      .init_value = static_cast<float>(init_value),
                      .has_compute_copy = has_compute_copy,
                      .place = {.role = role, .layer = layer_}});
  }
  void matrix(ParamRole role, const char* name, int64_t rows, int64_t cols) {
    add(role, name, rows, cols, ParamGroup::kMatrix, ParamInit::kOrthogonal, 1.0);
  }
  // Zero at first; each row, an output channel, is scaled by the block's vector of role `scale`.
  void zero_matrix(ParamRole role, const char* name, int64_t rows, int64_t cols, ParamRole scale) {
    add(role, name, rows, cols, ParamGroup::kMatrix, ParamInit::kConstant, 0.0);
    specs_.back().row_scale = {.role = scale, .layer = layer_};
  }
  void vector(ParamRole role, const char* name, int64_t cols, double value) {
    add(role, name, 1, cols, ParamGroup::kScalar, ParamInit::kConstant, value);
  }
  // What follows stands in this block, and its names begin with `prefix`.
  void enter(int64_t layer, std::string prefix) {
    layer_ = layer;
    prefix_ = std::move(prefix);
  }
  // <parts>
  // A matrix that an op of its own reads in f32.
  void gate(ParamRole role, const char* name, int64_t rows, int64_t cols, ParamInit init,
            double value) {
    add(role, name, rows, cols, ParamGroup::kScalar, init, value);
    specs_.back().has_compute_copy = false;
  }
  // The one of a role becomes a matrix of Muon.
  void to_muon(ParamRole role, double gain) {
    for (ParamSpec& spec : specs_) {
      if (spec.place.role != role) continue;
      spec.group = ParamGroup::kMatrix;
      spec.init_value = static_cast<float>(gain);
    }
  }
  // Takes those of a role out again; a matrix that they scale has no scale then.
  void drop(ParamRole role) {
    std::erase_if(specs_, [role](const ParamSpec& spec) { return spec.place.role == role; });
    for (ParamSpec& spec : specs_) {
      if (spec.row_scale.role == role) spec.row_scale = {};
    }
  }
  // </parts>
  std::vector<ParamSpec> take() { return std::move(specs_); }

 private:
  std::vector<ParamSpec> specs_;
  int64_t layer_ = -1;
  std::string prefix_;
};

// <parts>
void add_attention_gate(ParamList& list, const ModelConfig& c) {
  const bool is_normal = c.attention_gate == AttentionGate::kGatedNormal;
  list.gate(ParamRole::kHeadGate, "attn.gate", c.heads, attention_gate_width(c),
            is_normal ? ParamInit::kNormal : ParamInit::kConstant, is_normal ? kGateStd : 0.0);
  if (c.attention_gate == AttentionGate::kGated) {
    list.vector(ParamRole::kHeadGateBias, "attn.gate_bias", c.heads, kGateBias);
  }
}

// Everything 0 at first but the map of the stream, N(0, 1/D): no mix then.
void add_mudd(ParamList& list, const ModelConfig& c) {
  using enum ParamRole;
  for (const int64_t run : read_layers(c.mudd_at)) {
    const bool has_values = lists(c.mudd_value_at, run);
    const int64_t sources = mudd_sources(c, run), hidden = sources * (has_values ? 2 : 1);
    list.enter(run, fmt::format("mudd.{}.", run));
    list.add(kMuddHidden, "hidden", hidden, c.dim, ParamGroup::kScalar, ParamInit::kNormal,
             1.0 / std::sqrt(static_cast<double>(c.dim)));
    list.gate(kMuddStream, "stream", sources, hidden, ParamInit::kConstant, 0.0);
    list.vector(kMuddStreamShare, "stream_share", sources, 0.0);
    if (!has_values) continue;
    list.gate(kMuddValue, "value", sources, hidden, ParamInit::kConstant, 0.0);
    list.vector(kMuddValueShare, "value_share", sources, 0.0);
  }
}

// Of keys that list numbers: rising ones below `end`, all of them in `among` where that is given.
std::string check_numbers(const char* key, const std::string& text, int64_t end,
                          const std::string* among) {
  int64_t before = -1;
  for (const int64_t number : read_layers(text)) {
    if (number <= before || number >= end) {
      return fmt::format("model.{} \"{}\" must be rising numbers below {}, as \"0,1\"", key, text,
                         end);
    }
    if (among != nullptr && !lists(*among, number)) {
      return fmt::format(
          "model.{} \"{}\" names {}, which model.mudd_at \"{}\" does not; add it there", key, text,
          number, *among);
    }
    before = number;
  }
  return "";
}

std::string check_pairs(const ModelConfig& c) {
  if (c.paired_heads_at.empty()) return "";
  if (c.heads % 2 != 0 || c.kv_heads % 2 != 0) {
    return fmt::format(
        "model.paired_heads_at \"{}\" pairs heads, and model.heads \"{}\" and model.kv_heads "
        "\"{}\" "
        "are not both even; make them so, or set it to \"\"",
        c.paired_heads_at, c.heads, c.kv_heads);
  }
  return check_numbers("paired_heads_at", c.paired_heads_at, c.layers, nullptr);
}

std::string check_mudd(const ModelConfig& c) {
  const int64_t runs = c.layers + loop_runs(c);
  for (const std::string& problem :
       {check_numbers("mudd_at", c.mudd_at, runs, nullptr),
        check_numbers("mudd_local_at", c.mudd_local_at, runs, &c.mudd_at),
        // Behind the last run no block takes values.
        check_numbers("mudd_value_at", c.mudd_value_at, runs - 1, &c.mudd_at)}) {
    if (!problem.empty()) return problem;
  }
  for (const int64_t run : read_layers(c.mudd_at)) {
    if (mudd_sources(c, run) <= static_cast<int64_t>(kMaxMixedLayers)) continue;
    return fmt::format(
        "model.mudd_at \"{}\" mixes {} outputs behind run {}, and at most {} can be; name the run "
        "in "
        "mudd_local_at too",
        c.mudd_at, mudd_sources(c, run), run, kMaxMixedLayers);
  }
  if (!c.mudd_at.empty() && runs_in_lanes(c, c.layers - 1)) {
    return fmt::format(
        "model.mudd_at \"{}\" mixes one stream, and model.parallel_residual \"{}\" has two; set "
        "one "
        "of them to \"\" or the other to \"none\" or \"gptj\"",
        c.mudd_at, choice_name(c.parallel_residual));
  }
  return "";
}

void add_lane_scales(ParamList& list, const ModelConfig& c) {
  using enum ParamRole;
  const bool in_turn = c.parallel_residual == ParallelResidual::kLanesInTurn;
  const double keep = in_turn ? std::sqrt(kLaneKeep) : kLaneKeep;
  list.vector(kLaneKeep0, "lanes.keep.0", 1, keep);
  list.vector(kLaneKeep1, "lanes.keep.1", 1, keep);
  list.vector(kAttentionToLane0, "lanes.attn.0", 1, 1.0);
  list.vector(kAttentionToLane1, "lanes.attn.1", 1, 1.0);
  list.vector(kMlpToLane0, "lanes.mlp.0", 1, 1.0);
  list.vector(kMlpToLane1, "lanes.mlp.1", 1, 1.0);
}

// Of a model with lanes.
std::string check_lanes(const ModelConfig& c) {
  const bool loops = c.loop_passes > 1;
  if (loops && c.loop_first < c.parallel_from && c.loop_last >= c.parallel_from) {
    return fmt::format(
        "model.loop_first \"{}\" to model.loop_last \"{}\" would leave the lanes that begin at "
        "model.parallel_from \"{}\" and come back to them; let the loop end before that block, or "
        "begin with it",
        c.loop_first, c.loop_last, c.parallel_from);
  }
  // Skips are of one stream; also while the blocks do not loop yet.
  const bool loops_in_lanes = loops && c.loop_first >= c.parallel_from;
  const int64_t least = (loops_in_lanes ? c.layers + loop_runs(c) : c.layers) / 2;
  if (c.unet_skips && c.parallel_from < least) {
    return fmt::format(
        "model.parallel_from \"{}\" begins the lanes in the encoder of the U-Net, whose skips are "
        "of "
        "one stream; give {} or more, or unet_skips = false",
        c.parallel_from, least);
  }
  return "";
}

// Of the keys of visit_part_fields: as check_model_config.
std::string check_parts(const ModelConfig& c) {
  if (c.token_smear && c.smear_gate) {
    return "model.token_smear and model.smear_gate are two forms of one gate; set smear_gate = "
           "false";
  }
  if (c.token_smear && c.token_smear_width > c.dim) {
    return fmt::format("model.token_smear_width \"{}\" is over model.dim \"{}\"; lower it",
                       c.token_smear_width, c.dim);
  }
  if (c.token_smear && c.bos_id >= c.vocab_size) {
    return fmt::format("model.bos_id \"{}\" is not below model.vocab_size \"{}\"; -1 is for none",
                       c.bos_id, c.vocab_size);
  }
  if (attention_gate_width(c) > c.dim) {
    return fmt::format("model.attention_gate_width \"{}\" is over model.dim \"{}\"; lower it",
                       c.attention_gate_width, c.dim);
  }
  if (c.parallel_residual != ParallelResidual::kNone && c.parallel_from >= c.layers) {
    return fmt::format(
        "model.parallel_from \"{}\" is no block of the {} of model.layers, so that none would be "
        "parallel; give less, or parallel_residual = \"none\"",
        c.parallel_from, c.layers);
  }
  if (runs_in_lanes(c, c.layers - 1)) {
    if (std::string problem = check_lanes(c); !problem.empty()) return problem;
  }
  if (std::string problem = check_mudd(c); !problem.empty()) return problem;
  if (std::string problem = check_pairs(c); !problem.empty()) return problem;
  if (c.skip_gates && skip_count(c) == 0) {
    return "model.skip_gates needs skips; set unet_skips = true with 2 layers or more";
  }
  if (c.value_residual != ValueResidual::kNone && c.layers == 1) {
    return "model.value_residual needs a second block; set layers to 2 or more";
  }
  int64_t before = -1;
  for (const int64_t layer : read_layers(c.value_embed_at)) {
    if (layer <= before || layer >= c.layers) {
      return fmt::format(
          "model.value_embed_at must be rising numbers of blocks below model.layers \"{}\", as "
          "\"0,1\"",
          c.layers);
    }
    before = layer;
  }
  if (!c.value_embed_at.empty() && c.value_embed_dim == 0) {
    return "model.value_embed_at needs a table; set value_embed_dim";
  }
  return "";
}
// </parts>

}  // namespace

// <parts>
std::vector<int64_t> read_layers(std::string_view text) {
  std::vector<int64_t> layers;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    int64_t layer = -1;
    const char* const last = text.data() + end;
    const auto [stop, error] = std::from_chars(text.data() + begin, last, layer);
    // A comma at the end has no number behind it.
    const bool is_number = error == std::errc() && stop == last && end + 1 != text.size();
    layers.push_back(is_number ? layer : -1);
    begin = end + 1;
  }
  return layers;
}

bool lists(std::string_view text, int64_t number) {
  const std::vector<int64_t> numbers = read_layers(text);
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

bool names_layer(const ModelConfig& c, int64_t layer) { return lists(c.value_embed_at, layer); }

int64_t mudd_sources(const ModelConfig& c, int64_t run) {
  constexpr int64_t kLocal = 2;  // of PR #1936
  return lists(c.mudd_local_at, run) ? kLocal : run + 2;
}

bool takes_values_apart(const ModelConfig& c, int64_t layer) {
  if (lists(c.paired_heads_at, layer)) return true;  // which read them as rows of another width
  const std::vector<int64_t> runs = read_layers(c.mudd_value_at);
  return std::any_of(runs.begin(), runs.end(),
                     [&](int64_t run) { return block_of_run(c, run + 1) == layer; });
}
// </parts>

std::vector<ParamSpec> list_params(const ModelConfig& c) {
  using enum ParamRole;
  ParamList list;
  const int64_t kv_dim = c.kv_heads * c.head_dim();
  list.add(kTokenEmbedding, "tok_emb", c.vocab_size, c.dim, ParamGroup::kEmbedding,
           ParamInit::kNormal, c.embed_init_std);
  if (c.bigram_buckets > 0) {
    list.add(kBigramTable, "bigram.table", c.bigram_buckets, c.bigram_dim, ParamGroup::kEmbedding,
             ParamInit::kConstant, 0.0);
    list.add(kBigramProjection, "bigram.proj", c.dim, c.bigram_dim, ParamGroup::kScalar,
             ParamInit::kOrthogonal, 1.0);
    list.vector(kBigramScale, "bigram.scale", 1, 0.05);
  }
  if (c.smear_gate) list.vector(kSmearGate, "smear.gate", c.dim, 0.0);
  // <parts>
  if (c.token_smear) {
    list.vector(kTokenSmearGate, "token_smear.gate", c.token_smear_width, 0.0);
    list.vector(kTokenSmearScale, "token_smear.scale", 1, 0.0);
  }
  if (c.memory_tokens > 0) {
    list.add(kMemory, "memory", c.memory_tokens, c.dim, ParamGroup::kMemory, ParamInit::kNormal,
             kMemoryStd);
  }
  // </parts>
  if (has_value_embedding(c)) {
    list.add(kValueTable, "value_embed.table", c.vocab_size, c.value_embed_dim,
             ParamGroup::kEmbedding, ParamInit::kNormal, 0.01);
    list.add(kValueProjection, "value_embed.proj", kv_dim, c.value_embed_dim, ParamGroup::kScalar,
             ParamInit::kOrthogonal, 1.0);
    list.vector(kValueScale, "value_embed.scale", 1, 0.1);
  }
  for (int64_t l = 0; l < c.layers; ++l) {
    list.enter(l, fmt::format("blocks.{}.", l));
    if (c.resid_mix) {
      list.vector(kMixX, "resid_mix.x", c.dim, 1.0);
      list.vector(kMixX0, "resid_mix.x0", c.dim, 0.0);
    }
    list.matrix(kQ, "attn.q", c.dim, c.dim);
    list.matrix(kK, "attn.k", kv_dim, c.dim);
    list.matrix(kV, "attn.v", kv_dim, c.dim);
    list.vector(kQGain, "attn.q_gain", c.heads, c.qk_gain_init);
    if (uses_value_embedding(c, l)) list.vector(kBlockValueScale, "value_embed.scale", 1, 1.0);
    list.zero_matrix(kOut, "attn.out", c.dim, c.dim, kAttentionScale);
    list.vector(kAttentionScale, "attn_scale", c.dim, 1.0);
    list.matrix(kUp, "mlp.up", c.mlp_hidden, c.dim);
    // <parts>
    if (c.mlp == Mlp::kSwiglu) list.matrix(kGate, "mlp.gate", c.mlp_hidden, c.dim);
    if (c.value_residual != ValueResidual::kNone && l > 0) {
      const bool is_mean = c.value_residual == ValueResidual::kMean;
      if (is_mean) list.vector(kOwnValueScale, "attn.v_scale", 1, 0.5);
      list.vector(kFirstValueScale, "attn.v_first_scale", 1, is_mean ? 0.5 : 0.0);
    }
    if (c.attention_gate != AttentionGate::kNone) add_attention_gate(list, c);
    if (runs_in_lanes(c, l)) add_lane_scales(list, c);
    if (c.norm_gains) {
      list.vector(kAttentionNormGain, "attn_norm.gain", c.dim, 1.0);
      list.vector(kMlpNormGain, "mlp_norm.gain", c.dim, 1.0);
    }
    // </parts>
    list.zero_matrix(kDown, "mlp.down", c.dim, c.mlp_hidden, kMlpScale);
    list.vector(kMlpScale, "mlp_scale", c.dim, 1.0);
  }
  for (int64_t i = 0; i < skip_count(c); ++i) {
    list.enter(encoder_blocks(c) + i, "skips.");
    list.vector(kSkip, std::to_string(i).c_str(), c.dim, 1.0);
    // <parts>
    if (c.skip_gates) list.vector(kSkipGate, (std::to_string(i) + ".gate").c_str(), c.dim, 0.0);
    // </parts>
  }
  // <parts>
  add_mudd(list, c);
  if (c.norm_gains) {
    list.enter(-1, "");
    list.vector(kFinalNormGain, "final_norm.gain", c.dim, 1.0);
  }
  const double muon_gain = 1.0 / std::sqrt(2.0 * static_cast<double>(c.layers));
  if (c.bigram_projection == ProjectionGroup::kMuon) list.to_muon(kBigramProjection, muon_gain);
  if (c.value_projection == ProjectionGroup::kMuon) list.to_muon(kValueProjection, muon_gain);
  if (!c.tied_head) {
    list.enter(-1, "");
    list.add(kHead, "lm_head", c.vocab_size, c.dim, ParamGroup::kHead, ParamInit::kConstant, 0.0);
  }
  if (c.softcap_form == SoftcapForm::kTwoSided) {
    list.enter(-1, "");
    list.vector(kLogitSides, "logit_sides", 2, c.logit_softcap);
  }
  if (!c.q_gain) list.drop(kQGain);
  if (!c.block_scales) {
    list.drop(kAttentionScale);
    list.drop(kMlpScale);
  }
  // </parts>
  return list.take();
}

int64_t count_params(const ModelConfig& config) {
  int64_t total = 0;
  for (const ParamSpec& spec : list_params(config)) total += spec.elements();
  return total;
}

std::string check_model_config(const ModelConfig& c) {
  if (c.layers < 1 || c.dim < 1 || c.heads < 1 || c.kv_heads < 1 || c.vocab_size < 2) {
    return "model sizes must be positive; check layers, dim, heads, kv_heads and vocab_size";
  }
  if (c.dim % c.heads != 0) {
    return fmt::format("model.dim \"{}\" is not a multiple of model.heads \"{}\"", c.dim, c.heads);
  }
  if (c.heads % c.kv_heads != 0) {
    return fmt::format("model.heads \"{}\" is not a multiple of model.kv_heads \"{}\"", c.heads,
                       c.kv_heads);
  }
  if (c.rope_dims % 2 != 0 || c.rope_dims > c.head_dim()) {
    return fmt::format("model.rope_dims \"{}\" must be even and at most the head size \"{}\"",
                       c.rope_dims, c.head_dim());
  }
  if (c.rope_ntk_length > 0 && c.rope_dims == 2) {
    return "model.rope_ntk_length needs rope_dims other than 2; set rope_ntk_length = 0";
  }
  // <parts>
  if (c.loop_passes > 1 && (c.loop_first > c.loop_last || c.loop_last >= c.layers)) {
    return fmt::format(
        "model.loop_first \"{}\" to model.loop_last \"{}\" are no blocks of the {} of "
        "model.layers; "
        "give blocks from 0 to {} in order, or a model.loop_passes of 1",
        c.loop_first, c.loop_last, c.layers, c.layers - 1);
  }
  if (c.yarn_factor > 1 && c.rope_ntk_length > 0) {
    return fmt::format(
        "model.yarn_factor \"{}\" and model.rope_ntk_length \"{}\" both stretch the RoPE; set "
        "rope_ntk_length = 0 or yarn_factor = 1",
        c.yarn_factor, c.rope_ntk_length);
  }
  if (c.trigram && c.bigram_buckets == 0) {
    return "model.trigram reads the BigramHash table; set bigram_buckets, or trigram = false";
  }
  // </parts>
  if (c.bigram_buckets == 1) return "model.bigram_buckets must be 0 or at least 2";
  // <parts>
  if (std::string problem = check_parts(c); !problem.empty()) return problem;
  // </parts>
  return "";
}

}  // namespace pg
