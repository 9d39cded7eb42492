// What the walk over all parts (model_parts.h) does not show: first values, forms that are nearly one,
// and what is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "src/device/registry/make_device.h"
#include "src/model/learning/adapters.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

double mean_loss(const ModelConfig& config, Weights& weights) {
  ModelPlan plan(config, weights, 3, 12, PlanMode::kScore);
  plan.load(make_ids(3 * 12, config.vocab_size, 3), make_ids(3 * 12, config.vocab_size, 4));
  plan.run();
  return plan.mean_loss();
}

// Parts that are transparent at first: with their first values the loss is bit for bit that without
// them, whatever the other parameters are.
TEST(Model, TransparentPartsStartAsTheModelWithoutThem) {
  const auto device = make_device("reference");
  ModelConfig plain = make_small_config();
  plain.smear_gate = false;
  Weights without(*device, list_params(plain), false);
  without.initialise(1);
  perturb(without, 0.2, 11);
  const double loss = mean_loss(plain, without);
  const auto loss_with = [&](const ModelConfig& config) {
    Weights weights(*device, list_params(config), false);
    weights.initialise(1);
    std::vector<HostTensor> values = weights.download();
    for (HostTensor& tensor : values) {
      for (const HostTensor& known : without.download()) {
        if (known.spec.name == tensor.spec.name) tensor.values = known.values;
      }
    }
    weights.upload(values);
    return mean_loss(config, weights);
  };
  const std::function<void(ModelConfig&)> kParts[] = {
      [](ModelConfig& c) { c.token_smear = true; },
      [](ModelConfig& c) { c.norm_gains = true; },
      [](ModelConfig& c) { c.value_residual = ValueResidual::kScalar; },
      [](ModelConfig& c) { c.value_residual = ValueResidual::kFirstInput; },
      [](ModelConfig& c) { c.value_embed_at = "2,3"; },
      [](ModelConfig& c) { c.attention_gate = AttentionGate::kOutput; },
      [](ModelConfig& c) { c.mudd_at = "0,2,3"; },
  };
  for (const auto& switch_on : kParts) {
    ModelConfig config = plain;
    switch_on(config);
    EXPECT_EQ(loss_with(config), loss);
  }
}

// The values of block 0 before its value embedding, or with it: where it has none they are the same.
TEST(Model, FormsOfTheValueResidualDifferByTheFirstValueEmbedding) {
  const auto device = make_device("reference");
  const auto loss_of = [&](ValueResidual form, const char* value_embed_at) {
    ModelConfig config = make_small_config();
    config.value_residual = form;
    config.value_embed_at = value_embed_at;
    Weights weights(*device, list_params(config), false);
    weights.initialise(1);
    perturb(weights, 0.2, 11);
    return mean_loss(config, weights);
  };
  using enum ValueResidual;
  EXPECT_EQ(loss_of(kScalar, "1"), loss_of(kFirstInput, "1"));
  EXPECT_NE(loss_of(kScalar, "0"), loss_of(kFirstInput, "0"));
}

// The published first values: gates of 0.982, 1, about a half and a half, made from as many channels as
// published, all of them by AdamW with the scalars.
TEST(Model, AttentionGatesBeginAsPublished) {
  const auto device = make_device("reference");
  const auto gates_of = [&](AttentionGate form) {
    ModelConfig config = make_small_config();
    config.attention_gate = form;
    Weights weights(*device, list_params(config), false);
    weights.initialise(1);
    std::vector<HostTensor> own;
    for (HostTensor& tensor : weights.download()) {
      const bool is_gate = tensor.spec.name.find("attn.gate") != std::string::npos;
      if (!is_gate) continue;
      EXPECT_EQ(tensor.spec.group, ParamGroup::kScalar);
      if (tensor.spec.place.layer == 0) own.push_back(std::move(tensor));
    }
    return own;
  };
  using enum AttentionGate;
  const int64_t heads = make_small_config().heads, dim = make_small_config().dim;
  EXPECT_TRUE(gates_of(kNone).empty());
  for (const AttentionGate form : {kGated, kOutput, kGatedNormal, kSparse}) {
    SCOPED_TRACE(choice_name(form));
    const std::vector<HostTensor> gates = gates_of(form);
    ASSERT_EQ(gates.size(), form == kGated ? 2u : 1u);
    EXPECT_EQ(gates[0].spec.rows, heads);
    EXPECT_EQ(gates[0].spec.cols, form == kOutput || form == kSparse ? 12 : dim);
    double squares = 0;
    for (const float value : gates[0].values) squares += std::pow(static_cast<double>(value), 2);
    const double deviation = std::sqrt(squares / static_cast<double>(gates[0].values.size()));
    EXPECT_NEAR(deviation, form == kGatedNormal ? 0.01 : 0.0, form == kGatedNormal ? 0.003 : 0.0);
    if (form == kGated) {
      EXPECT_EQ(gates[1].values, std::vector<float>(static_cast<size_t>(heads), 4.0f));
    }
  }
}

// formulas.md 2.6: with the scales of one stream both lanes are that stream, and the mean is it.
TEST(Model, LanesThatAreAlikeAreOneStream) {
  const auto device = make_device("reference:f64");
  ModelConfig plain = make_small_config();
  plain.unet_skips = false;  // lanes take them alike only in turn
  plain.resid_mix = false;   // what a block mixes does not stay in its lanes
  const auto loss_of = [&](ParallelResidual form, float keep) {
    ModelConfig config = plain;
    config.parallel_residual = form;
    config.parallel_from = 2;
    Weights weights(*device, list_params(config), false);
    weights.initialise(1);
    Weights known(*device, list_params(plain), false);
    known.initialise(1);
    perturb(known, 0.2, 11);
    std::vector<HostTensor> values = weights.download();
    for (HostTensor& tensor : values) {
      for (const HostTensor& other : known.download()) {
        if (other.spec.name == tensor.spec.name) tensor.values = other.values;
      }
      if (tensor.spec.name.find("lanes.keep.") != std::string::npos) tensor.values = {keep};
    }
    weights.upload(values);
    return mean_loss(config, weights);
  };
  using enum ParallelResidual;
  // The fp64 reference rounds lanes in another order; weights are f32 in both.
  EXPECT_NEAR(loss_of(kLanesInTurn, 1.0f), loss_of(kNone, 1.0f), 1e-12);
  EXPECT_NEAR(loss_of(kLanes, 1.0f), loss_of(kGptj, 1.0f), 1e-12);
  EXPECT_GT(std::abs(loss_of(kLanesInTurn, 1.1f) - loss_of(kNone, 1.0f)), 1e-4);
  EXPECT_GT(std::abs(loss_of(kLanes, 1.1f) - loss_of(kGptj, 1.0f)), 1e-4);
}

TEST(Model, LanesBeginAsPublished) {
  const auto device = make_device("reference");
  for (const auto& [form, keep] : {std::pair{ParallelResidual::kLanes, 1.1f},
                                   std::pair{ParallelResidual::kLanesInTurn, std::sqrt(1.1f)}}) {
    ModelConfig config = make_small_config();
    config.parallel_residual = form;
    config.parallel_from = 3;
    Weights weights(*device, list_params(config), false);
    weights.initialise(1);
    int scales = 0;
    for (const HostTensor& tensor : weights.download()) {
      const std::string& name = tensor.spec.name;
      if (name.find("lanes.") == std::string::npos) continue;
      ++scales;
      EXPECT_TRUE(name.starts_with("blocks.3.")) << name;
      EXPECT_FLOAT_EQ(tensor.values[0], name.find("keep") != std::string::npos ? keep : 1.0f);
    }
    EXPECT_EQ(scales, 6);
  }
}

TEST(Model, AdaptersOfUpAdaptItsGateToo) {
  const auto device = make_device("cpu:exact");
  ModelConfig config = make_small_config();
  config.mlp = Mlp::kSwiglu;
  Weights plain(*device, list_params(config), false);
  plain.initialise(1);
  perturb(plain, 0.1, 11);
  std::vector<ParamSpec> specs = list_params(config);
  freeze_all(specs);
  const AdapterConfig adapters = {.rank = 3, .targets = parse_adapter_targets("up")};
  for (const ParamSpec& spec : list_adapter_params(config, adapters)) specs.push_back(spec);
  Weights adapted(*device, specs, true);
  adapted.initialise(7);
  adapted.upload(plain.download());
  const double loss = mean_loss(config, plain);
  EXPECT_EQ(mean_loss(config, adapted), loss);
  int gates = 0;
  for (int i = 0; i < adapted.count(); ++i) {
    if (!adapted.spec(i).name.ends_with("mlp.gate.lora_b")) continue;
    ++gates;
    const std::vector<float> values(static_cast<size_t>(adapted.spec(i).elements()), 0.3f);
    device->upload(adapted.master(i), values.data(), values.size() * sizeof(float));
    adapted.refresh_compute();
    EXPECT_NE(mean_loss(config, adapted), loss) << adapted.spec(i).name;
  }
  EXPECT_EQ(gates, config.layers);
}

TEST(Model, ImpossiblePartsAreNamed) {
  const auto expect_named = [](const char* key, const std::function<void(ModelConfig&)>& change) {
    ModelConfig c = make_small_config();
    change(c);
    EXPECT_NE(check_model_config(c).find(key), std::string::npos) << check_model_config(c);
  };
  expect_named("smear_gate = false", [](ModelConfig& c) { c.token_smear = true; });
  const auto with_smear = [&](const char* key, const std::function<void(ModelConfig&)>& change) {
    expect_named(key, [&](ModelConfig& c) {
      c.smear_gate = false;
      c.token_smear = true;
      change(c);
    });
  };
  with_smear("token_smear_width", [](ModelConfig& c) { c.token_smear_width = c.dim + 1; });
  with_smear("bos_id", [](ModelConfig& c) { c.bos_id = c.vocab_size; });
  expect_named("parallel_from", [](ModelConfig& c) {
    c.parallel_residual = ParallelResidual::kGptj;
    c.parallel_from = c.layers;
  });
  const auto with_lanes = [&](const char* key, const std::function<void(ModelConfig&)>& change) {
    for (const auto form : {ParallelResidual::kLanes, ParallelResidual::kLanesInTurn}) {
      expect_named(key, [&](ModelConfig& c) {
        c.parallel_residual = form;
        c.parallel_from = 2;
        change(c);
      });
    }
  };
  with_lanes("give 2 or more, or unet_skips", [](ModelConfig& c) { c.parallel_from = 1; });
  with_lanes("let the loop end before that block", [](ModelConfig& c) {
    c.loop_first = 1;
    c.loop_last = 2;
    c.loop_passes = 2;
  });
  with_lanes("give 4 or more",
             [](ModelConfig& c) {  // 8 runs, of which the fifth begins the decoder
               c.loop_first = c.loop_last = 3;
               c.loop_passes = 5;
             });
  for (const char* runs : {"4", "1,1", "x"}) {
    expect_named("mudd_at", [&](ModelConfig& c) { c.mudd_at = runs; });
  }
  expect_named("mudd_local_at \"1\" names 1", [](ModelConfig& c) {
    c.mudd_at = std::string("2");
    c.mudd_local_at = std::string("1");
  });
  expect_named("mudd_value_at", [](ModelConfig& c) {  // behind the last run
    c.mudd_at = std::string("3");
    c.mudd_value_at = std::string("3");
  });
  expect_named("name the run in mudd_local_at", [](ModelConfig& c) {
    c.layers = 40;
    c.mudd_at = "31";
  });
  expect_named("mudd_at \"2\" mixes one stream", [](ModelConfig& c) {
    c.mudd_at = std::string("2");
    c.parallel_residual = ParallelResidual::kLanes;
    c.parallel_from = 2;
  });
  expect_named("paired_heads_at", [](ModelConfig& c) { c.paired_heads_at = std::string("4"); });
  expect_named("are not both even", [](ModelConfig& c) {
    c.paired_heads_at = std::string("1");
    c.kv_heads = 1;
  });
  expect_named("attention_gate_width", [](ModelConfig& c) {
    c.attention_gate = AttentionGate::kSparse;
    c.attention_gate_width = c.dim + 1;
  });
  expect_named("skip_gates", [](ModelConfig& c) {
    c.skip_gates = true;
    c.unet_skips = false;
  });
  expect_named("value_residual", [](ModelConfig& c) {
    c.layers = 1;
    c.value_residual = ValueResidual::kMean;
  });
  for (const char* layers :
       {"4", "1,1", "2,1", "1,", ",1", "-1", " 1", "1;2", "x", "99999999999999999999"}) {
    expect_named("value_embed_at", [&](ModelConfig& c) { c.value_embed_at = layers; });
  }
  expect_named("value_embed_dim", [](ModelConfig& c) {
    c.value_embed_at = std::string("0");
    c.value_embed_dim = 0;
  });
}

}  // namespace
}  // namespace pg
