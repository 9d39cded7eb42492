#include <cmath>

#include "src/base/rng.h"
#include "src/device/cpu/cpu_device.h"
#include "src/model/model.h"
#include "src/train/average.h"
#include "src/train/optimizer.h"
#include "src/train/schedule.h"
#include "tests/exact/exact_digests.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 24, kSteps = 50;

TrainConfig make_train_config(Average average) {
  TrainConfig config;
  config.max_steps = kSteps;
  config.warmdown_steps = 20;
  config.average = average;
  config.ema_decay = 0.9;
  config.swa_every = 3;
  config.swa_start_lr = 0.5;
  return config;
}

struct Trained {
  std::vector<HostTensor> weights, average;
  std::vector<double> losses, norms;
};

Trained train(const OptimizerConfig& optimizer_config, Average average, int64_t steps) {
  const ModelConfig config = exact_model_config();
  const auto device = make_cpu_device(DType::kF32);
  Weights weights(*device, list_params(config), /*with_gradients=*/true);
  weights.initialise(1);
  ModelPlan plan(config, weights, kBatch, kTokens, PlanMode::kTrain);
  Optimizer optimizer(weights, optimizer_config);
  const TrainConfig train_config = make_train_config(average);
  Averager averager(weights, train_config);
  Trained trained;
  const std::vector<int32_t> text = exact_text(kSteps * kBatch * kTokens + 1, 3);
  for (int64_t step = 0; step < steps; ++step) {
    const auto from = text.begin() + step * kBatch * kTokens;
    plan.load(std::vector(from, from + kBatch * kTokens),
              std::vector(from + 1, from + 1 + kBatch * kTokens));
    plan.run();
    weights.finish_gradients();
    const StepSchedule schedule = schedule_step(train_config, optimizer_config, step, 0, 0);
    optimizer.step(step, schedule.lr_multiplier, schedule.decay_multiplier);
    averager.update(step + 1, schedule);
    trained.losses.push_back(plan.mean_loss());
    trained.norms.push_back(optimizer.grad_norm());
  }
  trained.weights = weights.download();
  trained.average = averager.download();
  return trained;
}

}  // namespace

uint64_t digest_of(const std::vector<HostTensor>& tensors) {
  uint64_t hash = kFnvOffset;
  for (const HostTensor& tensor : tensors) hash = digest_of(tensor.values, hash);
  return hash;
}

ModelConfig exact_model_config() {
  ModelConfig config;
  config.vocab_size = 61;
  config.layers = 2;
  config.dim = 32;
  config.heads = 4;
  config.kv_heads = 2;
  config.mlp_hidden = 64;
  config.rope_dims = 4;
  config.rope_ntk_length = 16;
  config.xsa_last_n = 1;
  config.bigram_buckets = 37;
  config.bigram_dim = 8;
  config.value_embed_dim = 8;
  config.value_embed_layers = 1;
  return config;
}

std::vector<int32_t> exact_text(int64_t tokens, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  const auto vocab = static_cast<uint64_t>(exact_model_config().vocab_size);
  std::vector<int32_t> text;
  for (uint64_t draw = 0; std::ssize(text) < tokens; draw += 3) {
    if (text.empty() || rng.below(draw, 3) != 0) {
      text.push_back(static_cast<int32_t>(rng.below(draw + 1, vocab)));
      continue;
    }
    const size_t from = rng.below(draw + 1, text.size()), length = rng.below(draw + 2, 20);
    for (size_t i = 0; i < length; ++i) text.push_back(text[from + i]);
  }
  text.resize(static_cast<size_t>(tokens));
  return text;
}

std::vector<HostTensor> train_exact_model() {
  return train(OptimizerConfig{}, Average::kEma, kSteps).average;
}

void digest_tables(Digests& digests) {
  const auto device = make_cpu_device(DType::kF32);
  Weights weights(*device, list_params(exact_model_config()), /*with_gradients=*/false);
  weights.initialise(1337);
  digests.push_back({"initial weights", digest_of(weights.download())});
  std::vector<double> values;
  for (const WarmdownForm form : {WarmdownForm::kSteps, WarmdownForm::kFraction}) {
    TrainConfig config;
    config.warmdown_form = form;
    for (int64_t step = 0; step <= 4000; step += 7) {
      const double elapsed_s = 0.125 * static_cast<double>(step);
      values.push_back(lr_multiplier(config, step, elapsed_s, 600));
      values.push_back(lr_multiplier(config, step, elapsed_s, 0));
      values.push_back(muon_momentum({}, step));
    }
  }
  digests.push_back({"schedules", digest_of(values)});
}

void digest_training(Digests& digests) {
  OptimizerConfig other;
  other.newton_schulz = NewtonSchulz::kPolarExpress;
  other.muon_row_norm = true;
  const Trained one = train(OptimizerConfig{}, Average::kNone, 1);
  digests.push_back({"a step: loss", digest_of(one.losses)});
  digests.push_back({"a step: weights", digest_of(one.weights)});
  const Trained swa = train(other, Average::kSwa, kSteps);
  digests.push_back({"50 steps, polar express: losses", digest_of(swa.losses)});
  digests.push_back({"50 steps, polar express: gradient norms", digest_of(swa.norms)});
  digests.push_back({"50 steps, polar express: weights", digest_of(swa.weights)});
  digests.push_back({"50 steps, polar express: swa", digest_of(swa.average)});
  digests.push_back({"50 steps: ema", digest_of(train_exact_model())});
  OptimizerConfig forms;
  forms.newton_schulz_scaling = NewtonSchulzScaling::kAol;
  forms.aurora_iterations = 2;
  forms.normuon = NorMuon::kModded;
  forms.cautious_weight_decay = true;
  forms.weight_decay_taper_start = 0.5;
  const Trained several = train(forms, Average::kEmaSwa, kSteps);
  digests.push_back({"50 steps, aurora, normuon, cautious: weights", digest_of(several.weights)});
  digests.push_back({"50 steps, aurora, normuon, cautious: ema_swa", digest_of(several.average)});
}

}  // namespace pg
