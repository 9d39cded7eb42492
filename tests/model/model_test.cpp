// The model: known parameter counts, a loss of ln V before training, causality, gradients of every
// parameter, and a test per feature that fails when the feature is inert.
#include "src/model/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "src/device/registry/make_device.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 9;

double mean_loss(const ModelConfig& config, Weights& weights, uint64_t ids_seed = 3) {
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kScore);
  plan.load(make_ids(kBatch * kTokens, config.vocab_size, ids_seed),
            make_ids(kBatch * kTokens, config.vocab_size, ids_seed + 1));
  plan.run();
  return plan.mean_loss();
}

// formulas.md 2.9, counted from the records' logs.
TEST(Model, ParameterCountsMatchTheRecords) {
  ModelConfig r23;
  EXPECT_EQ(count_params(r23), 26928220);
  ModelConfig r22;
  r22.bigram_buckets = 2048;
  EXPECT_EQ(count_params(r22), 26993756);
  ModelConfig r25;
  r25.bigram_buckets = 3072;
  r25.bigram_dim = 112;
  EXPECT_EQ(count_params(r25), 27067484);
  ModelConfig baseline;
  baseline.layers = 9;
  baseline.mlp_hidden = 1024;
  baseline.bigram_buckets = 0;
  baseline.value_embed_layers = 0;
  baseline.smear_gate = false;
  EXPECT_EQ(count_params(baseline), 17059912);
}

// The records of 2026-04-05 on, by their logs: 35,943,512, 35,944,536 with one skip more, 35,944,602
// with lanes, 35,945,671 with the sparse gate and SmearGate v2. Their lanes have scales for the blocks
// before them as well, which nothing reads: 6 a block.
TEST(Model, ParameterCountsOfTheFrontierMatchTheRecords) {
  constexpr int64_t kUnread = 6 * 8;
  ModelConfig c;
  c.vocab_size = 8192;
  c.mlp_hidden = 2048;
  c.rope_ntk_length = 0;
  c.xsa_last_n = 11;
  c.smear_gate = false;
  c.bigram_buckets = c.value_embed_layers = 0;
  c.skip_gates = true;
  c.loop_first = 4;
  c.loop_passes = 3;
  EXPECT_EQ(count_params(c), 35943512);
  c.loop_first = 3;
  c.parallel_residual = ParallelResidual::kGptj;
  EXPECT_EQ(count_params(c), 35944536);
  c.parallel_residual = ParallelResidual::kLanes;
  c.parallel_from = 8;
  EXPECT_EQ(count_params(c), 35944602 - kUnread);
  c.attention_gate = AttentionGate::kSparse;
  c.token_smear = true;
  EXPECT_EQ(check_model_config(c), "");
  EXPECT_EQ(count_params(c), 35945671 - kUnread);
}

// The plain shape of AOMTS: 12 blocks of 4 512^2 for attention, 3 512 4800 for SwiGLU and two norms
// of 512; the last norm; one embedding of 16,000 x 512, tied. Its card gives 117,453,312: that counts
// the embedding twice, 109,261,312 + 8,192,000.
TEST(Model, ParameterCountOfTheAomtsShapeIsThatOfItsTensors) {
  ModelConfig c;
  c.vocab_size = 16000;
  c.layers = 12;
  c.kv_heads = 8;
  c.mlp_hidden = 4800;
  c.mlp = Mlp::kSwiglu;
  c.norm_gains = true;
  c.rope_dims = c.head_dim();
  c.xsa_last_n = 0;
  c.bigram_buckets = 0;
  c.value_embed_layers = 0;
  c.ln_scale = c.unet_skips = c.resid_mix = c.smear_gate = false;
  c.q_gain = c.block_scales = c.qk_norm = false;
  EXPECT_EQ(check_model_config(c), "");
  EXPECT_EQ(count_params(c), 109261312);
}

TEST(Model, UntrainedLossIsLogOfVocabulary) {
  const auto device = make_device("reference");
  const ModelConfig config = make_small_config();
  Weights weights(*device, list_params(config), false);
  weights.initialise(1);
  EXPECT_NEAR(mean_loss(config, weights), std::log(61.0), 0.05);
}

// Of the last positions alone, the distributions are bitwise those of the whole pass, also where
// products have other numbers of rows.
TEST(Model, DistributionsOfTheLastPositionsAreThoseOfAll) {
  ModelConfig config = make_small_config();
  for (const char* name : {"reference", "cpu:exact", "cpu:bf16"}) {
    const auto device = make_device(name);
    for (const int64_t tokens : {9, 70}) {
      Weights weights(*device, list_params(config), false);
      weights.initialise(1);
      ModelPlan whole(config, weights, 3, tokens, PlanMode::kLogProbs);
      whole.load(make_ids(3 * tokens, config.vocab_size, 5), {});
      whole.run();
      std::vector<float> expected(static_cast<size_t>(3 * tokens * config.vocab_size));
      std::vector<float> expected_entropies(static_cast<size_t>(3 * tokens));
      whole.read_log_probs(0, expected, expected_entropies);
      for (const int64_t last : {1, 4, 8}) {
        ModelPlan part(config, weights, 3, tokens, PlanMode::kLogProbs, last);
        part.load(make_ids(3 * tokens, config.vocab_size, 5), {});
        part.run();
        EXPECT_LT(part.flops(), whole.flops());
        const auto size = static_cast<size_t>(last * config.vocab_size);
        std::vector<float> log_probs(size), entropies(static_cast<size_t>(last));
        for (int64_t b = 0; b < 3; ++b) {
          part.read_log_probs(b * last, log_probs, entropies);
          const int64_t first = (b + 1) * tokens - last;
          const auto where = testing::Message()
                             << name << ", last " << last << " of " << tokens << ", row " << b;
          EXPECT_TRUE(std::equal(log_probs.begin(), log_probs.end(),
                                 expected.begin() + first * config.vocab_size))
              << where;
          EXPECT_TRUE(
              std::equal(entropies.begin(), entropies.end(), expected_entropies.begin() + first))
              << where;
        }
      }
    }
  }
}

TEST(Model, InitialValuesDependOnTheSeedAndTheNameOnly) {
  const auto device = make_device("reference");
  const ModelConfig config = make_small_config();
  Weights a(*device, list_params(config), false), b(*device, list_params(config), false);
  a.initialise(7);
  b.initialise(7);
  const auto x = a.download(), y = b.download();
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i].values, y[i].values) << x[i].spec.name;
  b.initialise(8);
  EXPECT_NE(x[0].values, b.download()[0].values);
}

TEST(Model, OrthogonalMatricesHaveOrthonormalRowsOrColumns) {
  const auto device = make_device("reference");
  Weights weights(*device,
                  {{"tall", 48, 32, ParamGroup::kMatrix, ParamInit::kOrthogonal, 1.0f, true},
                   {"wide", 16, 32, ParamGroup::kMatrix, ParamInit::kOrthogonal, 1.0f, true}},
                  false);
  weights.initialise(5);
  const auto tensors = weights.download();
  for (const HostTensor& t : tensors) {
    const bool tall = t.spec.rows > t.spec.cols;
    const int64_t n = tall ? t.spec.cols : t.spec.rows, m = tall ? t.spec.rows : t.spec.cols;
    const auto at = [&](int64_t i, int64_t k) {
      return static_cast<double>(
          t.values[static_cast<size_t>(tall ? k * t.spec.cols + i : i * t.spec.cols + k)]);
    };
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double dot = 0;
        for (int64_t k = 0; k < m; ++k) dot += at(i, k) * at(j, k);
        EXPECT_NEAR(dot, i == j ? 1.0 : 0.0, 1e-6) << t.spec.name;
      }
    }
  }
}

// Each parameter's gradient against the loss's change along a random direction of that parameter.
// Storage is f32, so a loss of about 4 is known to 4e-7; with a step that changes it by about 1e-3
// the quotient is good to a few parts in a thousand, plus the cubic term of the step.
TEST(Model, GradientOfEveryParameterMatchesFiniteDifferences) {
  const auto device = make_device("reference");
  const ModelConfig config = make_small_config();
  Weights weights(*device, list_params(config), true);
  weights.initialise(1);
  perturb(weights, 0.1, 11);
  const auto ids = make_ids(kBatch * kTokens, config.vocab_size, 3);
  const auto targets = make_ids(kBatch * kTokens, config.vocab_size, 4);
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain);
  plan.load(ids, targets);
  plan.run();
  weights.finish_gradients();

  const std::vector<HostTensor> origin = weights.download();
  ModelPlan score(config, weights, kBatch, kTokens, PlanMode::kScore);
  score.load(ids, targets);
  const auto loss_at = [&](size_t index, const std::vector<float>& direction, double step) {
    std::vector<HostTensor> moved = origin;
    for (size_t k = 0; k < direction.size(); ++k) {
      moved[index].values[k] += static_cast<float>(step * static_cast<double>(direction[k]));
    }
    weights.upload(moved);
    score.run();
    return score.mean_loss();
  };
  for (size_t i = 0; i < origin.size(); ++i) {
    // Along the gradient's own direction the derivative is |g|: no cancellation between components.
    const float* gradient = weights.gradient(static_cast<int>(i));
    double norm = 0;
    std::vector<float> direction(origin[i].values.size());
    for (size_t k = 0; k < direction.size(); ++k) {
      direction[k] = gradient[k];
      norm += static_cast<double>(gradient[k]) * static_cast<double>(gradient[k]);
    }
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 1e-7) << origin[i].spec.name << " has no gradient: it is not part of the model";
    for (float& d : direction) d = static_cast<float>(static_cast<double>(d) / norm);
    const double step = std::min(3e-2, 2e-3 / norm);
    const double slope = (loss_at(i, direction, step) - loss_at(i, direction, -step)) / (2 * step);
    EXPECT_NEAR(slope, norm, 0.02 * norm + 2e-6 / step) << origin[i].spec.name;
  }
}

// What a fast step may cost beside its products: of the 27M stack, a block's activations pass through
// memory 46 times at most, forward and backward, and the optimizer is 110 calls at most.
TEST(Model, AStepOfTheRecordStackIsFewPasses) {
  const auto device = make_device("cpu:bf16");
  const ModelConfig record;  // 11 x 512
  Weights weights(*device, list_params(record), true);
  const ModelPlan plan(record, weights, 2, 256, PlanMode::kTrain);
  EXPECT_LE(plan.passes_of_a_block(), 46.0);
  EXPECT_GT(plan.passes_of_a_block(), 20.0);  // the MLP's activation alone is 15
}

// Later tokens never change an earlier loss (law L6).
TEST(Model, LossesIgnoreLaterTokens) {
  const auto device = make_device("reference");
  const ModelConfig config = make_small_config();
  Weights weights(*device, list_params(config), false);
  weights.initialise(1);
  perturb(weights, 0.1, 11);
  ModelPlan plan(config, weights, 1, kTokens, PlanMode::kScore);
  auto ids = make_ids(kTokens, config.vocab_size, 3);
  const auto targets = make_ids(kTokens, config.vocab_size, 4);
  std::vector<float> before(kTokens), after(kTokens);
  plan.load(ids, targets);
  plan.run();
  plan.read_token_losses(before);
  constexpr size_t kChanged = 5;
  ids[kChanged] = (ids[kChanged] + 1) % 61;
  plan.load(ids, targets);
  plan.run();
  plan.read_token_losses(after);
  for (size_t t = 0; t < kTokens; ++t) {
    if (t < kChanged) {
      EXPECT_EQ(before[t], after[t]) << t;
    } else {
      EXPECT_NE(before[t], after[t]) << t;  // the changed token is seen by all later ones
    }
  }
}

// One entry per switch: how to turn it off. On perturbed weights, off must change the loss; else
// the feature is inert.
TEST(Model, EverySwitchChangesTheLoss) {
  const auto device = make_device("reference");
  const struct {
    const char* name;
    std::function<void(ModelConfig&)> turn_off;
  } kSwitches[] = {
      {"ln_scale", [](ModelConfig& c) { c.ln_scale = false; }},
      {"xsa", [](ModelConfig& c) { c.xsa_last_n = 0; }},
      {"unet_skips", [](ModelConfig& c) { c.unet_skips = false; }},
      {"resid_mix", [](ModelConfig& c) { c.resid_mix = false; }},
      {"smear_gate", [](ModelConfig& c) { c.smear_gate = false; }},
      {"bigram", [](ModelConfig& c) { c.bigram_buckets = 0; }},
      {"value_embed", [](ModelConfig& c) { c.value_embed_layers = 0; }},
      {"rope", [](ModelConfig& c) { c.rope_dims = 0; }},
      {"rope_ntk", [](ModelConfig& c) { c.rope_ntk_length = 4, c.rope_context = 8; }},
      {"leaky_slope", [](ModelConfig& c) { c.leaky_slope = 0.0; }},
      {"softcap", [](ModelConfig& c) { c.logit_softcap = 1.0; }},
  };
  const ModelConfig all = make_small_config();
  Weights full(*device, list_params(all), false);
  full.initialise(1);
  perturb(full, 0.2, 11);
  const std::vector<HostTensor> values = full.download();
  const double loss_on = mean_loss(all, full);
  for (const auto& entry : kSwitches) {
    ModelConfig config = all;
    entry.turn_off(config);
    Weights weights(*device, list_params(config), false);
    std::vector<HostTensor> shared;  // the same values for the parameters that remain
    for (const ParamSpec& spec : list_params(config)) {
      for (const HostTensor& t : values) {
        if (t.spec.name == spec.name) shared.push_back(t);
      }
    }
    weights.upload(shared);
    EXPECT_GT(std::abs(mean_loss(config, weights) - loss_on), 1e-5) << entry.name;
  }
}

// A feature at its neutral value gives exactly the numbers of the model without it (law L11).
TEST(Model, NeutralFeaturesRestoreTheNumbersExactly) {
  const auto device = make_device("reference");
  const struct {
    const char* name;
    std::function<void(ModelConfig&)> turn_off;
    std::function<void(HostTensor&)> make_neutral;
  } kPairs[] = {
      {"resid_mix", [](ModelConfig& c) { c.resid_mix = false; },
       [](HostTensor& t) {
         if (t.spec.name.ends_with("resid_mix.x")) t.values.assign(t.values.size(), 1.0f);
         if (t.spec.name.ends_with("resid_mix.x0")) t.values.assign(t.values.size(), 0.0f);
       }},
      {"bigram", [](ModelConfig& c) { c.bigram_buckets = 0; },
       [](HostTensor& t) {
         if (t.spec.name == "bigram.table") t.values.assign(t.values.size(), 0.0f);
       }},
      {"value_embed", [](ModelConfig& c) { c.value_embed_layers = 0; },
       [](HostTensor& t) {
         if (t.spec.name == "value_embed.scale") t.values.assign(t.values.size(), 0.0f);
       }},
      {"unet_skips", [](ModelConfig& c) { c.unet_skips = false; },
       [](HostTensor& t) {
         if (t.spec.name.starts_with("skips.")) t.values.assign(t.values.size(), 0.0f);
       }},
  };
  const ModelConfig all = make_small_config();
  for (const auto& pair : kPairs) {
    Weights on(*device, list_params(all), false);
    on.initialise(1);
    perturb(on, 0.1, 11);
    std::vector<HostTensor> values = on.download();
    for (HostTensor& t : values) pair.make_neutral(t);
    on.upload(values);
    ModelConfig config = all;
    pair.turn_off(config);
    Weights off(*device, list_params(config), false);
    std::vector<HostTensor> shared;
    for (const ParamSpec& spec : list_params(config)) {
      for (const HostTensor& t : values) {
        if (t.spec.name == spec.name) shared.push_back(t);
      }
    }
    off.upload(shared);
    EXPECT_EQ(mean_loss(all, on), mean_loss(config, off)) << pair.name;
  }
}

TEST(Model, ImpossibleConfigsAreNamed) {
  ModelConfig c = make_small_config();
  EXPECT_EQ(check_model_config(c), "");
  c.heads = 5;
  EXPECT_NE(check_model_config(c).find("dim"), std::string::npos);
  c = make_small_config();
  c.kv_heads = 3;
  EXPECT_NE(check_model_config(c).find("kv_heads"), std::string::npos);
  c = make_small_config();
  c.rope_dims = 10;
  EXPECT_NE(check_model_config(c).find("rope_dims"), std::string::npos);
  c = make_small_config();
  c.yarn_factor = 2;
  EXPECT_NE(check_model_config(c).find("yarn_factor"), std::string::npos);
  c.rope_ntk_length = 0;
  EXPECT_EQ(check_model_config(c), "");
  c.trigram = true;
  c.bigram_buckets = 0;
  EXPECT_NE(check_model_config(c).find("trigram"), std::string::npos);
}

// A frequency that turns often in its context is kept, and then YaRN is what a larger gain of the
// queries is; one that turns less than once is slower.
TEST(Model, YarnKeepsFastFrequenciesAndSharpensAttention) {
  const auto device = make_device("reference:f64");
  ModelConfig plain = make_small_config();
  plain.rope_ntk_length = 0;
  plain.rope_dims = 2;  // of frequency 1
  ModelConfig fast = plain;
  fast.yarn_factor = 4;
  fast.rope_context = 4096;  // 4096 / 4 / 2 pi turns
  ModelConfig slow = fast;
  slow.rope_context = 4 * 6;  // 6 / 2 pi
  Weights weights(*device, list_params(plain), false), sharper(*device, list_params(plain), false);
  weights.initialise(1);
  perturb(weights, 0.1, 3);
  std::vector<HostTensor> tensors = weights.download();
  const double root = 0.1 * std::log(4.0) + 1;
  for (HostTensor& tensor : tensors) {
    if (!tensor.spec.name.ends_with("q_gain")) continue;
    for (float& gain : tensor.values) gain *= static_cast<float>(root * root);
  }
  sharper.upload(tensors);
  const auto loss = [](const ModelConfig& config, Weights& of) {
    ModelPlan plan(config, of, 2, 12, PlanMode::kScore);
    plan.load(make_ids(24, config.vocab_size, 3), make_ids(24, config.vocab_size, 4));
    plan.run();
    return plan.mean_loss();
  };
  EXPECT_NEAR(loss(fast, weights), loss(plain, sharper), 1e-7);
  EXPECT_GT(std::abs(loss(fast, weights) - loss(plain, weights)), 1e-5);
  EXPECT_GT(std::abs(loss(slow, weights) - loss(fast, weights)), 1e-5);
}

}  // namespace
}  // namespace pg
