// Memory, copies and the speed of light of a processor.
#include "src/device/cpu/cpu_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "src/base/check.h"
#include "src/base/clock.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_matmul_onednn.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

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

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(DType compute) : compute_(compute), ops_(compute) {}

  std::string_view name() const override {
    return compute_ == DType::kBF16 ? "cpu:bf16" : "cpu:f32";
  }
  Ops& ops() override { return ops_; }
  DType compute_dtype() const override { return compute_; }

  void* allocate(size_t bytes) override {
    // Arenas of many MB would miss the TLB in every op on 4 KiB pages.
    const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
    const size_t rounded = std::max(bytes + alignment - 1, alignment) / alignment * alignment;
    void* const memory = rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded);
    if (memory == nullptr) {
      throw Error("out of memory: \"" + std::to_string(bytes) +
                  "\" bytes wanted; use a smaller batch or model");
    }
    // Advice only: a kernel without huge pages refuses it and nothing else changes.
    if (alignment == kHugePage) (void)madvise(memory, rounded, MADV_HUGEPAGE);
    std::memset(memory, 0, rounded);
    return memory;
  }
  void release(void* memory) override { std::free(memory); }
  void upload(void* device_to, const void* host_from, size_t bytes) override {
    std::memcpy(device_to, host_from, bytes);
  }
  void download(void* host_to, const void* device_from, size_t bytes) override {
    std::memcpy(host_to, device_from, bytes);
  }
  void synchronize() override {}

  DevicePeak measure_peak() override {
    DevicePeak peak;
    peak.matmul_flops_per_s = measure_matmul();
    peak.copy_bytes_per_s = measure_copy();
    const int threads = thread_count();
    peak.description = std::to_string(threads) + (threads == 1 ? " thread, " : " threads, ") +
                       ops_.isa_name();
    return peak;
  }

 private:
  double measure_matmul() {
    // Square enough to be bound by arithmetic, small enough that 0.05 s hold some twenty rounds on
    // every machine.
    constexpr int64_t kWidth = 512, kRowsPerThread = 1024;
    const int64_t rows = kRowsPerThread * thread_count();
    const size_t element = dtype_bytes(compute_);
    const DeviceBuffer x(*this, static_cast<size_t>(rows * kWidth) * element);
    const DeviceBuffer w(*this, static_cast<size_t>(kWidth * kWidth) * element);
    const DeviceBuffer y(*this, static_cast<size_t>(rows * kWidth) * element);
    const double round_s = best_round_s(0.05, [&] {
      ops_.linear({y.data(), compute_}, {x.data(), compute_}, {w.data(), compute_}, rows, kWidth,
                  kWidth);
    });
    return 2.0 * static_cast<double>(rows * kWidth * kWidth) / round_s;
  }

  double measure_copy() {
    constexpr size_t kBytes = size_t{64} << 20;  // beyond most L3 caches
    constexpr int64_t kPieces = 64;
    const DeviceBuffer from(*this, kBytes), to(*this, kBytes);
    const double round_s = best_round_s(0.03, [&] {
      parallel_chunks(kPieces, [&](int64_t piece) {
        const size_t bytes = kBytes / kPieces, begin = static_cast<size_t>(piece) * bytes;
        std::memcpy(to.as<char>() + begin, from.as<char>() + begin, bytes);
      });
    });
    return 2.0 * static_cast<double>(kBytes) / round_s;
  }

  DType compute_;
  CpuOps ops_;
};

}  // namespace

bool cpu_has_fast_bf16() { return onednn_has(OnednnIsa::kAvx512Bf16); }

std::unique_ptr<Device> make_cpu_device(DType compute) {
  return std::make_unique<CpuDevice>(compute);
}

}  // namespace pg
