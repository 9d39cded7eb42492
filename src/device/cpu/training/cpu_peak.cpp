#include "src/device/cpu/cpu_peak.h"

#include <algorithm>
#include <cstring>

#include "src/base/clock.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_matmul_onednn.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

// Runs `round` for about duration_s, at least three times, and returns the shortest time: what the
// machine can do when neighbours leave it alone.
template <class Round>
double best_round_s(double duration_s, const Round& round) {
  SteadyClock clock;
  round();  // builds primitives, touches pages
  double best_s = 1e30;
  const double start_s = clock.now_s();
  for (int rounds = 0; rounds < 3 || clock.now_s() - start_s < duration_s; ++rounds) {
    const double begin_s = clock.now_s();
    round();
    best_s = std::min(best_s, clock.now_s() - begin_s);
  }
  return best_s;
}

}  // namespace

CpuPeak::CpuPeak(Device& device, CpuOps& ops)
    : device_(device), ops_(ops), library_(std::make_unique<OnednnMatmul>(kMaxCpuThreads)) {}
CpuPeak::~CpuPeak() = default;

DevicePeak CpuPeak::measure() {
  DevicePeak peak;
  peak.matmul_flops_per_s = measure_matmul();
  peak.copy_bytes_per_s = measure_copy();
  const int threads = thread_count();
  peak.description =
      std::to_string(threads) + (threads == 1 ? " thread, " : " threads, ") + ops_.isa_name();
  return peak;
}

double CpuPeak::measure_matmul() {
  // Square enough to be bound by arithmetic, small enough that 0.01 s hold some rounds on every
  // machine.
  constexpr int64_t kWidth = 512, kRowsPerThread = 1024, kChunkRows = 256;
  const int64_t rows = kRowsPerThread * thread_count();
  const DeviceBuffer x(device_, static_cast<size_t>(rows * kWidth) * sizeof(float));
  const DeviceBuffer w(device_, static_cast<size_t>(kWidth * kWidth) * sizeof(float));
  const DeviceBuffer y(device_, static_cast<size_t>(rows * kWidth) * sizeof(float));
  const DType type = device_.compute_dtype();
  const double ours_s = best_round_s(0.01, [&] {
    ops_.linear({y.data(), type}, {x.data(), type}, {w.data(), type}, {}, rows, kWidth, kWidth);
  });
  const double library_s = best_round_s(0.01, [&] {
    parallel_ranges(rows, kChunkRows, [&](int64_t begin, int64_t end) {
      library_->run({.m = end - begin, .n = kWidth, .k = kWidth, .transpose_b = true},
                    x.as<float>() + begin * kWidth, w.data(), y.as<float>() + begin * kWidth);
    });
  });
  return 2.0 * static_cast<double>(rows * kWidth * kWidth) / std::min(ours_s, library_s);
}

double CpuPeak::measure_copy() {
  constexpr size_t kBytes = size_t{64} << 20;  // beyond most L3 caches
  constexpr int64_t kPieces = 64;
  const DeviceBuffer from(device_, kBytes), to(device_, kBytes);
  const double round_s = best_round_s(0.03, [&] {
    parallel_chunks(kPieces, [&](int64_t piece) {
      const size_t bytes = kBytes / kPieces, begin = static_cast<size_t>(piece) * bytes;
      std::memcpy(to.as<char>() + begin, from.as<char>() + begin, bytes);
    });
  });
  return 2.0 * static_cast<double>(kBytes) / round_s;
}

}  // namespace pg
