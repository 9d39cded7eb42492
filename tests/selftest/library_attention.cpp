#include "tests/selftest/library_attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/bf16.h"
#include "src/base/clock.h"
#include "src/base/rng.h"
#include "src/plan/op_flops.h"
#include "tests/ops/op_runner.h"

namespace pg {
namespace {

constexpr int kWarmUps = 3, kRuns = 10;
constexpr size_t kShownFaults = 3;

bool is_attention(OpId op) { return op == OpId::kAttention || op == OpId::kAttentionBackward; }

// Memory of one device for both passes over a shape, filled with normal numbers.
class TimedAttention {
 public:
  TimedAttention(Device& device, const AttentionShape& shape)
      : device_(device),
        shape_(shape),
        q_(make(shape.heads)),
        k_(make(shape.kv_heads)),
        v_(make(shape.kv_heads)),
        dy_(make(shape.heads)),
        y_(make(shape.heads)),
        dq_(make(shape.heads)),
        dk_(make(shape.kv_heads)),
        dv_(make(shape.kv_heads)),
        lse_(device, static_cast<size_t>(shape.rows() * shape.heads) * sizeof(float)) {}

  PassTimes time_forward() {
    return time([&] {
      device_.ops().attention(out(y_), {lse_.data(), DType::kF32}, in(q_), in(k_), in(v_), shape_);
    });
  }
  PassTimes time_backward() {
    return time([&] {
      device_.ops().attention_backward(out(dq_), out(dk_), out(dv_), in(dy_), in(y_),
                                       {lse_.data(), DType::kF32}, in(q_), in(k_), in(v_), shape_);
    });
  }

 private:
  static In in(const DeviceBuffer& buffer) { return {buffer.data(), DType::kBF16}; }
  static Out out(const DeviceBuffer& buffer) { return {buffer.data(), DType::kBF16}; }

  DeviceBuffer make(int64_t heads) {
    const auto count = static_cast<size_t>(shape_.rows() * heads * shape_.head_dim);
    std::vector<bf16> values(count);
    const CounterRng rng(1, kStreamTest);
    for (bf16& value : values) value = bf16(static_cast<float>(rng.normal(drawn_++ % kDrawn)));
    DeviceBuffer buffer(device_, count * sizeof(bf16));
    device_.upload(buffer.data(), values.data(), count * sizeof(bf16));
    return buffer;
  }

  template <class Call>
  PassTimes time(const Call& call) {
    for (int i = 0; i < kWarmUps; ++i) call();
    device_.synchronize();
    SteadyClock clock;
    std::vector<double> seconds;
    for (int i = 0; i < kRuns; ++i) {
      const double start_s = clock.now_s();
      call();
      device_.synchronize();
      seconds.push_back(clock.now_s() - start_s);
    }
    std::sort(seconds.begin(), seconds.end());
    return {seconds.front(), seconds[seconds.size() / 2]};
  }

  static constexpr uint64_t kDrawn = 1 << 20;  // numbers until they come again

  Device& device_;
  AttentionShape shape_;
  uint64_t drawn_ = 0;
  DeviceBuffer q_, k_, v_, dy_, y_, dq_, dk_, dv_, lse_;
};

std::string describe_pass(const char* name, const PassTimes& own, const PassTimes& library,
                          double flops) {
  const auto way = [&](const PassTimes& times) {
    return fmt::format("{:>9.3f} {:>9.3f} {:>8.1f}", times.best_s * 1e3, times.median_s * 1e3,
                       flops / times.best_s / 1e12);
  };
  return fmt::format("  {:<9}{} {}   {:.2f}", name, way(own), way(library),
                     own.best_s / library.best_s);
}

}  // namespace

LibraryVerdict compare_attention(Device& own, Device& library,
                                 std::span<const optest::OpCase> cases,
                                 const AttentionShape& timed) {
  LibraryVerdict verdict;
  for (const optest::OpCase& op_case : cases) {
    ++verdict.cases;
    constexpr int kOneThread[] = {1};
    for (const optest::Faults& faults :
         {check_values(library, op_case), check_repeats(library, op_case, kOneThread)}) {
      verdict.faults.insert(verdict.faults.end(), faults.begin(), faults.end());
    }
  }
  {
    TimedAttention attention(own, timed);
    verdict.own = attention.time_forward();
    verdict.own_backward = attention.time_backward();
  }
  TimedAttention attention(library, timed);
  verdict.library = attention.time_forward();
  verdict.library_backward = attention.time_backward();
  return verdict;
}

std::vector<std::string> describe_comparison(const LibraryVerdict& verdict,
                                             const AttentionShape& timed) {
  std::vector<std::string> lines = {
      "", fmt::format("attention of --device cuda:cudnn, {} cases: {}", verdict.cases,
                      verdict.faults.empty()
                          ? "each value within its bound, the same bits when run again"
                          : fmt::format("WRONG: {} faults", verdict.faults.size()))};
  for (size_t i = 0; i < std::min(verdict.faults.size(), kShownFaults); ++i) {
    lines.push_back("    " + verdict.faults[i]);
  }
  lines.push_back(
      fmt::format("  B={} T={} H={} K={} S={}: own kernels' best and median ms and TFLOP/s, "
                  "cuDNN's, own / cuDNN's",
                  timed.batch, timed.tokens, timed.heads, timed.kv_heads, timed.head_dim));
  lines.push_back(describe_pass("forward", verdict.own, verdict.library, attention_flops(timed)));
  lines.push_back(describe_pass("backward", verdict.own_backward, verdict.library_backward,
                                attention_backward_flops(timed)));
  return lines;
}

AttentionShape attention_of_a_record() { return {48, 2048, 8, 4, 64, 0.125f}; }

std::vector<optest::OpCase> attention_cases_of_all_sizes() {
  std::vector<optest::OpCase> cases;
  for (const std::vector<optest::OpCase>& of_a_size :
       {optest::attention_cases(), optest::attention_record_cases()}) {
    std::copy_if(of_a_size.begin(), of_a_size.end(), std::back_inserter(cases),
                 [](const optest::OpCase& op_case) { return is_attention(op_case.op); });
  }
  return cases;
}

}  // namespace pg
