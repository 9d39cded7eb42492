// Both kinds run in turn, so that a busy machine slows both.
#include "harness/bench/bench_eval.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "harness/bench/bench_profile.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr int64_t kContext = 256, kStride = 64, kRows = 32;

// The CPU track's baseline.
ModelConfig make_shape() {
  ModelConfig model;
  model.vocab_size = 1024;
  model.layers = 5;
  model.dim = 192;
  model.heads = 3;
  model.kv_heads = 1;
  model.mlp_hidden = 576;
  model.xsa_last_n = 2;
  model.bigram_buckets = 1024;
  model.bigram_dim = 48;
  model.value_embed_dim = 0;
  model.value_embed_layers = 0;
  return model;
}

// One forward pass over a batch of windows, and the reading of the distributions.
class Pass {
 public:
  Pass(const char* name, const ModelConfig& model, Weights& weights, int64_t positions)
      : name_(name),
        vocab_(model.vocab_size),
        plan_(model, weights, kRows, kContext, PlanMode::kLogProbs, positions),
        positions_(positions),
        log_probs_(static_cast<size_t>(kRows * kStride * vocab_)),
        entropies_(static_cast<size_t>(kRows * kStride)) {
    const CounterRng rng(1, kStreamTest);
    std::vector<int32_t> ids(static_cast<size_t>(kRows * kContext));
    for (size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<int32_t>(rng.below(i, static_cast<uint64_t>(vocab_)));
    }
    plan_.load(ids, {});
  }

  void run() {
    const double start_s = now_s();
    plan_.run();
    const double ran_s = now_s();
    constexpr auto kWindow = static_cast<size_t>(kStride);
    const size_t window = kWindow * static_cast<size_t>(vocab_);
    for (int64_t row = 0; row < kRows; ++row) {
      const auto at = static_cast<size_t>(row);
      plan_.read_log_probs((row + 1) * positions_ - kStride,
                           std::span(log_probs_).subspan(at * window, window),
                           std::span(entropies_).subspan(at * kWindow, kWindow));
    }
    plan_s_.push_back(ran_s - start_s);
    read_s_.push_back(now_s() - ran_s);
  }

  void warm_up() {
    run();
    plan_s_.clear();
    read_s_.clear();
  }

  void print(const DevicePeak& peak) {
    const double plan_s = least(plan_s_), total_s = plan_s + least(read_s_);
    const double flops_per_s = plan_.flops() / plan_s;
    fmt::print(
        "{:<18} {:>7.2f} ms forward (median {:.2f})  {:>6.2f} ms read  {:>8.0f} targets/s  "
        "{:>8.0f} positions/s  "
        "{:>5.2f} GFLOP a pass  {:>5.0f} GFLOP/s = {:.1f} % of peak\n",
        name_, 1e3 * plan_s, 1e3 * median(plan_s_), 1e3 * least(read_s_), kRows * kStride / total_s,
        kRows * kContext / total_s, plan_.flops() / 1e9, flops_per_s / 1e9,
        100 * flops_per_s / peak.matmul_flops_per_s);
  }
  double total_s() { return least(plan_s_) + least(read_s_); }
  ModelPlan& plan() { return plan_; }

 private:
  static double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  static double least(const std::vector<double>& values) {
    return *std::min_element(values.begin(), values.end());
  }
  static double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }

  const char* name_;
  int64_t vocab_;
  ModelPlan plan_;
  int64_t positions_;
  std::vector<float> log_probs_, entropies_;
  std::vector<double> plan_s_, read_s_;
};

}  // namespace

int run_bench_eval(const BenchEvalOptions& options) {
  const auto device = make_device(options.device);
  const ModelConfig model = make_shape();
  Weights weights(*device, list_params(model), /*with_gradients=*/false);
  weights.initialise(1);
  Pass all("all rows", model, weights, kContext), scored("scored rows", model, weights, kStride);
  all.warm_up();
  scored.warm_up();
  DevicePeak peak = device->measure_peak();
  for (int64_t i = 0; i < options.passes; ++i) {
    all.run();
    scored.run();
    peak.matmul_flops_per_s = std::max(peak.matmul_flops_per_s, device->measure_matmul());
  }
  fmt::print("{} x {}, context {}, stride {}, {} windows a pass, {} threads, {:.0f} GFLOP/s peak\n",
             model.layers, model.dim, kContext, kStride, kRows, thread_count(),
             peak.matmul_flops_per_s / 1e9);
  all.print(peak);
  scored.print(peak);
  fmt::print("scored rows alone: {:.2f} times as fast\n", all.total_s() / scored.total_s());
  if (options.profile) {
    std::vector<OpProfile> profile;
    for (int64_t i = 0; i < options.passes; ++i) scored.plan().plan().run_profiled(profile);
    print_profile(profile, peak);
  }
  return 0;
}

}  // namespace pg
