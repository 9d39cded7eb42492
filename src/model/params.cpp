// The parameter list: names, shapes, optimizer groups and initial values (model_training.md 2.8).
//
// Order matters: it is the order in the artifact, in checkpoints and in the flat gradient.
#include <fmt/format.h>

#include "src/model/model.h"

namespace pg {
namespace {

class ParamList {
 public:
  void add(std::string name, int64_t rows, int64_t cols, ParamGroup group, ParamInit init,
           double init_value) {
    const bool has_compute_copy = group != ParamGroup::kScalar || (rows > 1 && cols > 1);
    specs_.push_back({std::move(name), rows, cols, group, init, static_cast<float>(init_value),
                      has_compute_copy});
  }
  void matrix(std::string name, int64_t rows, int64_t cols) {
    add(std::move(name), rows, cols, ParamGroup::kMatrix, ParamInit::kOrthogonal, 1.0);
  }
  void zero_matrix(std::string name, int64_t rows, int64_t cols) {
    add(std::move(name), rows, cols, ParamGroup::kMatrix, ParamInit::kConstant, 0.0);
  }
  void vector(std::string name, int64_t cols, double value) {
    add(std::move(name), 1, cols, ParamGroup::kScalar, ParamInit::kConstant, value);
  }
  std::vector<ParamSpec> take() { return std::move(specs_); }

 private:
  std::vector<ParamSpec> specs_;
};

}  // namespace

std::vector<ParamSpec> list_params(const ModelConfig& c) {
  ParamList list;
  const int64_t kv_dim = c.kv_heads * c.head_dim();
  list.add("tok_emb", c.vocab_size, c.dim, ParamGroup::kEmbedding, ParamInit::kNormal,
           c.embed_init_std);
  if (c.bigram_buckets > 0) {
    list.add("bigram.table", c.bigram_buckets, c.bigram_dim, ParamGroup::kEmbedding,
             ParamInit::kConstant, 0.0);
    list.add("bigram.proj", c.dim, c.bigram_dim, ParamGroup::kScalar, ParamInit::kOrthogonal, 1.0);
    list.vector("bigram.scale", 1, 0.05);
  }
  if (c.smear_gate) list.vector("smear.gate", c.dim, 0.0);
  if (has_value_embedding(c)) {
    list.add("value_embed.table", c.vocab_size, c.value_embed_dim, ParamGroup::kEmbedding,
             ParamInit::kNormal, 0.01);
    list.add("value_embed.proj", kv_dim, c.value_embed_dim, ParamGroup::kScalar,
             ParamInit::kOrthogonal, 1.0);
    list.vector("value_embed.scale", 1, 0.1);
  }
  for (int64_t l = 0; l < c.layers; ++l) {
    const auto name = [&](const char* part) { return fmt::format("blocks.{}.{}", l, part); };
    if (c.resid_mix) {
      list.vector(name("resid_mix.x"), c.dim, 1.0);
      list.vector(name("resid_mix.x0"), c.dim, 0.0);
    }
    list.matrix(name("attn.q"), c.dim, c.dim);
    list.matrix(name("attn.k"), kv_dim, c.dim);
    list.matrix(name("attn.v"), kv_dim, c.dim);
    list.vector(name("attn.q_gain"), c.heads, c.qk_gain_init);
    if (uses_value_embedding(c, l)) list.vector(name("value_embed.scale"), 1, 1.0);
    list.zero_matrix(name("attn.out"), c.dim, c.dim);
    list.vector(name("attn_scale"), c.dim, 1.0);
    list.matrix(name("mlp.up"), c.mlp_hidden, c.dim);
    list.zero_matrix(name("mlp.down"), c.dim, c.mlp_hidden);
    list.vector(name("mlp_scale"), c.dim, 1.0);
  }
  for (int64_t i = 0; i < skip_count(c); ++i) {
    list.vector(fmt::format("skips.{}", i), c.dim, 1.0);
  }
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
