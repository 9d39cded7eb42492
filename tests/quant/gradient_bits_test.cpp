// Bits by the gradient: what is measured is the square of a real one, who is ranked where, and that the
// widths of an artifact follow.
#include "quant/method/gradient_bits.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "quant/format/storage_bits.h"
#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

// [rows, 2] with a mean squared gradient of `square`.
SensitivityTerm make_term(int64_t rows, double square) {
  SensitivityTerm term;
  term.hessian = {static_cast<float>(square), 0.5f, 0.5f, static_cast<float>(3 * square)};
  term.row_weight.assign(static_cast<size_t>(rows), 0.25f);
  term.row_weight.front() += 0.25f * static_cast<float>(rows);
  return term;
}

struct Ranked {
  std::vector<HostTensor> tensors;
  std::vector<std::optional<SensitivityTerm>> terms;

  void add(int64_t rows, double square, ParamGroup group = ParamGroup::kMatrix) {
    const ParamSpec spec{
        .name = std::to_string(tensors.size()), .rows = rows, .cols = 2, .group = group};
    tensors.push_back({.spec = spec, .values = {}});
    terms.push_back(make_term(rows, square));
  }
  std::vector<int> rank() const { return rank_by_gradient(tensors, terms); }
};

TEST(GradientBits, ATokensSquaredGradientIsTheProductOfCalibrationsSums) {
  ModelConfig config = tiny_config();
  config.dim = 32;  // with an embedding that one position reads
  const auto device = make_device("reference");
  Weights weights(*device, list_params(config), /*with_gradients=*/true);
  weights.upload(random_weights(config, 5, 0, 0.3));
  const std::vector<CalibrationBatch> batches = {{{7}, {11}}};
  const Calibration calibration = calibrate(config, weights.download(), batches, 1, 1, *device);
  ModelPlan plan(config, weights, 1, 1, PlanMode::kTrain);
  plan.load(batches[0].ids, batches[0].targets);
  plan.run();
  weights.finish_gradients();
  int compared = 0;
  for (int i = 0; i < weights.count(); ++i) {
    const ParamSpec& spec = weights.spec(i);
    if (spec.group != ParamGroup::kMatrix) continue;
    std::vector<float> gradient(static_cast<size_t>(spec.elements()));
    device->download(gradient.data(), weights.gradient(i), gradient.size() * sizeof(float));
    double squares = 0;
    for (const float g : gradient) squares += static_cast<double>(g) * static_cast<double>(g);
    const double mean = squares / static_cast<double>(spec.elements());
    EXPECT_NEAR(mean_squared_gradient(calibration.find(spec.name)->terms.at(0)), mean, 1e-5 * mean)
        << spec.name;
    compared += mean > 0;
  }
  EXPECT_GE(compared, 4 * config.layers);  // not q and k, which one position does not need
}

// As in PR #332's program: from the element 9n/10 of the sorted squares on 1, up to that of n/5 -1.
TEST(GradientBits, TheFirstTenthGainsAndTheLastFifthLoses) {
  Ranked ten;
  for (const double square : {5, 1, 9, 3, 10, 7, 2, 8, 4, 6}) ten.add(64, square);
  EXPECT_EQ(ten.rank(), (std::vector<int>{0, -1, 0, -1, 1, 0, -1, 0, 0, 0}));
  Ranked four;
  for (const double square : {5, 1, 9, 3}) four.add(64, square);
  EXPECT_EQ(four.rank(), std::vector<int>(4, 0));
}

TEST(GradientBits, TablesHaveARankAndKeepTheirBitsAndSmallMatricesHaveNone) {
  Ranked r;
  for (const double square : {1, 2, 3, 4, 5}) r.add(64, square);
  EXPECT_EQ(r.rank(), (std::vector<int>{-1, -1, 0, 0, 1}));
  r.add(63, 100);
  r.add(128, 0.1);
  r.terms.back().reset();  // nothing reads it
  EXPECT_EQ(r.rank(), (std::vector<int>{-1, -1, 0, 0, 1, 0, 0}));
  r.add(64, 90, ParamGroup::kEmbedding);
  r.add(64, 80, ParamGroup::kHead);
  EXPECT_EQ(r.rank(), (std::vector<int>{-1, -1, 0, 0, 0, 0, 0, 0, 0}));
}

// Matrices of 64 rows and more, in a model as small as they allow.
ModelConfig small_config() {
  ModelConfig c = tiny_config();
  c.layers = 3;
  c.vocab_size = c.dim = c.mlp_hidden = 64;
  c.kv_heads = c.heads;
  return c;
}

QuantConfig guided_quant() {
  QuantConfig quant;
  quant.keep_fp16_elements = 130;
  quant.scales = ScaleRule::kSdClip;
  quant.fill_cap = false;
  quant.mlp_bits = 5;
  quant.gradient_bits = true;
  return quant;
}

TEST(GradientBits, OfAnArtifactFollowTheRank) {
  const ModelConfig config = small_config();
  const std::vector<HostTensor> weights = random_weights(config, 1);
  const Calibration calibration = random_calibration(config, 7);
  std::vector<std::optional<SensitivityTerm>> terms;
  for (const HostTensor& tensor : weights) {
    const Sensitivity* const found = calibration.find(tensor.spec.name);
    terms.push_back(found == nullptr ? std::nullopt : std::optional(found->terms.at(0)));
  }
  const std::vector<int> rank = rank_by_gradient(weights, terms);
  for (const Rounding rounding : {Rounding::kNearest, Rounding::kGptq}) {
    QuantConfig quant = guided_quant();
    quant.rounding = rounding;
    const QuantResult guided = quantize_calibrated(config, weights, quant);
    quant.gradient_bits = false;
    const QuantResult plain = quantize_calibrated(config, weights, quant);
    std::map<int, int> changes;
    for (size_t i = 0; i < weights.size(); ++i) {
      const int bits = storage_bits(weights[i].spec, quant);
      const int change = bits == kHalfBits ? 0 : rank[i];
      EXPECT_EQ(plain.model.tensors[i].bits, bits);
      EXPECT_EQ(guided.model.tensors[i].bits, bits + change) << weights[i].spec.name;
      EXPECT_EQ(guided.model.tensors[i].codes == plain.model.tensors[i].codes, change == 0)
          << weights[i].spec.name;
      ++changes[change];
    }
    EXPECT_GE(changes[1], 1);
    EXPECT_GE(changes[-1], 3);
    EXPECT_GT(changes[0], changes[-1]);
    EXPECT_NE(seal(guided.model, quant, 0).bytes, seal(plain.model, quant, 0).bytes);
  }
}

TEST(GradientBits, StayWhereACapWidensTheScales) {
  const ModelConfig config = small_config();
  const std::vector<HostTensor> weights = random_weights(config, 1);
  QuantConfig quant = guided_quant();
  quant.rounding = Rounding::kNearest;
  const QuantModel free = quantize_calibrated(config, weights, quant).model;
  const auto bytes = [&](const QuantModel& model) {
    return static_cast<int64_t>(seal(model, quant, 0).bytes.size());
  };
  quant.fill_cap = true;
  const int64_t free_bytes = bytes(free);
  quant.cap_bytes = free_bytes * 9 / 10;
  const QuantModel filled = quantize_calibrated(config, weights, quant).model;
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ(filled.tensors[i].bits, free.tensors[i].bits) << weights[i].spec.name;
  }
  EXPECT_LE(bytes(filled), quant.cap_bytes);
}

TEST(GradientBits, WhatLeavesNoBitsToChooseIsRefused) {
  const auto problem_of = [](const std::function<void(QuantConfig&)>& change) -> std::string {
    QuantConfig quant = guided_quant();
    change(quant);
    const char* problem = find_gradient_bits_problem(quant);
    return problem == nullptr ? "" : problem;
  };
  EXPECT_EQ(problem_of([](QuantConfig&) {}), "");
  EXPECT_EQ(problem_of([](QuantConfig& q) { q = QuantConfig(); }), "");
  for (const ScaleRule scales : {ScaleRule::kSensitivity, ScaleRule::kTernary}) {
    const std::string problem = problem_of([&](QuantConfig& q) { q.scales = scales; });
    EXPECT_NE(problem.find("quant.scales"), std::string::npos) << problem;
  }
  for (const int64_t bits : {2, 8}) {
    const std::string problem = problem_of([&](QuantConfig& q) { q.matrix_bits = bits; });
    EXPECT_NE(problem.find("quant.matrix_bits"), std::string::npos) << problem;
    EXPECT_EQ(problem_of([&](QuantConfig& q) { q.mlp_bits = bits; }), problem);
  }
  const ModelConfig config = small_config();
  const std::vector<HostTensor> weights = random_weights(config, 1);
  QuantConfig quant = guided_quant();
  quant.rounding = Rounding::kNearest;
  EXPECT_THROW(quantize_plain(config, weights, quant), Error);  // without calibration
  quant.scales = ScaleRule::kTernary;
  EXPECT_THROW(quantize_calibrated(config, weights, quant), Error);
}

}  // namespace
}  // namespace pg
