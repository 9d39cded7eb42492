// What parity_torch.py compares with PyTorch: weights, ids, loss, gradients and the weights after some
// optimizer steps of a small model, as safetensors. With ttt.kind = "lora" these are the
// gradients of adapters, and no step is made, since an optimizer trains all that there is.
//
//   parity_dump DEVICE STEPS OUT.safetensors [SECTION.KEY=VALUE...]
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/exchange/safetensors.h"
#include "harness/recipe/recipe.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "src/files/write_file.h"
#include "src/model/forward.h"
#include "src/model/learning/adapters.h"
#include "src/train/optimizer.h"
#include "src/train/training_params.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

constexpr int64_t kBatch = 2, kTokens = 16;

std::vector<HostTensor> named(std::vector<HostTensor> tensors, const std::string& prefix) {
  for (HostTensor& tensor : tensors) tensor.spec.name = prefix + tensor.spec.name;
  return tensors;
}

std::vector<HostTensor> gradients(Weights& weights) {
  std::vector<HostTensor> tensors;
  for (int i = 0; i < weights.count(); ++i) {
    if (!weights.spec(i).trainable) continue;
    const float* gradient = weights.gradient(i);
    tensors.push_back({weights.spec(i), {gradient, gradient + weights.spec(i).elements()}});
  }
  return tensors;
}

HostTensor column(const std::string& name, const std::vector<int32_t>& ids) {
  HostTensor tensor;
  tensor.spec.name = name;
  tensor.spec.rows = std::ssize(ids);
  tensor.values.assign(ids.begin(), ids.end());
  return tensor;
}

void append(std::vector<HostTensor>& all, std::vector<HostTensor> more) {
  for (HostTensor& tensor : more) all.push_back(std::move(tensor));
}

void dump(const char* device_name, int64_t steps, const char* file,
          const std::vector<std::string>& assignments) {
  Recipe recipe;
  for (const std::string& assignment : assignments) apply_override(recipe, assignment);
  const TrainConfig& train = recipe.train;
  const auto device = make_device(device_name);
  std::vector<ParamSpec> params = list_training_params(recipe.model, train);
  const bool has_adapters = recipe.ttt.kind == TttKind::kLora;
  if (has_adapters) {
    freeze_all(params);
    const std::vector<ParamSpec> adapters = list_adapter_params(
        recipe.model, {.rank = recipe.ttt.lora_rank,
                       .targets = parse_adapter_targets(recipe.ttt.lora_targets),
                       .per_run = recipe.ttt.lora_per_run});
    params.insert(params.end(), adapters.begin(), adapters.end());
  }
  Weights weights(*device, params, /*with_gradients=*/true);
  weights.initialise(1);
  perturb(weights, 0.1, 11);
  std::optional<Optimizer> optimizer;
  if (!has_adapters) optimizer.emplace(weights, recipe.optimizer);
  const ForwardOptions options = {.terms = {.future_heads = train.mtp_heads,
                                            .future_modules = train.mtp_modules,
                                            .future_weight = train.mtp_weight,
                                            .z_loss = static_cast<float>(train.z_loss)}};
  ModelPlan plan(recipe.model, weights, kBatch, kTokens, PlanMode::kTrain, options);
  const auto ids = make_ids(kBatch * kTokens, recipe.model.vocab_size, 3);
  const auto targets = make_ids(kBatch * kTokens, recipe.model.vocab_size, 4);
  plan.load(ids, targets);
  std::vector<HostTensor> all = {column("ids", ids), column("targets", targets)};
  append(all, named(weights.download(), "start."));
  for (int64_t step = 0; step < steps; ++step) {
    plan.run();
    weights.finish_gradients();
    if (step == 0) {
      HostTensor loss;
      loss.spec.name = "loss";
      loss.values = {static_cast<float>(plan.mean_loss())};
      all.push_back(std::move(loss));
      append(all, named(gradients(weights), "gradient."));
    }
    if (optimizer) optimizer->step(step, /*lr_multiplier=*/1.0);
  }
  append(all, named(weights.download(), "end."));
  write_file_atomic(file, write_safetensors(all, {}));
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: parity_dump DEVICE STEPS OUT.safetensors [SECTION.KEY=VALUE...]\n", stderr);
    return 2;
  }
  try {
    pg::dump(argv[1], std::strtoll(argv[2], nullptr, 10), argv[3], {argv + 4, argv + argc});
  } catch (const pg::Error& error) {
    fmt::print(stderr, "parity_dump: {}\n", error.what());
    return 1;
  }
  return 0;
}
