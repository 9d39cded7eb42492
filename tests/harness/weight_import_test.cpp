// Weights of the public scripts: each tensor of the file becomes the parameter that it is, once.
#include "harness/exchange/weight_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>

#include "harness/recipe/recipe.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "src/model/model.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

struct PublicTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

Bytes write_public(const std::vector<PublicTensor>& tensors) {
  std::string header;
  size_t end = 0;
  for (const PublicTensor& tensor : tensors) {
    const size_t begin = end;
    end += 4 * tensor.values.size();
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                          header.empty() ? "{" : ",", tensor.name, fmt::join(tensor.shape, ","),
                          begin, end);
  }
  header += '}';
  ByteWriter file;
  file.u64(header.size());
  file.bytes(as_bytes(header));
  for (const PublicTensor& tensor : tensors) {
    for (const float value : tensor.values) file.f32(value);
  }
  return file.take();
}

ModelConfig model_of(const std::string& map, const std::vector<std::string>& sets = {}) {
  Recipe recipe;
  apply_toml(recipe, find_weight_map(map).model, map);
  for (const std::string& set : sets) apply_override(recipe, set);
  EXPECT_EQ(check_model_config(recipe.model), "");
  return recipe.model;
}

const std::vector<std::string> kSmall = {
    "model.vocab_size=20", "model.layers=5",      "model.dim=8",       "model.heads=2",
    "model.kv_heads=1",    "model.mlp_hidden=12", "model.rope_dims=2", "model.rope_ntk_length=0"};

// Every value of a model is another one.
std::map<std::string, HostTensor> make_weights(const ModelConfig& config) {
  std::map<std::string, HostTensor> weights;
  float next = 1;
  for (const ParamSpec& spec : list_params(config)) {
    HostTensor tensor{spec, std::vector<float>(static_cast<size_t>(spec.elements()))};
    for (float& value : tensor.values) value = next++;
    weights.emplace(spec.name, std::move(tensor));
  }
  return weights;
}

// The public scripts' form of our weights, written down from their sources and not from the map.
class PublicWeights {
 public:
  explicit PublicWeights(const ModelConfig& config)
      : c_(config), ours_(make_weights(config)), kv_(c_.kv_heads * c_.head_dim()) {}

  void add(const std::string& name, std::vector<int64_t> shape,
           const std::vector<std::string>& parts) {
    PublicTensor tensor{name, std::move(shape), {}};
    for (const std::string& part : parts) {
      const std::vector<float>& values = ours_.at(part).values;
      tensor.values.insert(tensor.values.end(), values.begin(), values.end());
    }
    tensors.push_back(std::move(tensor));
  }
  // A part of each block, all first ones before all second ones.
  std::vector<std::string> all(std::initializer_list<const char*> parts) const {
    std::vector<std::string> names;
    for (const char* part : parts) {
      for (int64_t l = 0; l < c_.layers; ++l) names.push_back(fmt::format("blocks.{}.{}", l, part));
    }
    return names;
  }
  void add_embeddings() {
    add("tok_emb.weight", {c_.vocab_size, c_.dim}, {"tok_emb"});
    if (c_.bigram_buckets > 0) {
      add("bigram.embed.weight", {c_.bigram_buckets, c_.bigram_dim}, {"bigram.table"});
      add("bigram.proj.weight", {c_.dim, c_.bigram_dim}, {"bigram.proj"});
      add("bigram.scale", {}, {"bigram.scale"});
    }
    if (c_.smear_gate) add("smear.gate", {c_.dim}, {"smear.gate"});
    if (c_.value_embed_dim > 0) {
      add("ve_shared.embed.weight", {c_.vocab_size, c_.value_embed_dim}, {"value_embed.table"});
      add("ve_shared.proj.weight", {kv_, c_.value_embed_dim}, {"value_embed.proj"});
      add("ve_shared.scale", {}, {"value_embed.scale"});
      for (int64_t i = 0; i < c_.value_embed_layers; ++i) {
        add(fmt::format("ve_layer_scales.{}", i), {1},
            {fmt::format("blocks.{}.value_embed.scale", c_.layers - c_.value_embed_layers + i)});
      }
    }
  }
  void add_blocks() {
    std::vector<std::string> skips, gates;
    for (int64_t i = 0; i < skip_count(c_); ++i) {
      skips.push_back(fmt::format("skips.{}", i));
      gates.push_back(fmt::format("skips.{}.gate", i));
    }
    add("skip_weights", {skip_count(c_), c_.dim}, skips);
    if (c_.skip_gates) add("skip_gates", {skip_count(c_), c_.dim}, gates);
    for (int64_t l = 0; l < c_.layers; ++l) {
      const std::string block = fmt::format("blocks.{}.", l);
      add(block + "attn.q_gain", {c_.heads}, {block + "attn.q_gain"});
      add(block + "attn_scale", {c_.dim}, {block + "attn_scale"});
      add(block + "mlp_scale", {c_.dim}, {block + "mlp_scale"});
      add(block + "resid_mix", {2, c_.dim}, {block + "resid_mix.x", block + "resid_mix.x0"});
    }
  }
  void add_banks() {
    add("qo_bank", {2 * c_.layers, c_.dim, c_.dim}, all({"attn.q", "attn.out"}));
    add("kv_bank", {2 * c_.layers, kv_, c_.dim}, all({"attn.k", "attn.v"}));
    add("mlp_up_bank", {c_.layers, c_.mlp_hidden, c_.dim}, all({"mlp.up"}));
    add("mlp_down_bank", {c_.layers, c_.dim, c_.mlp_hidden}, all({"mlp.down"}));
  }
  void add_matrices() {
    for (int64_t l = 0; l < c_.layers; ++l) {
      const std::string block = fmt::format("blocks.{}.", l);
      add(block + "attn.c_q.weight", {c_.dim, c_.dim}, {block + "attn.q"});
      add(block + "attn.c_k.weight", {kv_, c_.dim}, {block + "attn.k"});
      add(block + "attn.c_v.weight", {kv_, c_.dim}, {block + "attn.v"});
      add(block + "attn.proj.weight", {c_.dim, c_.dim}, {block + "attn.out"});
      add(block + "mlp.fc.weight", {c_.mlp_hidden, c_.dim}, {block + "mlp.up"});
      add(block + "mlp.proj.weight", {c_.dim, c_.mlp_hidden}, {block + "mlp.down"});
    }
  }
  void expect_import(const std::string& map) const {
    const auto got = import_tensors(write_public(tensors), c_, find_weight_map(map));
    ASSERT_TRUE(got.ok()) << got.error();
    ASSERT_EQ(got.value().size(), ours_.size());
    for (const HostTensor& tensor : got.value()) {
      EXPECT_EQ(tensor.values, ours_.at(tensor.spec.name).values) << tensor.spec.name;
    }
  }
  std::string error(const std::string& map) const {
    const auto got = import_tensors(write_public(tensors), c_, find_weight_map(map));
    return got.ok() ? "" : got.error();
  }
  PublicTensor& at(const std::string& name) {
    return *std::ranges::find(tensors, name, &PublicTensor::name);
  }

  std::vector<PublicTensor> tensors;

 private:
  ModelConfig c_;
  std::map<std::string, HostTensor> ours_;
  int64_t kv_;
};

PublicWeights make_banked() {
  PublicWeights weights(model_of("2026-03-23", kSmall));
  weights.add_embeddings();
  weights.add_blocks();
  weights.add_banks();
  return weights;
}

// Parameters as the records' logs count them.
TEST(WeightImport, MapsAreTheRecordsModels) {
  EXPECT_EQ(list_weight_maps(), (std::vector<std::string>{"2026-03-17", "2026-03-22", "2026-03-23",
                                                          "2026-04-05", "2026-04-09"}));
  EXPECT_EQ(count_params(model_of("2026-03-17")), 17'059'912);
  EXPECT_EQ(count_params(model_of("2026-03-22")), 26'993'756);
  EXPECT_EQ(count_params(model_of("2026-03-23")), 26'928'220);
  EXPECT_EQ(count_params(model_of("2026-04-05")), 35'943'512);
  EXPECT_EQ(count_params(model_of("2026-04-09")), 35'944'536);
}

TEST(WeightImport, BanksBecomeTheBlocksMatrices) {
  PublicWeights weights = make_banked();
  weights.expect_import("2026-03-23");
  weights.tensors.push_back({"mtp_heads.0.weight", {2, 2}, {0, 0, 0, 0}});  // of training alone
  weights.expect_import("2026-03-23");
}

TEST(WeightImport, MatricesOfEachBlockAndSkipsOfALoop) {
  for (const char* map : {"2026-03-17", "2026-03-22", "2026-04-05", "2026-04-09"}) {
    std::vector<std::string> sets = kSmall;
    if (std::string(map) == "2026-04-05") {
      sets.insert(sets.end(), {"model.loop_first=2", "model.loop_last=3"});
    }
    if (std::string(map) == "2026-04-09") {
      sets.insert(sets.end(), {"model.loop_first=1", "model.loop_last=2", "model.parallel_from=3"});
    }
    PublicWeights weights(model_of(map, sets));
    weights.add_embeddings();
    weights.add_blocks();
    weights.add_matrices();
    weights.expect_import(map);
  }
}

TEST(WeightImport, WhatDoesNotFitIsNamed) {
  const auto expect_error = [](const std::function<void(PublicWeights&)>& spoil, const char* part) {
    PublicWeights weights = make_banked();
    spoil(weights);
    EXPECT_NE(weights.error("2026-03-23").find(part), std::string::npos)
        << weights.error("2026-03-23");
  };
  expect_error(
      [](PublicWeights& w) { w.at("qo_bank").name = "qo_bnk"; },
      "the model's \"blocks.0.attn.q\" is \"blocks.0.attn.c_q.weight\" or \"qo_bank\" by the "
      "map, which the file does not have; it has \"qo_bnk\"");
  expect_error(
      [](PublicWeights& w) {
        w.at("smear.gate").shape = {2, 4};
      },
      "tensor \"smear.gate\" has the shape [2, 4]; the model's \"smear.gate\" needs [1, 8]");
  expect_error(
      [](PublicWeights& w) {
        w.at("qo_bank").shape = {10, 4, 16};
      },
      "tensor \"qo_bank[0]\" has the shape [4, 16]");
  expect_error(
      [](PublicWeights& w) {
        w.at("kv_bank").shape = {80, 4};
      },
      "tensor \"kv_bank[0]\" has the shape [4]");
  expect_error(
      [](PublicWeights& w) {
        w.tensors.push_back({"tok_emb2.weight", {1}, {0}});
      },
      "tensor \"tok_emb2.weight\" [1] has no place in the model, which has \"tok_emb.weight\"");
  expect_error(
      [](PublicWeights& w) {
        PublicTensor& bank = w.at("mlp_up_bank");
        bank.shape[0] += 1;
        bank.values.resize(bank.values.size() + 8 * 12);
      },
      "tensor \"mlp_up_bank\" [6, 12, 8] has 6 rows, of which the model uses 5");
  expect_error(
      [](PublicWeights& w) {
        PublicTensor& bank = w.at("mlp_up_bank");
        bank.shape[0] -= 1;
        bank.values.resize(bank.values.size() - 8 * 12);
      },
      "tensor \"mlp_up_bank\" has the shape [4, 12, 8], and the model's \"blocks.4.mlp.up\" is its "
      "row 4");
}

TEST(WeightImport, DamagedFilesAreRefusedAtEveryLength) {
  const PublicWeights weights = make_banked();
  const Bytes whole = write_public(weights.tensors);
  const ModelConfig config = model_of("2026-03-23", kSmall);
  const WeightMap map = find_weight_map("2026-03-23");
  for (size_t size = 0; size < whole.size(); size += 97) {
    EXPECT_FALSE(import_tensors(std::span(whole).first(size), config, map).ok()) << size;
  }
  Bytes huge = whole;
  huge[7] = 0x7f;
  EXPECT_NE(import_tensors(huge, config, map).error().find("the header claims"), std::string::npos);
  std::vector<PublicTensor> two = {{"a", {1}, {1}}, {"b", {1}, {2}}};
  Bytes overlap = write_public(two);
  const std::string text(overlap.begin(), overlap.end());
  const size_t at = text.find("[4,8]");
  std::memcpy(overlap.data() + at, "[0,4]", 5);
  EXPECT_NE(import_tensors(overlap, config, map).error().find("overlaps another"),
            std::string::npos);
}

TEST(WeightMap, AFileOfItsOwnComesBeforeThePublicRules) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "own.toml").string();
  const auto write = [&](std::string_view text) { write_file_atomic(file, text); };
  write(
      "unused = [\"ema.{n}\"]\n[model]\nlayers = 5\n[tensors]\n\"smear.gate\" = "
      "\"gate_of_smear\"\n");
  PublicWeights weights = make_banked();
  weights.at("smear.gate").name = "gate_of_smear";
  weights.tensors.push_back({"ema.7", {1}, {0}});
  weights.expect_import(file);
  EXPECT_NE(find_weight_map(file).model.find("layers = 5"), std::string::npos);

  write("[tensors]\n\"smear.gate\" = \"skip_weights[0]\"\n");
  EXPECT_NE(make_banked().error(file).find("the map uses tensor \"skip_weights[0]\" twice"),
            std::string::npos);
  write("[tensors]\n\"tok_emb\" = \"tok_emb.weight[all]\"\n");
  EXPECT_NE(make_banked().error(file).find("\"tok_emb.weight[all]\" is no tensor or row of one"),
            std::string::npos);
  for (const auto& [text, part] : {std::pair{"tensor = 1", "unknown key \"tensor\""},
                                   {"[tensors]\na = 3", "tensors.\"a\": give a name"},
                                   {"tensors = 3", "tensors is no table"},
                                   {"x", "own.toml:1: not valid TOML"}}) {
    write(text);
    try {
      find_weight_map(file);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(find_weight_map("2026-03-24"), Error);
}

TEST(WeightMap, NumbersInNames) {
  EXPECT_EQ(match_pattern("blocks.{n}.attn.q", "blocks.12.attn.q"), 12);
  EXPECT_EQ(match_pattern("tok_emb", "tok_emb"), 0);
  for (const char* name : {"blocks..attn.q", "blocks.x.attn.q", "blocks.-1.attn.q",
                           "blocks.1.attn.k", "blocks.1.2.attn.q", "attn.q"}) {
    EXPECT_EQ(match_pattern("blocks.{n}.attn.q", name), -1) << name;
  }
}

}  // namespace
}  // namespace pg
