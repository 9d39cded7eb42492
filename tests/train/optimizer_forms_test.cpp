// Every form of Muon, and AdamW's own keys for embeddings, against their formulas in double.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <ostream>

#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/device/registry/make_device.h"
#include "src/train/check_training.h"
#include "src/train/optimizer.h"
#include "tests/train/optimizer_reference.h"

namespace pg {
namespace {

struct Form {
  const char* name;
  std::function<void(OptimizerConfig&)> set;
};
void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

void set_turbo(OptimizerConfig& c) {
  c.newton_schulz = NewtonSchulz::kTurbo;
  c.newton_schulz_steps = 4;
  c.newton_schulz_scaling = NewtonSchulzScaling::kAol;
}
void set_aurora(OptimizerConfig& c) {
  c.newton_schulz = NewtonSchulz::kQuintic;
  c.newton_schulz_steps = 12;
  c.aurora_iterations = 2;
}

const Form kForms[] = {
    {"stock", [](OptimizerConfig&) {}},
    {"polar_express", [](OptimizerConfig& c) { c.newton_schulz = NewtonSchulz::kPolarExpress; }},
    {"row_norm", [](OptimizerConfig& c) { c.muon_row_norm = true; }},
    {"aol", [](OptimizerConfig& c) { c.newton_schulz_scaling = NewtonSchulzScaling::kAol; }},
    {"turbo", set_turbo},
    {"aurora", set_aurora},
    {"aurora_three",
     [](OptimizerConfig& c) {
       c.newton_schulz = NewtonSchulz::kPolarExpress;
       c.aurora_iterations = 3;
       c.aurora_beta = 0.25;
     }},
    {"normuon_paper", [](OptimizerConfig& c) { c.normuon = NorMuon::kPaper; }},
    {"normuon_modded",
     [](OptimizerConfig& c) {
       c.normuon = NorMuon::kModded;
       c.normuon_beta2 = 0.9;
     }},
    {"cautious",
     [](OptimizerConfig& c) {
       c.cautious_weight_decay = true;
       c.muon_weight_decay = 4;
     }},
    {"all",
     [](OptimizerConfig& c) {
       set_aurora(c);
       c.newton_schulz_scaling = NewtonSchulzScaling::kAol;
       c.normuon = NorMuon::kModded;
       c.cautious_weight_decay = true;
     }},
};

constexpr int64_t kShapes[][2] = {{24, 16}, {12, 20}, {16, 16}};

// A matrix, and what the others of its step are.
struct Trial {
  Trial(const char* device_name, int64_t rows, int64_t cols)
      : device(make_device(device_name)),
        weights(*device,
                {{"matrix", rows, cols, ParamGroup::kMatrix, ParamInit::kOrthogonal, 1.0f, true},
                 {"table", 7, 16, ParamGroup::kEmbedding, ParamInit::kNormal, 0.1f, true},
                 {"gain", 1, 16, ParamGroup::kScalar, ParamInit::kConstant, 1.0f, false},
                 {"memory", 3, 16, ParamGroup::kMemory, ParamInit::kNormal, 0.02f, true}},
                true) {
    weights.initialise(3);
  }
  // Rows of very different sizes, as Aurora is made for.
  void draw_gradients(int64_t step) {
    const CounterRng rng(static_cast<uint64_t>(step), kStreamTest);
    for (int i = 0; i < weights.count(); ++i) {
      for (int64_t k = 0; k < weights.spec(i).elements(); ++k) {
        const int64_t row = k / weights.spec(i).cols;
        weights.gradient(i)[k] =
            static_cast<float>(std::exp(-0.1 * static_cast<double>(row)) *
                               rng.normal(static_cast<uint64_t>(1000 * i + k)));
      }
    }
  }
  ReferenceMatrix matrix(const float* from) const {
    ReferenceMatrix m(weights.spec(0).rows, weights.spec(0).cols);
    for (size_t k = 0; k < m.values.size(); ++k) m.values[k] = static_cast<double>(from[k]);
    return m;
  }

  std::unique_ptr<Device> device;
  Weights weights;
};

double distance(const ReferenceMatrix& a, const ReferenceMatrix& b) {
  ReferenceMatrix difference = a;
  for (size_t k = 0; k < a.values.size(); ++k) difference.values[k] -= b.values[k];
  return difference.norm();
}

class OptimizerForms : public testing::TestWithParam<Form> {
 protected:
  static constexpr int64_t kSteps = 4;
  // Newton-Schulz lets an error grow by the product of its slopes at 0, of the quintic's twelve
  // steps the most: 2^12; a few single roundings go in.
  static constexpr double kBound = 4 * 0x1p12 * 0x1p-24;

  static OptimizerConfig config_of(const Form& form) {
    OptimizerConfig config;
    config.grad_clip_norm = 0;
    config.muon_momentum_warmup_steps = 0;
    config.muon_momentum = 0.9;
    form.set(config);
    return config;
  }
  static void take_steps(Trial& trial, Optimizer& optimizer, int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      trial.draw_gradients(step);
      optimizer.step(step, 0.5, 0.75);
    }
  }
};

TEST_P(OptimizerForms, FollowTheirFormulas) {
  const OptimizerConfig config = config_of(GetParam());
  for (const char* device : {"reference", "cpu:exact"}) {
    for (const auto& [rows, cols] : kShapes) {
      Trial trial(device, rows, cols), plain(device, rows, cols);
      const ReferenceMatrix start = trial.matrix(trial.weights.master(0));
      MuonReference reference(config, start);
      for (int64_t step = 0; step < kSteps; ++step) {
        trial.draw_gradients(step);
        reference.step(trial.matrix(trial.weights.gradient(0)), 0.9, config.matrix_lr * 0.5,
                       config.muon_weight_decay * 0.75);
      }
      Optimizer optimizer(trial.weights, config), stock(plain.weights, config_of(kForms[0]));
      take_steps(trial, optimizer, 0, kSteps);
      take_steps(plain, stock, 0, kSteps);
      const ReferenceMatrix got = trial.matrix(trial.weights.master(0));
      const double moved = distance(got, start);
      EXPECT_LE(distance(got, reference.weights()), kBound * moved)
          << device << " " << rows << "x" << cols;
      // Aurora leaves a square matrix alone, but for its polar factor.
      const bool is_stock = std::string(GetParam().name) == "stock";
      const bool is_same_here = std::string(GetParam().name).starts_with("aurora") && rows == cols;
      if (!is_stock && !is_same_here) {
        EXPECT_GT(distance(got, plain.matrix(plain.weights.master(0))), 10 * kBound * moved);
      }
    }
  }
}

TEST_P(OptimizerForms, GoOnFromTheirState) {
  const OptimizerConfig config = config_of(GetParam());
  for (const auto& [rows, cols] : kShapes) {
    Trial whole("cpu", rows, cols), parts("cpu", rows, cols);
    Optimizer one(whole.weights, config);
    take_steps(whole, one, 0, kSteps);
    std::vector<float> first, second, neurons;
    {
      Optimizer before(parts.weights, config);
      take_steps(parts, before, 0, 2);
      const int64_t flat = parts.weights.flat_elements();
      const int64_t matrices = parts.weights.layout().matrix_elements();
      first.assign(before.first_moments(), before.first_moments() + flat);
      second.assign(before.second_moments(), before.second_moments() + (flat - matrices));
      EXPECT_EQ(before.neuron_moments() != nullptr, config.normuon != NorMuon::kOff);
      if (before.neuron_moments() != nullptr) {
        neurons.assign(before.neuron_moments(), before.neuron_moments() + before.work().neurons);
      }
    }
    Optimizer after(parts.weights, config);
    std::copy(first.begin(), first.end(), after.first_moments());
    std::copy(second.begin(), second.end(), after.second_moments());
    std::copy(neurons.begin(), neurons.end(), after.neuron_moments());
    take_steps(parts, after, 2, kSteps);
    const auto want = whole.weights.download(), got = parts.weights.download();
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(want[i].values, got[i].values);
  }
}

TEST_P(OptimizerForms, LeaveEverythingAloneWhereTheGradientIsNotFinite) {
  Trial trial("cpu", 24, 16);
  Optimizer optimizer(trial.weights, config_of(GetParam()));
  take_steps(trial, optimizer, 0, 2);
  const auto before = trial.weights.download();
  std::vector<float> neurons;
  const auto neurons_now = [&] {
    const float* const from = optimizer.neuron_moments();
    return from == nullptr ? std::vector<float>()
                           : std::vector<float>(from, from + optimizer.work().neurons);
  };
  neurons = neurons_now();
  trial.draw_gradients(2);
  trial.weights.gradient(0)[5] = NAN;
  optimizer.step(2, 1.0);
  const auto after = trial.weights.download();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].values, after[i].values);
  EXPECT_EQ(neurons, neurons_now());
}

INSTANTIATE_TEST_SUITE_P(Each, OptimizerForms, testing::ValuesIn(kForms),
                         [](const auto& info) { return std::string(info.param.name); });

// Aurora's aim: all rows of a tall update have one norm. The more often it looks, the nearer.
TEST(Aurora, MakesTheRowsOfATallUpdateAlike) {
  OptimizerConfig config;
  set_aurora(config);
  config.muon_weight_decay = 0;
  config.matrix_lr = 1.0;
  const auto spread_of = [](const OptimizerConfig& c) {
    Trial trial("cpu:exact", 24, 16);
    ReferenceMatrix moved = trial.matrix(trial.weights.master(0));
    trial.draw_gradients(0);
    Optimizer optimizer(trial.weights, c);
    optimizer.step(0, 1.0);
    const ReferenceMatrix after = trial.matrix(trial.weights.master(0));
    for (size_t k = 0; k < moved.values.size(); ++k) moved.values[k] -= after.values[k];
    double least = moved.row_norm(0), most = least;
    for (int64_t r = 1; r < moved.rows; ++r) {
      least = std::min(least, moved.row_norm(r));
      most = std::max(most, moved.row_norm(r));
    }
    return most / least;
  };
  const double with_two = spread_of(config);
  config.aurora_iterations = 8;
  const double with_eight = spread_of(config);
  config.aurora_iterations = 0;
  const double without = spread_of(config);
  EXPECT_LT(with_two - 1, 0.5 * (without - 1));
  EXPECT_LT(with_eight - 1, 0.1 * (without - 1));
  EXPECT_LT(with_eight, with_two);
}

// Keys of their own for embeddings; those of the others stay adam_*, but that memories do not decay.
TEST(OptimizerGroups, EmbeddingsMayHaveTheirOwnDecayAndBetasAndMemoriesDoNotDecay) {
  OptimizerConfig config;
  config.grad_clip_norm = 0;
  config.adam_weight_decay = 0.02;
  config.embed_weight_decay = 0.5;
  config.embed_beta1 = 0.8;
  config.embed_beta2 = 0.99;
  struct Group {
    int param;
    double lr, beta1, beta2, weight_decay;
  };
  for (const Group& g : {Group{1, config.embed_lr, 0.8, 0.99, 0.5},
                         Group{2, config.scalar_lr, config.adam_beta1, config.adam_beta2, 0.02},
                         Group{3, config.scalar_lr, config.adam_beta1, config.adam_beta2, 0}}) {
    for (const bool cautious : {false, true}) {
      config.cautious_weight_decay = cautious;
      Trial trial("cpu:exact", 24, 16);
      Optimizer optimizer(trial.weights, config);
      const auto count = static_cast<size_t>(trial.weights.spec(g.param).elements());
      std::vector<double> p, m(count, 0), v(count, 0);
      for (size_t k = 0; k < count; ++k) {
        p.push_back(static_cast<double>(trial.weights.master(g.param)[k]));
      }
      for (int step = 1; step <= 3; ++step) {
        trial.draw_gradients(step);
        optimizer.step(step - 1, 1.0);
        for (size_t k = 0; k < count; ++k) {
          const auto gradient = static_cast<double>(trial.weights.gradient(g.param)[k]);
          m[k] = g.beta1 * m[k] + (1 - g.beta1) * gradient;
          v[k] = g.beta2 * v[k] + (1 - g.beta2) * gradient * gradient;
          const double m_hat = m[k] / (1 - std::pow(g.beta1, step));
          const double v_hat = v[k] / (1 - std::pow(g.beta2, step));
          const bool decays = !cautious || m[k] * p[k] > 0;
          p[k] = p[k] * (decays ? 1 - g.lr * g.weight_decay : 1) -
                 g.lr * m_hat / (std::sqrt(v_hat) + config.adam_epsilon);
        }
      }
      for (size_t k = 0; k < count; ++k) {
        EXPECT_NEAR(trial.weights.master(g.param)[k], p[k], 1e-6) << g.param << " " << k;
      }
    }
  }
}

std::string problem_of(const std::function<void(TrainConfig&, OptimizerConfig&)>& set) {
  TrainConfig train;
  OptimizerConfig optimizer;
  set(train, optimizer);
  try {
    check_training({}, train, optimizer);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CheckTraining, RefusesWhatContradictsItselfAndNamesTheKeys) {
  EXPECT_EQ(problem_of([](TrainConfig&, OptimizerConfig&) {}), "");
  struct Case {
    std::function<void(TrainConfig&, OptimizerConfig&)> set;
    const char *names, *remedy;
  };
  const Case cases[] = {
      {[](TrainConfig& t, OptimizerConfig&) { t.lr_warmup_steps = t.max_steps; },
       "train.lr_warmup_steps", "give less than"},
      {[](TrainConfig& t, OptimizerConfig&) {
         t.average = Average::kSwa;
         t.ema_start_lr = 0.5;
       },
       "train.ema_start_lr", "set train.average"},
      {[](TrainConfig& t, OptimizerConfig&) {
         t.average = Average::kNone;
         t.ema_restart_fraction = 0.5;
       },
       "train.ema_restart_fraction", "give 0"},
      {[](TrainConfig& t, OptimizerConfig&) {
         t.ema_start_fraction = 0.5;
         t.ema_restart_fraction = 0.5;
       },
       "train.ema_restart_fraction", "give more"},
      {[](TrainConfig&, OptimizerConfig& o) {
         o.newton_schulz = NewtonSchulz::kPolarExpress;
         o.newton_schulz_steps = 6;
       },
       "optimizer.newton_schulz_steps", "give at most 5"},
      {[](TrainConfig&, OptimizerConfig& o) {
         o.newton_schulz = NewtonSchulz::kTurbo;
         o.newton_schulz_steps = 6;
       },
       "optimizer.newton_schulz_steps", "give at most 5"},
      {[](TrainConfig&, OptimizerConfig& o) {
         o.aurora_iterations = 2;
         o.muon_row_norm = true;
       },
       "optimizer.muon_row_norm", "set one to 0"},
      {[](TrainConfig&, OptimizerConfig& o) { o.embed_weight_decay = -0.5; },
       "optimizer.embed_weight_decay", "-1"},
      {[](TrainConfig&, OptimizerConfig& o) { o.embed_beta2 = -0.5; }, "optimizer.embed_beta2",
       "-1"},
      {[](TrainConfig&, OptimizerConfig& o) {
         o.ema_nesterov_beta = 0.6;
         o.ema_nesterov_start = o.ema_nesterov_end = 0.5;
       },
       "optimizer.ema_nesterov_start", "give less"},
  };
  for (const Case& c : cases) {
    const std::string problem = problem_of(c.set);
    EXPECT_NE(problem.find(c.names), std::string::npos) << problem;
    EXPECT_NE(problem.find(c.remedy), std::string::npos) << problem;
  }
}

}  // namespace
}  // namespace pg
