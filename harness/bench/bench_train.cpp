#include "harness/bench/bench_train.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <utility>
#include <vector>

#include "harness/bench/bench_profile.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"
#include "src/plan/plan.h"
#include "src/text/json_object.h"
#include "src/train/optimizer.h"

namespace pg {
namespace {

struct Shape {
  const char* name;
  ModelConfig model;
  int64_t seq_len, batch_tokens, micro_batch_tokens;
};

// The first two are those that the peers are timed on too (scripts/torch_peer.py).
std::vector<Shape> make_shapes() {
  ModelConfig small;
  small.layers = 4;
  small.dim = 256;
  small.heads = 4;
  small.kv_heads = 2;
  small.mlp_hidden = 768;
  small.bigram_buckets = 0;
  small.value_embed_layers = 0;
  const ModelConfig record;  // the defaults: 11 x 512
  ModelConfig track;         // the records of cpu_10min_1mb
  track.layers = 5;
  track.dim = 192;
  track.heads = 3;
  track.kv_heads = 1;
  track.mlp_hidden = 576;
  track.xsa_last_n = 2;
  track.bigram_buckets = 1024;
  track.bigram_dim = 48;
  track.value_embed_layers = 0;
  return {{"small", small, 256, 16384, 4096},
          {"record", record, 2048, 8192, 4096},
          {"cpu_10min_1mb", track, 256, 8192, 4096}};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One shape's weights, plan and optimizer on random tokens.
class TrainLoop {
 public:
  TrainLoop(const Shape& shape, Device& device)
      : shape_(shape),
        weights_(device, list_params(shape.model), true),
        plan_(shape.model, weights_, shape.micro_batch_tokens / shape.seq_len, shape.seq_len,
              PlanMode::kTrain),
        optimizer_(weights_, OptimizerConfig{}) {
    weights_.initialise(1);
    const CounterRng rng(1, kStreamTest);
    std::vector<int32_t> ids(static_cast<size_t>(shape.micro_batch_tokens));
    for (size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<int32_t>(rng.below(i, static_cast<uint64_t>(shape.model.vocab_size)));
    }
    plan_.load(ids, ids);
  }

  void step() {
    const int64_t micro_batches = shape_.batch_tokens / shape_.micro_batch_tokens;
    for (int64_t m = 0; m < micro_batches; ++m) {
      plan_.run(m > 0);
    }
    weights_.finish_gradients();
    plan_.mean_loss();
    const auto start = std::chrono::steady_clock::now();
    optimizer_.step(steps_++, 1.0);
    optimizer_.grad_norm();  // waits for the device
    optimizer_s_ += seconds_since(start);
  }
  // Seconds in the optimizer since the last call.
  double take_optimizer_s() { return std::exchange(optimizer_s_, 0.0); }
  double step_flops() const {
    const int64_t micro_batches = shape_.batch_tokens / shape_.micro_batch_tokens;
    return plan_.flops() * static_cast<double>(micro_batches);
  }
  void profile(std::vector<OpProfile>& profile) { plan_.plan().run_profiled(profile); }
  // What a step gives the device, whatever the machine: calls, and how often the activations of a
  // layer pass through memory beside products and attention.
  void print_plan() const {
    fmt::print(
        "  plan: {} calls a micro-batch, {:.1f} passes over [B*T, D] a block beside products and "
        "attention; optimizer: {} calls a step\n",
        plan_.plan().call_count(), plan_.passes_of_a_block(), optimizer_.ops_per_step());
  }

 private:
  Shape shape_;
  Weights weights_;
  ModelPlan plan_;
  Optimizer optimizer_;
  int64_t steps_ = 0;
  double optimizer_s_ = 0;
};

}  // namespace

int run_bench_train(const BenchTrainOptions& options) {
  const auto device = make_device(options.device);
  bool found = false;
  for (const Shape& shape : make_shapes()) {
    if (options.shape != "all" && options.shape != shape.name) continue;
    found = true;
    DevicePeak peak = device->measure_peak();
    TrainLoop loop(shape, *device);
    loop.step();
    loop.take_optimizer_s();
    std::vector<double> step_s;
    for (int64_t i = 0; i < options.steps; ++i) {
      const auto start = std::chrono::steady_clock::now();
      loop.step();
      step_s.push_back(seconds_since(start));
      peak.matmul_flops_per_s = std::max(peak.matmul_flops_per_s, device->measure_matmul());
    }
    const double optimizer_share =
        loop.take_optimizer_s() / std::accumulate(step_s.begin(), step_s.end(), 0.0);
    std::sort(step_s.begin(), step_s.end());
    const double best_s = step_s.front(), median_s = step_s[step_s.size() / 2];
    const double tokens = static_cast<double>(shape.batch_tokens);
    const double flops_per_s = loop.step_flops() / median_s;
    if (options.json) {
      JsonObject line;
      line.add("shape", shape.name).add("params", count_params(shape.model));
      line.add("seq_len", shape.seq_len).add("batch_tokens", shape.batch_tokens);
      line.add("tokens_per_s", tokens / median_s).add("best_tokens_per_s", tokens / best_s);
      line.add("gflops", flops_per_s / 1e9);
      line.add("peak_gflops", peak.matmul_flops_per_s / 1e9);
      line.add("optimizer_share", optimizer_share);
      fmt::print("{}\n", line.line());
      continue;
    }
    fmt::print("{}: {:.2f}M parameters, {} x {}, T = {}, {} tokens a step, {}\n", shape.name,
               static_cast<double>(count_params(shape.model)) / 1e6, shape.model.layers,
               shape.model.dim, shape.seq_len, shape.batch_tokens, peak.description);
    fmt::print("  median {:.1f} ms/step  {:.0f} tok/s   best {:.1f} ms  {:.0f} tok/s\n",
               1e3 * median_s, tokens / median_s, 1e3 * best_s, tokens / best_s);
    fmt::print(
        "  {:.0f} GFLOP/s of {:.0f}, the best peak between the steps = {:.1f} %   copy {:.1f} "
        "GB/s\n",
        flops_per_s / 1e9, peak.matmul_flops_per_s / 1e9,
        100 * flops_per_s / peak.matmul_flops_per_s, peak.copy_bytes_per_s / 1e9);
    fmt::print("  optimizer: {:.1f} % of the step\n", 100 * optimizer_share);
    if (options.profile) {
      std::vector<OpProfile> profile;
      for (int64_t i = 0; i < options.steps; ++i) loop.profile(profile);
      print_profile(profile, peak);
      loop.print_plan();
    }
    std::fflush(stdout);
  }
  if (!found) {
    throw Error(fmt::format("unknown shape \"{}\"; use small, record, cpu_10min_1mb or all",
                            options.shape));
  }
  return 0;
}

}  // namespace pg
