// The parameter list: names, places, shapes, optimizer groups and initial values
// (formulas.md 2.8).
//
// Order matters: it is the order in the artifact, in checkpoints and in the flat gradient.
#include <fmt/format.h>

#include "src/model/model.h"

namespace pg {
namespace {

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

}  // namespace

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
  }
  // <parts>
  if (c.norm_gains) {
    list.enter(-1, "");
    list.vector(kFinalNormGain, "final_norm.gain", c.dim, 1.0);
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
  if (c.bigram_buckets == 1) return "model.bigram_buckets must be 0 or at least 2";
  return "";
}

}  // namespace pg
