// Optimizer steps and averages against formulas written out again in double.
#include "src/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/base/rng.h"
#include "src/device/registry/make_device.h"
#include "src/train/average.h"

namespace pg {
namespace {

std::vector<ParamSpec> make_specs() {
  return {{"matrix", 24, 16, ParamGroup::kMatrix, ParamInit::kOrthogonal, 1.0f, true},
          {"table", 7, 16, ParamGroup::kEmbedding, ParamInit::kNormal, 0.1f, true},
          {"gain", 1, 16, ParamGroup::kScalar, ParamInit::kConstant, 1.0f, false}};
}

class OptimizerTest : public testing::Test {
 protected:
  OptimizerTest() : device_(make_device("reference")), weights_(*device_, make_specs(), true) {
    weights_.initialise(3);
    const CounterRng rng(9, kStreamTest);
    for (int i = 0; i < weights_.count(); ++i) {
      for (int64_t k = 0; k < weights_.spec(i).elements(); ++k) {
        weights_.gradient(i)[k] =
            static_cast<float>(rng.normal(static_cast<uint64_t>(1000 * i + k)));
      }
    }
  }
  std::vector<float> values(int i) { return weights_.download()[static_cast<size_t>(i)].values; }
  double gradient_norm() {
    double squares = 0;
    for (int64_t k = 0; k < weights_.flat_elements(); ++k) {
      squares += std::pow(static_cast<double>(weights_.gradients()[k]), 2);
    }
    return std::sqrt(squares);
  }
  std::unique_ptr<Device> device_;
  Weights weights_;
};

TEST_F(OptimizerTest, AdamWFollowsTheFormulaForThreeSteps) {
  OptimizerConfig config;
  config.grad_clip_norm = 0.3;
  const double clip = std::min(1.0, 0.3 / gradient_norm());
  std::vector<double> p, m, v;
  for (const float x : values(2)) p.push_back(static_cast<double>(x));
  m.assign(p.size(), 0);
  v.assign(p.size(), 0);
  Optimizer optimizer(weights_, config);
  for (int step = 1; step <= 3; ++step) {
    const double lr = config.scalar_lr * 0.5;
    optimizer.step(step - 1, 0.5);
    for (size_t k = 0; k < p.size(); ++k) {
      const double g = clip * static_cast<double>(weights_.gradient(2)[k]);
      m[k] = 0.9 * m[k] + 0.1 * g;
      v[k] = 0.95 * v[k] + 0.05 * g * g;
      const double m_hat = m[k] / (1 - std::pow(0.9, step)),
                   v_hat = v[k] / (1 - std::pow(0.95, step));
      p[k] = p[k] * (1 - lr * config.adam_weight_decay) - lr * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
  for (size_t k = 0; k < p.size(); ++k) EXPECT_NEAR(values(2)[k], p[k], 1e-6) << k;
  EXPECT_NEAR(optimizer.grad_norm(), gradient_norm(), 1e-6 * gradient_norm());
}

// The Muon update is the gradient's orthogonal factor up to Newton-Schulz's band: with lr 1, no
// decay and scale sqrt(24/16), old minus new has singular values within [0.65, 1.25] of the scale
// (measured band of the stock coefficients).
TEST_F(OptimizerTest, MuonMovesAMatrixByANearlyOrthogonalStep) {
  OptimizerConfig config;
  config.matrix_lr = 1.0;
  config.muon_weight_decay = 0.0;
  const std::vector<float> before = values(0);
  Optimizer optimizer(weights_, config);
  optimizer.step(0, 1.0);
  const std::vector<float> after = values(0);
  const double scale = std::sqrt(24.0 / 16.0);
  // The Gram matrix of the 16 columns has eigenvalues sigma^2: compare random quadratic forms with
  // the band.
  const CounterRng rng(4, kStreamTest);
  for (uint64_t trial = 0; trial < 200; ++trial) {
    double x[16], norm = 0, squares = 0;
    for (uint64_t c = 0; c < 16; ++c) {
      x[c] = rng.normal(trial * 16 + c);
      norm += x[c] * x[c];
    }
    for (size_t r = 0; r < 24; ++r) {
      double dot = 0;
      for (size_t c = 0; c < 16; ++c) {
        dot += (static_cast<double>(before[r * 16 + c]) - static_cast<double>(after[r * 16 + c])) /
               scale * x[c];
      }
      squares += dot * dot;
    }
    const double sigma = std::sqrt(squares / norm);
    EXPECT_GT(sigma, 0.65);
    EXPECT_LT(sigma, 1.25);
  }
}

// Without Newton-Schulz iterations the update is u / |u|, so momentum shows in it directly: seven
// steps written out again, over the warm-up and beyond. On step one alone it would not: u is then a
// multiple of the gradient. k = 8 roundings a step, of numbers of at most 1.
TEST_F(OptimizerTest, MuonMomentumWarmsUpOverTheFirstSteps) {
  OptimizerConfig config;
  config.newton_schulz_steps = 0;
  config.grad_clip_norm = 0;
  config.muon_momentum_start = 0.5;
  config.muon_momentum = 0.9;
  config.muon_momentum_warmup_steps = 4;
  constexpr double kMomentum[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9};
  std::vector<double> p, m(values(0).size()), u(values(0).size());
  for (const float x : values(0)) p.push_back(static_cast<double>(x));
  Optimizer optimizer(weights_, config);
  const double lr = config.matrix_lr, scale = std::sqrt(24.0 / 16.0);
  for (size_t step = 0; step < std::size(kMomentum); ++step) {
    const CounterRng rng(step, kStreamTest);
    double squares = 0;
    for (size_t k = 0; k < p.size(); ++k) {
      const auto g = static_cast<float>(rng.normal(k));
      weights_.gradient(0)[k] = g;
      m[k] = kMomentum[step] * m[k] + static_cast<double>(g);
      u[k] = static_cast<double>(g) + kMomentum[step] * m[k];
      squares += u[k] * u[k];
    }
    optimizer.step(static_cast<int64_t>(step), 1.0);
    for (size_t k = 0; k < p.size(); ++k) {
      p[k] = p[k] * (1 - lr * config.muon_weight_decay) - lr * scale * u[k] / std::sqrt(squares);
    }
  }
  const double bound = 8 * static_cast<double>(std::size(kMomentum)) * 0x1p-24;
  for (size_t k = 0; k < p.size(); ++k) EXPECT_NEAR(values(0)[k], p[k], bound) << k;
}

TEST_F(OptimizerTest, WeightDecayIsDecoupledAndFollowsTheLearningRate) {
  for (int64_t k = 0; k < weights_.flat_elements(); ++k) weights_.gradients()[k] = 0;
  OptimizerConfig config;
  config.matrix_lr = 0.1;
  config.muon_weight_decay = 0.5;
  const std::vector<float> before = values(0);
  Optimizer optimizer(weights_, config);
  optimizer.step(0, 0.5);
  const std::vector<float> after = values(0);
  for (size_t k = 0; k < before.size(); ++k) {
    EXPECT_NEAR(after[k], before[k] * (1 - 0.1 * 0.5 * 0.5), 1e-6);
  }
}

TEST_F(OptimizerTest, StateRoundTripContinuesExactly) {
  OptimizerConfig config;
  Optimizer one(weights_, config);
  one.step(0, 1.0);
  const auto weights_after_one = weights_.download();
  const int64_t flat = weights_.flat_elements();
  const std::vector<float> first(one.first_moments(), one.first_moments() + flat);
  const int64_t adamw = flat - weights_.layout().matrix_elements();
  const std::vector<float> second(one.second_moments(), one.second_moments() + adamw);
  one.step(1, 1.0);
  const auto want = weights_.download();
  weights_.upload(weights_after_one);
  Optimizer two(weights_, config);
  std::copy(first.begin(), first.end(), two.first_moments());
  std::copy(second.begin(), second.end(), two.second_moments());
  two.step(1, 1.0);
  const auto got = weights_.download();
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(want[i].values, got[i].values);
}

// What led to a gradient that is not finite must still be there to be looked at.
TEST_F(OptimizerTest, AGradientThatIsNotFiniteChangesNothing) {
  const auto before = weights_.download();
  for (const float bad : {INFINITY, NAN}) {
    weights_.gradient(1)[3] = bad;
    Optimizer optimizer(weights_, OptimizerConfig{});
    optimizer.step(0, 1.0);
    const auto after = weights_.download();
    for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].values, after[i].values);
    EXPECT_FALSE(std::isfinite(optimizer.grad_norm()));
  }
}

TEST_F(OptimizerTest, PolarExpressAndRowNormChangeTheUpdate) {
  const auto start = weights_.download();
  const auto updated = [&](const OptimizerConfig& config) {
    weights_.upload(start);
    Optimizer optimizer(weights_, config);
    optimizer.step(0, 1.0);
    return values(0);
  };
  OptimizerConfig stock, polar, rows;
  polar.newton_schulz = NewtonSchulz::kPolarExpress;
  rows.muon_row_norm = true;
  EXPECT_NE(updated(stock), updated(polar));
  EXPECT_NE(updated(stock), updated(rows));
}

TEST_F(OptimizerTest, EmaFollowsItsRecurrence) {
  TrainConfig config;
  config.average = Average::kEma;
  config.ema_decay = 0.75;
  Averager averager(weights_, config);
  double want = 1.0;  // gain starts at 1
  for (const double x : {2.0, -1.0, 5.0}) {
    auto tensors = weights_.download();
    tensors[2].values[0] = static_cast<float>(x);
    weights_.upload(tensors);
    averager.update(1, {});
    want = 0.75 * want + 0.25 * x;
  }
  EXPECT_NEAR(averager.download()[2].values[0], want, 1e-6);
  EXPECT_NE(averager.download()[2].values[0], values(2)[0]);
}

TEST_F(OptimizerTest, SwaIsTheMeanOfItsSnapshots) {
  TrainConfig config;
  config.average = Average::kSwa;
  config.swa_every = 2;
  config.swa_start_lr = 0.5;
  Averager averager(weights_, config);
  double sum = 0;
  int snapshots = 0;
  for (int step = 1; step <= 10; ++step) {
    auto tensors = weights_.download();
    tensors[2].values[0] = static_cast<float>(step * step);
    weights_.upload(tensors);
    const double lr = step <= 4 ? 1.0 : 0.4;  // snapshots are due at 6, 8 and 10
    averager.update(step, {.warmdown = lr});
    if (step < 6) {
      EXPECT_EQ(averager.download()[2].values[0], static_cast<float>(step * step));
    }
    if (step == 6 || step == 8 || step == 10) sum += step * step, ++snapshots;
  }
  EXPECT_EQ(averager.snapshots(), 3);
  EXPECT_EQ(averager.describe(), "swa of 3");
  EXPECT_NEAR(averager.download()[2].values[0], sum / snapshots, 1e-4);
}

}  // namespace
}  // namespace pg
