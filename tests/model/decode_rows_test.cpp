// Some positions at a time give the bits of the whole sequence: whatever the model is made of, however
// the positions are cut, on any number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "src/model/learning/adapters.h"
#include "tests/model/model_fixture.h"
#include "tests/model/model_parts.h"

namespace pg {
namespace {

struct Distributions {
  std::vector<float> log_probs, entropies;
  bool operator==(const Distributions&) const = default;
};

Distributions make_distributions(int64_t positions, int64_t vocab) {
  return {std::vector<float>(static_cast<size_t>(positions * vocab)),
          std::vector<float>(static_cast<size_t>(positions))};
}

// Of the last positions, as the first of three sequences that run together.
Distributions run_whole(const ModelConfig& config, Weights& weights,
                        const std::vector<int32_t>& ids, int64_t last) {
  const auto tokens = static_cast<int64_t>(ids.size());
  ModelPlan plan(config, weights, 3, tokens, PlanMode::kLogProbs, last);
  std::vector<int32_t> all = ids;
  for (const uint64_t seed : {8u, 9u}) {
    const std::vector<int32_t> more = make_ids(tokens, config.vocab_size, seed);
    all.insert(all.end(), more.begin(), more.end());
  }
  plan.load(all, {});
  plan.run();
  Distributions whole = make_distributions(last, config.vocab_size);
  plan.read_log_probs(0, whole.log_probs, whole.entropies);
  return whole;
}

// Likewise, in pieces of so many positions, again and again the last of them.
Distributions run_pieces(ModelPlan& plan, int64_t vocab, const std::vector<int32_t>& ids,
                         int64_t last, const std::vector<int64_t>& pieces) {
  const auto tokens = static_cast<int64_t>(ids.size());
  Distributions parts = make_distributions(last, vocab);
  std::vector<int32_t> known(ids.size(), 0);
  size_t piece = 0;
  for (int64_t first = 0; first < tokens; ++piece) {
    const int64_t size = pieces[std::min(piece, pieces.size() - 1)];
    const int64_t end = std::min(first + size, tokens);
    std::copy(ids.begin() + first, ids.begin() + end, known.begin() + first);
    plan.load(known, {});
    plan.run_rows(first, end - first);
    const int64_t skipped = tokens - last, begin = std::max(first, skipped);
    if (begin < end) {
      const auto rows = static_cast<size_t>(end - begin);
      const auto row = static_cast<size_t>(begin - skipped), width = static_cast<size_t>(vocab);
      plan.read_log_probs(begin - skipped,
                          std::span(parts.log_probs).subspan(row * width, rows * width),
                          std::span(parts.entropies).subspan(row, rows));
    }
    first = end;
  }
  return parts;
}

void expect_same(const ModelConfig& config, Weights& weights, int64_t tokens, int64_t last) {
  const std::vector<int32_t> ids = make_ids(tokens, config.vocab_size, 5);
  const Distributions whole = run_whole(config, weights, ids, last);
  ModelPlan plan(config, weights, 1, tokens, PlanMode::kDecode, last);
  for (const std::vector<int64_t>& pieces : std::vector<std::vector<int64_t>>{
           {1}, {tokens}, {tokens - last, 1}, {tokens - last + 1, 1}, {5, 3}}) {
    if (pieces.front() == 0) continue;
    EXPECT_EQ(run_pieces(plan, config.vocab_size, ids, last, pieces), whole)
        << "first piece " << pieces.front() << ", last " << last << " of " << tokens;
  }
}

struct Variant {
  const char* name;
  std::function<void(ModelConfig&)> change;
};

const std::vector<Variant> kVariants = {
    {"all", [](ModelConfig&) {}},
    {"no smear", [](ModelConfig& c) { c.smear_gate = false; }},
    {"no bigram", [](ModelConfig& c) { c.bigram_buckets = 0; }},
    {"no value embedding", [](ModelConfig& c) { c.value_embed_layers = 0; }},
    {"value embedding everywhere", [](ModelConfig& c) { c.value_embed_layers = c.layers; }},
    {"no xsa", [](ModelConfig& c) { c.xsa_last_n = 0; }},
    {"xsa everywhere", [](ModelConfig& c) { c.xsa_last_n = c.layers; }},
    {"no skips", [](ModelConfig& c) { c.unet_skips = false; }},
    {"no resid mix", [](ModelConfig& c) { c.resid_mix = false; }},
    {"no rope", [](ModelConfig& c) { c.rope_dims = 0; }},
    {"whole rope", [](ModelConfig& c) { c.rope_dims = c.head_dim(); }},
    {"longer than trained", [](ModelConfig& c) { c.rope_ntk_length = 16; }},
    {"no ln scale", [](ModelConfig& c) { c.ln_scale = false; }},
    {"one block", [](ModelConfig& c) {
       c.layers = 1;
       c.xsa_last_n = 1;
       c.value_embed_layers = 1;
     }}};

class DecodeRows : public testing::TestWithParam<const char*> {
 protected:
  ~DecodeRows() override { set_thread_count(threads_); }
  const int threads_ = thread_count();
  const std::unique_ptr<Device> device_ = make_device(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Devices, DecodeRows, testing::Values("reference", "cpu:exact"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

TEST_P(DecodeRows, HaveTheBitsOfTheWholeSequence) {
  ASSERT_TRUE(device_->rows_are_independent());
  std::vector<Variant> variants = kVariants;
  for (const ModelPart& part : model_parts()) variants.push_back({part.name, part.switch_on});
  for (const Variant& variant : variants) {
    SCOPED_TRACE(variant.name);
    ModelConfig config = make_small_config();
    variant.change(config);
    Weights weights(*device_, list_params(config), false);
    weights.initialise(1);
    perturb(weights, 0.1, 11);
    for (const int64_t last : {6, 20}) expect_same(config, weights, 20, last);
  }
}

TEST_P(DecodeRows, HaveThemOnAnyNumberOfThreads) {
  if (device_->name() == "reference") GTEST_SKIP() << "it has one thread";
  ModelConfig config = make_small_config();
  config.vocab_size = 1000;
  config.dim = 128;
  config.mlp_hidden = 512;  // weights of several chunks
  Weights weights(*device_, list_params(config), false);
  weights.initialise(1);
  perturb(weights, 0.1, 11);
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    expect_same(config, weights, 70, 16);
  }
}

// What a plan reads of its own is made anew when weights change: all of them, or the trained alone.
TEST_P(DecodeRows, FollowTheWeights) {
  const ModelConfig config = make_small_config();
  std::vector<ParamSpec> specs = list_params(config);
  freeze_all(specs);
  AdapterConfig adapters;
  adapters.rank = 3;
  adapters.targets = parse_adapter_targets("q,k,v,out,up,down,attn,mlp,head");
  for (const ParamSpec& spec : list_adapter_params(config, adapters)) specs.push_back(spec);
  Weights weights(*device_, specs, true);
  weights.initialise(1);
  const std::vector<int32_t> ids = make_ids(20, config.vocab_size, 5);
  ModelPlan plan(config, weights, 1, 20, PlanMode::kDecode, 6);
  Distributions before = run_pieces(plan, config.vocab_size, ids, 6, {14, 1});
  const auto expect_changed = [&] {
    const Distributions now = run_pieces(plan, config.vocab_size, ids, 6, {14, 1});
    EXPECT_NE(now, before);
    EXPECT_EQ(now, run_whole(config, weights, ids, 6));
    before = now;
  };
  perturb(weights, 0.1, 11);
  expect_changed();
  for (int i = 0; i < weights.count(); ++i) {
    if (!weights.spec(i).name.ends_with(".lora_b")) continue;
    const std::vector<float> values(static_cast<size_t>(weights.spec(i).elements()), 0.3f);
    device_->upload(weights.master(i), values.data(), values.size() * sizeof(float));
    weights.refresh_trained();
    SCOPED_TRACE(weights.spec(i).name);
    expect_changed();
  }
}

}  // namespace
}  // namespace pg
