#include "src/device/cuda/gpu_device.h"

#include <chrono>

namespace pg {
namespace {

// Seconds that one call takes, from as many as fill `budget_s`, at least two after a first.
template <class Call>
double time_calls(GpuRuntime& runtime, double budget_s, const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  call();
  runtime.synchronize();
  const Clock::time_point start = Clock::now();
  for (int calls = 1;; calls *= 2) {
    for (int i = 0; i < calls; ++i) call();
    runtime.synchronize();
    const double total_s = since(start);
    if (total_s >= budget_s) return total_s / (2.0 * calls - 1.0);
  }
}

// Work is done once, which gives it its working memory and its products their plans, then recorded,
// then repeated; from the beginning where working memory has grown since.
struct GpuWork final : KeptWork {
  static constexpr uint64_t kNever = ~uint64_t{0};
  std::unique_ptr<GpuGraph> graph;
  uint64_t growths = kNever;  // of working memory, when it was done last
  bool is_recorded = false;
  bool is_refused = false;
};

}  // namespace

bool GpuDevice::begin_repetition(std::unique_ptr<KeptWork>& kept) {
  if (repetitions_ == 0 && repeat_or_record(kept)) return true;
  ++repetitions_;
  return false;
}

bool GpuDevice::repeat_or_record(std::unique_ptr<KeptWork>& kept) {
  const uint64_t growths = ops_.scratch_growths();
  if (kept == nullptr) {
    kept = std::make_unique<GpuWork>();
    return false;
  }
  auto& work = static_cast<GpuWork&>(*kept);
  if (work.growths != growths) work.graph.reset();
  if (work.graph != nullptr) {
    work.graph->launch();
    return true;
  }
  work.is_recorded = !work.is_refused && work.growths == growths;
  if (work.is_recorded) runtime_->begin_graph();
  return false;
}

bool GpuDevice::end_repetition(KeptWork* kept, bool failed) {
  if (--repetitions_ > 0) return true;
  auto& work = static_cast<GpuWork&>(*kept);
  if (work.is_recorded) {
    work.is_recorded = false;
    std::unique_ptr<GpuGraph> graph = runtime_->end_graph();
    work.is_refused = !failed && graph == nullptr;
    if (work.is_refused) return false;
    if (!failed) {
      work.graph = std::move(graph);
      work.graph->launch();
    }
  }
  work.growths = failed ? GpuWork::kNever : ops_.scratch_growths();
  return true;
}

double GpuDevice::measure_matmul() {
  const int64_t n = runtime_->filling_product();
  const size_t bytes = static_cast<size_t>(n * n) * dtype_bytes(compute_);
  const DeviceBuffer a(*this, bytes), b(*this, bytes), d(*this, bytes);
  GpuProduct product;
  product.rows = product.cols = product.inner = n;
  product.a = {a.data(), compute_, n};
  product.b = {b.data(), compute_, n, true};
  product.d = d.data();
  product.d_type = compute_;
  product.d_stride = n;
  const double seconds = time_calls(*runtime_, 0.02, [&] { runtime_->multiply(product); });
  return 2.0 * static_cast<double>(n * n * n) / seconds;
}

DevicePeak GpuDevice::measure_peak() {
  DevicePeak peak;
  peak.description = runtime_->description();
  peak.matmul_flops_per_s = measure_matmul();
  const size_t bytes = runtime_->filling_copy();
  const DeviceBuffer from(*this, bytes), to(*this, bytes);
  const double seconds =
      time_calls(*runtime_, 0.02, [&] { runtime_->copy(to.data(), from.data(), bytes); });
  peak.copy_bytes_per_s = 2.0 * static_cast<double>(bytes) / seconds;
  return peak;
}

}  // namespace pg
