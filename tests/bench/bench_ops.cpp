// `train_gpt bench ops`, a program of its own: every op of the op list over the op test's own cases, beside the best product and the
// copy speed that the device showed in the same run. The cases are small - edges of tiles, odd sizes -
// so most say what a call costs, and their operands lie in caches: a share of the copy speed may
// exceed 100 %. OMP_NUM_THREADS sets the threads.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/base/check.h"
#include "src/base/clock.h"
#include "src/base/error.h"
#include "src/device/reference/reference_ops.h"
#include "src/device/registry/make_device.h"
#include "src/plan/op_flops.h"
#include "src/text/json_object.h"
#include "src/train/rank_work.h"
#include "tests/ops/op_case.h"
#include "tests/ops/op_tensors.h"

namespace pg::optest {
namespace {

// Counts the flops of a call instead of computing it, for the ops that has_flops() names.
class FlopCounter final : public ReferenceOps {
 public:
  void linear(Out, In, In, In, int64_t rows, int64_t in, int64_t out) override {
    flops += product_flops(rows, in, out);
  }
  void linear_dx(Out, In, In, int64_t rows, int64_t in, int64_t out) override {
    flops += product_flops(rows, in, out);
  }
  void linear_dw(Out, In, In, int64_t rows, int64_t in, int64_t out) override {
    flops += product_flops(rows, in, out);
  }
  void attention(Out, Out, In, In, In, const AttentionShape& shape) override {
    flops += attention_flops(shape);
  }
  void attention_backward(Out, Out, Out, In, In, In, In, In, In,
                          const AttentionShape& shape) override {
    flops += attention_backward_flops(shape);
  }
  void newton_schulz(Out, std::span<const NewtonSchulzCoefficients> steps, NewtonSchulzStart,
                     const MatrixBatch& shape) override {
    const auto iterations = static_cast<int64_t>(steps.size()) * shape.count;
    flops += static_cast<double>(iterations * newton_schulz_flops(shape.rows, shape.cols));
  }
  double flops = 0;
};

bool has_flops(OpId op) { return is_bound_by_arithmetic(op) || op == OpId::kNewtonSchulz; }

// A case's operands on the device, which its call can be repeated on.
class BoundCase {
 public:
  BoundCase(Device& device, const OpCase& op_case) : device_(device), op_case_(op_case) {
    const DType compute = device.compute_dtype();
    const Problem problem = make_problem(op_case, compute);
    for (const Operand& o : op_case.operands) {
      const DType dtype = dtype_of(o.kind, compute);
      const size_t bytes = static_cast<size_t>(o.count) * dtype_bytes(dtype);
      const RawBytes content =
          o.role == Role::kOut ? RawBytes(bytes) : encode(problem.in(o.name), dtype);
      const GuardedTensor& tensor =
          tensors_.try_emplace(o.name, device, content, o, dtype).first->second;
      // Each operand once, as a plan counts; what is changed in place is read and written.
      bytes_ += static_cast<double>(bytes) * (o.role == Role::kInOut ? 2 : 1);
      if (o.role == Role::kIn) {
        args_.ins[o.name] = In{tensor.data(), dtype, o.layout.stride};
      } else {
        args_.outs[o.name] = Out{tensor.data(), dtype, false, o.layout.stride};
      }
      if (o.role == Role::kInOut) changed_.push_back(&tensor);
    }
  }

  double flops() const {
    if (!has_flops(op_case_.op)) return 0;
    FlopCounter counter;
    op_case_.call(counter, args_);
    PG_CHECK(counter.flops > 0 || op_case_.op == OpId::kNewtonSchulz, "FlopCounter lacks an op");
    return counter.flops;
  }
  double bytes() const { return bytes_; }
  bool is_in_place() const { return !changed_.empty(); }

  // Seconds of so many calls, from the same operands each time.
  double time(int64_t calls) {
    for (const GuardedTensor* tensor : changed_) tensor->restore();
    device_.synchronize();
    const double start_s = clock_.now_s();
    for (int64_t i = 0; i < calls; ++i) op_case_.call(device_.ops(), args_);
    device_.synchronize();
    return clock_.now_s() - start_s;
  }

 private:
  Device& device_;
  const OpCase& op_case_;
  SteadyClock clock_;
  std::map<std::string, GuardedTensor> tensors_;
  std::vector<const GuardedTensor*> changed_;
  Args args_;
  double bytes_ = 0;
};

// How long a case is timed: runs of several calls each, so that the clock is not what is measured.
struct Effort {
  size_t runs;
  double run_s, case_s;  // at least
};
constexpr Effort kFull = {11, 0.5e-3, 5e-3};
constexpr Effort kOnce = {1, 1e-6, 0};
// Calls of a run that changes its operands in place: more would leave the range of normal numbers.
constexpr int64_t kMostCallsInPlace = 8;

struct Line {
  const OpCase* op_case;
  double call_s, flops, bytes;  // the median over runs; of a call
  int64_t runs, calls;          // calls a run
};

Line time_case(Device& device, const OpCase& op_case, const Effort& effort) {
  BoundCase bound(device, op_case);
  bound.time(1);
  int64_t calls = 1;
  while (bound.time(calls) < effort.run_s && !(bound.is_in_place() && calls >= kMostCallsInPlace)) {
    calls *= 2;
  }
  std::vector<double> runs_s;
  double total_s = 0;
  while (runs_s.size() < effort.runs || total_s < effort.case_s) {
    runs_s.push_back(bound.time(calls));
    total_s += runs_s.back();
  }
  const auto middle = runs_s.begin() + static_cast<int64_t>(runs_s.size() / 2);
  std::nth_element(runs_s.begin(), middle, runs_s.end());
  return {&op_case,      *middle / static_cast<double>(calls), bound.flops(),
          bound.bytes(), static_cast<int64_t>(runs_s.size()),  calls};
}

// The best of many tries that are spread over a run: neighbours on the machine slow some.
class PeakWatch {
 public:
  explicit PeakWatch(Device& device) : device_(device), best_(device.measure_peak()) {
    last_s_ = clock_.now_s();
  }
  void look() {
    constexpr double kEvery_s = 0.5;
    if (clock_.now_s() - last_s_ >= kEvery_s) measure();
  }
  void finish() {
    constexpr int64_t kTries = 10;
    while (tries_ < kTries) measure();
  }
  const DevicePeak& best() const { return best_; }
  int64_t tries() const { return tries_; }

 private:
  void measure() {
    const DevicePeak peak = device_.measure_peak();
    best_.matmul_flops_per_s = std::max(best_.matmul_flops_per_s, peak.matmul_flops_per_s);
    best_.copy_bytes_per_s = std::max(best_.copy_bytes_per_s, peak.copy_bytes_per_s);
    ++tries_;
    last_s_ = clock_.now_s();
  }

  Device& device_;
  SteadyClock clock_;
  DevicePeak best_;
  int64_t tries_ = 1;
  double last_s_ = 0;
};

// What a line is worth beside the machine: the larger share says what bounds the op.
struct Shares {
  double product, copy;
  double roofline() const { return std::max(product, copy); }
  const char* bound() const { return product > copy ? "products" : "memory"; }
};

Shares shares_of(const Line& line, const DevicePeak& peak) {
  return {line.flops / line.call_s / peak.matmul_flops_per_s,
          line.bytes / line.call_s / peak.copy_bytes_per_s};
}

void print_table(const std::vector<Line>& lines, const Device& device, const PeakWatch& watch) {
  const DevicePeak& peak = watch.best();
  fmt::print("{}, {}: products {:.0f} GFLOP/s, copy {:.1f} GB/s, the best of {}\n", device.name(),
             peak.description, peak.matmul_flops_per_s / 1e9, peak.copy_bytes_per_s / 1e9,
             watch.tries());
  fmt::print("{:>12} {:>9} {:>7} {:>8} {:>7} {:>7} {:<8}  {}\n", "us a call", "GFLOP/s", "% peak",
             "GB/s", "% copy", "% roof", "bound by", "op [shape]");
  for (const Line& line : lines) {
    const Shares shares = shares_of(line, peak);
    fmt::print("{:>12.3f} {:>9} {:>7} {:>8.2f} {:>7.1f} {:>7.1f} {:<8}  {}\n", 1e6 * line.call_s,
               line.flops > 0 ? fmt::format("{:.2f}", line.flops / line.call_s / 1e9) : "-",
               line.flops > 0 ? fmt::format("{:.1f}", 100 * shares.product) : "-",
               line.bytes / line.call_s / 1e9, 100 * shares.copy, 100 * shares.roofline(),
               shares.bound(), title(*line.op_case));
  }
}

void print_json(const std::vector<Line>& lines, const Device& device, const PeakWatch& watch) {
  const DevicePeak& peak = watch.best();
  JsonObject machine;
  machine.add("device", device.name()).add("machine", peak.description);
  machine.add("peak_gflops", peak.matmul_flops_per_s / 1e9);
  machine.add("copy_gb_per_s", peak.copy_bytes_per_s / 1e9);
  fmt::print("{}\n", machine.line());
  for (const Line& line : lines) {
    const Shares shares = shares_of(line, peak);
    JsonObject json;
    json.add("op", op_info(line.op_case->op).name).add("shape", line.op_case->shape);
    json.add("us", 1e6 * line.call_s).add("runs", line.runs).add("calls", line.calls);
    json.add("flops", line.flops).add("bytes", line.bytes);
    json.add("gflops", line.flops / line.call_s / 1e9).add("peak_share", shares.product);
    json.add("gb_per_s", line.bytes / line.call_s / 1e9).add("copy_share", shares.copy);
    json.add("roofline_share", shares.roofline()).add("bound", shares.bound());
    fmt::print("{}\n", json.line());
  }
}

struct Options {
  std::string device = "cpu", filter;
  bool json = false, once = false;
};

void bench_ops(const Options& options) {
  const std::unique_ptr<Device> device = make_device(options.device);
  std::vector<const OpCase*> cases;
  for (const OpCase& op_case : all_cases()) {
    if (title(op_case).find(options.filter) != std::string::npos) cases.push_back(&op_case);
  }
  if (cases.empty()) {
    throw Error(fmt::format("no case has \"{}\" in its name; see the names without --filter",
                            options.filter));
  }
  std::stable_sort(cases.begin(), cases.end(),
                   [](const OpCase* a, const OpCase* b) { return a->op < b->op; });
  PeakWatch watch(*device);
  std::vector<Line> lines;
  for (const OpCase* op_case : cases) {
    lines.push_back(time_case(*device, *op_case, options.once ? kOnce : kFull));
    if (!options.once) watch.look();
  }
  if (!options.once) watch.finish();
  (options.json ? print_json : print_table)(lines, *device, watch);
}

}  // namespace
}  // namespace pg::optest

int main(int argc, char** argv) {
  pg::optest::Options options;
  CLI::App app("times every op over the cases of the op test", "bench_ops");
  app.add_option("--device", options.device, "device to run on")->capture_default_str();
  app.add_option("--filter", options.filter, "only cases with this text in \"op [shape]\"");
  app.add_flag("--json", options.json, "one JSON object a line instead of the table");
  app.add_flag("--once", options.once,
               "one run a case: that each can be timed, not how fast it is");
  CLI11_PARSE(app, argc, argv);
  try {
    pg::optest::bench_ops(options);
    if (std::fflush(stdout) != 0) throw pg::Error("what was printed is lost");
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_ops: {}\n", error.what());
    return 1;
  }
  return 0;
}
