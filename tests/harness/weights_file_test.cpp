#include "harness/exchange/weights_file.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/exchange/safetensors.h"
#include "src/model/model.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

// Every field differs from its default where the model allows it.
WeightsFile make_weights() {
  WeightsFile weights;
  ModelConfig& c = weights.config;
  c.vocab_size = 32, c.layers = 2, c.dim = 16, c.heads = 2, c.kv_heads = 1, c.mlp_hidden = 24;
  c.leaky_slope = 0.1;
  c.rope_dims = 4, c.rope_base = 12345.678, c.rope_ntk_length = 0;
  c.qk_gain_init = 1.0 / 3, c.ln_scale = false, c.xsa_last_n = 1;
  c.unet_skips = false, c.resid_mix = false, c.smear_gate = false;
  c.bigram_buckets = 8, c.bigram_dim = 8, c.value_embed_dim = 8, c.value_embed_layers = 1;
  c.logit_softcap = 20, c.embed_init_std = 0.0123;
  for (size_t i = 0; i < weights.tokenizer_sha256.size(); ++i) {
    weights.tokenizer_sha256[i] = static_cast<uint8_t>(i * 37);
  }
  for (const ParamSpec& spec : list_params(c)) {
    HostTensor tensor{.spec = spec, .values = {}};
    for (int64_t i = 0; i < spec.elements(); ++i) {
      tensor.values.push_back(std::sin(static_cast<float>(i)));
    }
    weights.tensors.push_back(std::move(tensor));
  }
  return weights;
}

std::string problem_with(const SafetensorsMetadata& changed, const std::string& removed = "") {
  const WeightsFile weights = make_weights();
  auto metadata = parse_safetensors_metadata(encode_weights_file(weights)).value();
  for (const auto& [key, value] : changed) metadata[key] = value;
  metadata.erase(removed);
  const auto read = parse_weights_file(write_safetensors(weights.tensors, metadata));
  return read.ok() ? "" : read.error();
}

TEST(WeightsFile, RoundTripKeepsModelTokenizerAndValues) {
  const TemporaryFolder folder;
  const WeightsFile weights = make_weights();
  const int64_t bytes = write_weights_file(folder.path() / "w.safetensors", weights);
  EXPECT_EQ(static_cast<uint64_t>(bytes),
            std::filesystem::file_size(folder.path() / "w.safetensors"));
  const auto read = read_weights_file(folder.path() / "w.safetensors");
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(read.value().tokenizer_sha256, weights.tokenizer_sha256);
  // The encoding holds every model field, so equal bytes are equal files.
  EXPECT_EQ(encode_weights_file(read.value()), encode_weights_file(weights));
  EXPECT_EQ(read.value().config.qk_gain_init, weights.config.qk_gain_init);
  EXPECT_EQ(read.value().config.smear_gate, false);
  for (size_t i = 0; i < weights.tensors.size(); ++i) {
    EXPECT_EQ(read.value().tensors[i].spec.group, weights.tensors[i].spec.group);
    EXPECT_EQ(read.value().tensors[i].values, weights.tensors[i].values);
  }
}

TEST(WeightsFile, EveryModelFieldOfTheFirstVersionMustBeGiven) {
  const WeightsFile weights = make_weights();
  for (const FrozenValue& first : frozen_model_keys().first(22)) {
    const std::string key(first.key);
    EXPECT_NE(problem_with({}, key).find("metadata lack \"" + key + "\""), std::string::npos);
  }
  EXPECT_EQ(problem_with({}, "model.rope_context"), "");  // a later one: frozen
  EXPECT_NE(problem_with({}, "tokenizer_sha256").find("lack \"tokenizer_sha256\""),
            std::string::npos);
}

TEST(WeightsFile, DefectiveMetadataAreNamed) {
  EXPECT_EQ(problem_with({{"free", "text"}}), "");
  EXPECT_NE(problem_with({{"model.colour", "1"}}).find("model.colour"), std::string::npos);
  EXPECT_NE(problem_with({{"model.layers", "many"}}).find("model.layers"), std::string::npos);
  EXPECT_NE(problem_with({{"model.layers", "99999999999"}}).find("model.layers"),
            std::string::npos);
  EXPECT_NE(problem_with({{"model.heads", "3"}}).find("model.heads"), std::string::npos);
  EXPECT_NE(problem_with({{"model.layers", "3"}}).find("\"blocks.2.attn.q\" is missing"),
            std::string::npos);
  for (const char* sha : {"", "zz", "00"}) {
    EXPECT_NE(problem_with({{"tokenizer_sha256", sha}}).find("no SHA-256"), std::string::npos);
  }
  EXPECT_NE(problem_with({{"tokenizer_sha256", std::string(64, 'g')}}).find("no SHA-256"),
            std::string::npos);
}

}  // namespace
}  // namespace pg
