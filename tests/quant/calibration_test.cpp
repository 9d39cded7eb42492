// Calibration: the sums are those of the real passes, and they predict what a change of weights
// does to the loss.
#include "quant/method/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

std::vector<HostTensor> make_weights(const ModelConfig& config) {
  const auto device = make_device("reference");
  Weights weights(*device, list_params(config), false);
  weights.initialise(1);
  perturb(weights, 0.1, 5);
  return weights.download();
}

CalibrationBatch make_batch(const ModelConfig& config, int64_t tokens, uint64_t seed) {
  return {make_ids(tokens, config.vocab_size, seed), make_ids(tokens, config.vocab_size, seed + 1)};
}

double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += std::pow(static_cast<double>(got[i]) - static_cast<double>(want[i]), 2);
    norm += std::pow(static_cast<double>(want[i]), 2);
  }
  return got.size() == want.size() ? std::sqrt(error / norm) : INFINITY;
}

void expect_same(const Calibration& a, const Calibration& b, double tolerance) {
  ASSERT_EQ(a.tokens, b.tokens);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    for (size_t k = 0; k < a.tensors[i].terms.size(); ++k) {
      const SensitivityTerm &x = a.tensors[i].terms[k], &y = b.tensors[i].terms[k];
      if (tolerance == 0) {
        EXPECT_EQ(x.hessian, y.hessian) << a.tensors[i].name;
        EXPECT_EQ(x.row_weight, y.row_weight) << a.tensors[i].name;
      } else {
        EXPECT_LT(relative_error(x.hessian, y.hessian), tolerance) << a.tensors[i].name;
        EXPECT_LT(relative_error(x.row_weight, y.row_weight), tolerance) << a.tensors[i].name;
      }
    }
  }
}

TEST(Calibration, EveryMatrixIsCoveredInParameterOrder) {
  const ModelConfig config = make_small_config();
  const auto device = make_device("cpu:exact");
  const std::vector<CalibrationBatch> batches = {make_batch(config, 24, 3)};
  std::vector<std::string> shown;
  const Calibration calibration =
      calibrate(config, make_weights(config), batches, 2, 12, *device,
                [&](const std::string& work) { shown.push_back(work); });
  EXPECT_EQ(shown, std::vector<std::string>{"calibrate: 1 of 1 batches"});
  EXPECT_EQ(calibration.tokens, 24);
  size_t at = 0;
  for (const ParamSpec& spec : list_params(config)) {
    if (spec.rows == 1 || spec.cols == 1) {
      EXPECT_EQ(calibration.find(spec.name), nullptr);
      continue;
    }
    ASSERT_LT(at, calibration.tensors.size());
    const Sensitivity& s = calibration.tensors[at++];
    EXPECT_EQ(s.name, spec.name);
    EXPECT_EQ(calibration.find(spec.name), &s);
    EXPECT_EQ(s.terms.size(), spec.name == "tok_emb" ? 2u : 1u);
    for (const SensitivityTerm& term : s.terms) {
      EXPECT_EQ(static_cast<int64_t>(term.hessian.size()), spec.cols * spec.cols);
      EXPECT_EQ(static_cast<int64_t>(term.row_weight.size()), spec.rows);
    }
  }
  EXPECT_EQ(at, calibration.tensors.size());
}

// The projection of the BigramHash reads rows of a known table, so its Hessian is a plain sum.
TEST(Calibration, HessianIsTheMeanProductOfTheRealInputs) {
  const ModelConfig config = make_small_config();
  const std::vector<HostTensor> weights = make_weights(config);
  const int64_t seq_len = 12, tokens = 24, dim = config.bigram_dim;
  const std::vector<CalibrationBatch> batches = {make_batch(config, tokens, 3),
                                                 make_batch(config, tokens, 7)};
  const auto device = make_device("cpu:exact");
  const Calibration calibration =
      calibrate(config, weights, batches, tokens / seq_len, seq_len, *device);
  const auto table = std::find_if(weights.begin(), weights.end(), [](const HostTensor& t) {
    return t.spec.name == "bigram.table";
  });
  std::vector<double> hessian(static_cast<size_t>(dim * dim));
  std::vector<double> share(static_cast<size_t>(config.bigram_buckets));
  for (const CalibrationBatch& batch : batches) {
    for (size_t t = 0; t < static_cast<size_t>(tokens); ++t) {
      const int64_t bucket =
          t % static_cast<size_t>(seq_len) == 0
              ? config.bigram_buckets - 1
              : (int64_t{36313} * batch.ids[t] ^ int64_t{27191} * batch.ids[t - 1]) %
                    (config.bigram_buckets - 1);
      share[static_cast<size_t>(bucket)] += 1.0 / static_cast<double>(2 * tokens);
      const float* x = table->values.data() + bucket * dim;
      for (int64_t i = 0; i < dim * dim; ++i) {
        hessian[static_cast<size_t>(i)] += static_cast<double>(x[i / dim]) *
                                           static_cast<double>(x[i % dim]) /
                                           static_cast<double>(2 * tokens);
      }
    }
  }
  const SensitivityTerm& projection = calibration.find("bigram.proj")->terms[0];
  EXPECT_LT(relative_error(projection.hessian, {hessian.begin(), hessian.end()}), 1e-6);
  const SensitivityTerm& gather = calibration.find("bigram.table")->terms[0];
  EXPECT_LT(relative_error(gather.row_weight, {share.begin(), share.end()}), 1e-6);
  // The head reads the final norm's output, whose mean square is 1.
  const SensitivityTerm& head = calibration.find("tok_emb")->terms[0];
  double trace = 0;
  for (int64_t i = 0; i < config.dim; ++i) {
    trace += static_cast<double>(head.hessian[static_cast<size_t>(i * (config.dim + 1))]);
  }
  EXPECT_NEAR(trace, static_cast<double>(config.dim), 1e-2 * static_cast<double>(config.dim));
}

// With one token the weight gradient is dyT x, so its products are row_weight * hessian exactly:
// checks every map and table against the gradients that training uses.
TEST(Calibration, OneTokensSumsAreTheSquaresOfItsGradient) {
  const ModelConfig config = make_small_config();
  const std::vector<HostTensor> host = make_weights(config);
  const auto device = make_device("cpu:exact");
  const CalibrationBatch batch = make_batch(config, 1, 3);
  Weights weights(*device, list_params(config), true);
  weights.upload(host);
  ModelPlan plan(config, weights, 1, 1, PlanMode::kTrain);
  plan.load(batch.ids, batch.targets);
  plan.run();
  weights.finish_gradients();
  const Calibration calibration = calibrate(config, host, {&batch, 1}, 1, 1, *device);
  int checked = 0;
  for (const Sensitivity& s : calibration.tensors) {
    const int index = weights.find(s.name);
    const ParamSpec& spec = weights.spec(index);
    // The gradient of the tied embedding is the sum of two uses; one token attends to itself alone,
    // so queries and keys have no gradient.
    if (s.terms.size() > 1 || s.name.ends_with("attn.q") || s.name.ends_with("attn.k")) continue;
    std::vector<float> got, want;
    for (int64_t r = 0; r < spec.rows; ++r) {
      const float* gradient = weights.gradient(index) + r * spec.cols;
      for (int64_t i = 0; i < spec.cols * spec.cols; ++i) {
        got.push_back(s.terms[0].row_weight[static_cast<size_t>(r)] *
                      s.terms[0].hessian[static_cast<size_t>(i)]);
        want.push_back(gradient[i / spec.cols] * gradient[i % spec.cols]);
      }
    }
    EXPECT_LT(relative_error(got, want), 1e-5) << s.name;
    ++checked;
  }
  EXPECT_EQ(checked, 4 + 4 * config.layers);
}

TEST(Calibration, BatchesOfAnotherSizeGiveTheSame) {
  const ModelConfig config = make_small_config();
  const std::vector<HostTensor> weights = make_weights(config);
  const auto device = make_device("cpu:exact");
  const int64_t seq_len = 8, rows = 4;
  const CalibrationBatch all = make_batch(config, rows * seq_len, 3);
  const Calibration once = calibrate(config, weights, {&all, 1}, rows, seq_len, *device);
  std::vector<CalibrationBatch> parts;
  for (int64_t row = 0; row < rows; ++row) {
    const auto cut = [&](const std::vector<int32_t>& from) {
      return std::vector<int32_t>(from.begin() + row * seq_len, from.begin() + (row + 1) * seq_len);
    };
    parts.push_back({cut(all.ids), cut(all.targets)});
  }
  expect_same(calibrate(config, weights, parts, 1, seq_len, *device), once, 1e-5);
}

TEST(Calibration, TwiceAndForAnyThreadCountTheSameBits) {
  const ModelConfig config = make_small_config();
  const std::vector<HostTensor> weights = make_weights(config);
  const std::vector<CalibrationBatch> batches = {make_batch(config, 320, 3),
                                                 make_batch(config, 320, 7)};
  const int threads = thread_count();
  for (const char* name : {"cpu:exact", "cpu:bf16"}) {
    const auto device = make_device(name);
    const Calibration first = calibrate(config, weights, batches, 4, 80, *device);
    for (const int count : {threads, 1, 4}) {
      set_thread_count(count);
      expect_same(calibrate(config, weights, batches, 4, 80, *device), first, 0);
    }
    set_thread_count(threads);
  }
}

// log p of every token at every position, [rows * seq_len, vocab], in f64: normalised anew, so that
// the plan's rounding does not weigh on a divergence.
std::vector<double> log_probabilities(ModelPlan& plan, int64_t vocab) {
  plan.run();
  std::vector<double> result;
  std::vector<float> log_probs(static_cast<size_t>(vocab));
  for (int64_t t = 0; t < plan.batch() * plan.seq_len(); ++t) {
    plan.read_log_probs(t, log_probs);
    double total = 0;
    for (const float p : log_probs) total += std::exp(static_cast<double>(p));
    for (const float p : log_probs) result.push_back(static_cast<double>(p) - std::log(total));
  }
  return result;
}

// Targets drawn from the model's own distribution, [positions].
std::vector<int32_t> sample_targets(const std::vector<double>& log_p, int64_t vocab) {
  const CounterRng rng(17, kStreamTest);
  std::vector<int32_t> targets;
  for (size_t at = 0; at < log_p.size(); at += static_cast<size_t>(vocab)) {
    double left = rng.uniform(at);
    int32_t target = 0;
    while (target + 1 < vocab && (left -= std::exp(log_p[at + static_cast<size_t>(target)])) > 0) {
      ++target;
    }
    targets.push_back(target);
  }
  return targets;
}

// 1/2 sum_r row_weight[r] e_r hessian e_rT over the terms.
double predict_loss_change(const Sensitivity& s, const std::vector<float>& change) {
  double total = 0;
  for (const SensitivityTerm& term : s.terms) {
    const size_t rows = term.row_weight.size(), cols = change.size() / rows;
    for (size_t r = 0; r < rows; ++r) {
      const float* e = change.data() + r * cols;
      double product = 0;
      for (size_t i = 0; i < cols * cols; ++i) {
        product += static_cast<double>(e[i / cols]) * static_cast<double>(term.hessian[i]) *
                   static_cast<double>(e[i % cols]);
      }
      total += 0.5 * static_cast<double>(term.row_weight[r]) * product;
    }
  }
  return total;
}

// Where the labels come from the model, the expected change of the loss is the divergence of the
// changed predictions from the old ones, KL(p || q) in nats per token: it has no first order, and
// its second is the Fisher matrix. A loss of real labels would bury the small tensors' effect in
// the first.
TEST(Calibration, PredictsWhatAChangeOfEachTensorDoesToTheLoss) {
  const ModelConfig config = make_small_config();
  const int64_t rows = 16, seq_len = 32, vocab = config.vocab_size;
  const auto device = make_device("cpu:exact");
  const std::vector<HostTensor> origin = make_weights(config);
  Weights weights(*device, list_params(config), false);
  weights.upload(origin);
  ModelPlan plan(config, weights, rows, seq_len, PlanMode::kLogProbs);
  CalibrationBatch batch = make_batch(config, rows * seq_len, 3);
  plan.load(batch.ids, {});
  const std::vector<double> log_p = log_probabilities(plan, vocab);
  batch.targets = sample_targets(log_p, vocab);
  const Calibration calibration = calibrate(config, origin, {&batch, 1}, rows, seq_len, *device);

  double least = INFINITY, most = 0;
  std::vector<double> ratios;
  for (const Sensitivity& s : calibration.tensors) {
    const auto index = static_cast<size_t>(weights.find(s.name));
    const CounterRng rng(23, kStreamTest + index);
    std::vector<HostTensor> moved = origin;
    std::vector<float> change(origin[index].values.size());
    for (size_t i = 0; i < change.size(); ++i) {
      change[i] = static_cast<float>(0.01 * rng.normal(i));
      moved[index].values[i] += change[i];
    }
    weights.upload(moved);
    const std::vector<double> log_q = log_probabilities(plan, vocab);
    double measured = 0;
    for (size_t i = 0; i < log_p.size(); ++i) {
      measured += std::exp(log_p[i]) * (log_p[i] - log_q[i]) / static_cast<double>(rows * seq_len);
    }
    const double predicted = predict_loss_change(s, change);
    // Positions are taken as independent, which understates a change that acts alike on all that
    // attention averages (values); sampled labels add about 10 %.
    EXPECT_LT(measured, 3 * predicted) << s.name;
    EXPECT_LT(predicted, 1.5 * measured) << s.name;
    ratios.push_back(measured / predicted);
    least = std::min(least, measured);
    most = std::max(most, measured);
  }
  std::sort(ratios.begin(), ratios.end());
  EXPECT_NEAR(ratios[ratios.size() / 2], 1.0, 0.1);
  EXPECT_GT(most, 1e4 * least);  // the tensors differ enough for the prediction to mean something
}

TEST(Calibration, DevicesAgree) {
  const ModelConfig config = make_small_config();
  const std::vector<HostTensor> weights = make_weights(config);
  const CalibrationBatch batch = make_batch(config, 24, 3);
  const auto reference = make_device("reference");
  const Calibration want = calibrate(config, weights, {&batch, 1}, 2, 12, *reference);
  const auto f32 = make_device("cpu:exact"), bf16 = make_device("cpu:bf16");
  expect_same(calibrate(config, weights, {&batch, 1}, 2, 12, *f32), want, 1e-4);
  // bf16 keeps 8 bits; sums of squares of gradients that went through a few layers of it.
  expect_same(calibrate(config, weights, {&batch, 1}, 2, 12, *bf16), want, 0.1);
}

// Each run of a block is a use of its maps: one term of their sum each.
TEST(Calibration, ABlockThatRunsSeveralTimesHasATermOfEachRun) {
  ModelConfig config = make_small_config();
  config.loop_first = config.loop_last = 1;
  config.loop_passes = 3;
  const std::vector<HostTensor> host = make_weights(config);
  const auto device = make_device("cpu:exact");
  const CalibrationBatch batch = make_batch(config, 16, 3);
  const Calibration calibration = calibrate(config, host, {&batch, 1}, 2, 8, *device);
  for (const char* map : {"attn.q", "attn.k", "attn.v", "attn.out", "mlp.up", "mlp.down"}) {
    const Sensitivity* once = calibration.find(std::string("blocks.0.") + map);
    const Sensitivity* looped = calibration.find(std::string("blocks.1.") + map);
    ASSERT_TRUE(once != nullptr && looped != nullptr) << map;
    EXPECT_EQ(once->terms.size(), 1u) << map;
    ASSERT_EQ(looped->terms.size(), 3u) << map;
    EXPECT_NE(looped->terms[0].hessian, looped->terms[1].hessian) << map;
    EXPECT_NE(looped->terms[1].hessian, looped->terms[2].hessian) << map;
  }
}

}  // namespace
}  // namespace pg
