// The reference as a device: host memory and ReferenceOps.
#include "src/device/reference/reference_device.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/device/reference/reference_ops.h"

namespace pg {
namespace {

constexpr size_t kAlignment = 64;
constexpr double kPeakProbe_s = 0.05;  // each of two loops, so that the whole takes about 0.1 s

// Work per second of body(), which does `work` units, repeated for kPeakProbe_s.
template <class Body>
double rate_per_s(double work, const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  double done = 0.0, elapsed_s = 0.0;
  while (elapsed_s < kPeakProbe_s) {
    body();
    done += work;
    elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return done / elapsed_s;
}

class ReferenceDevice final : public Device {
 public:
  explicit ReferenceDevice(DType storage)
      : storage_(storage),
        name_(storage == DType::kF32 ? "reference"
                                     : std::string("reference:") + dtype_name(storage)) {}

  std::string_view name() const override { return name_; }
  Ops& ops() override { return ops_; }
  DType compute_dtype() const override { return storage_; }

  void* allocate(size_t bytes) override {
    const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    const size_t allocated = rounded > 0 ? rounded : kAlignment;
    void* memory = rounded < bytes ? nullptr : std::aligned_alloc(kAlignment, allocated);
    if (memory == nullptr) {
      throw Error("out of memory: \"" + std::to_string(bytes) +
                  "\" bytes; use a smaller batch or model");
    }
    return std::memset(memory, 0, allocated);
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
    constexpr int64_t kSide = 64;
    constexpr size_t kCopyBytes = size_t{1} << 24;
    const std::vector<float> a(kSide * kSide, 1.0f);
    std::vector<float> c(kSide * kSide);
    std::vector<char> from(kCopyBytes, 1), to(kCopyBytes);
    DevicePeak peak;
    peak.matmul_flops_per_s = rate_per_s(2.0 * kSide * kSide * kSide, [&] {
      ops_.linear(Out{c.data(), DType::kF32, false}, In{a.data(), DType::kF32},
                  In{a.data(), DType::kF32}, kSide, kSide, kSide);
    });
    peak.copy_bytes_per_s =
        rate_per_s(2.0 * kCopyBytes, [&] { std::memcpy(to.data(), from.data(), kCopyBytes); });
    peak.description = "1 thread, double loops";
    return peak;
  }

 private:
  DType storage_;
  std::string name_;
  ReferenceOps ops_;
};

}  // namespace

std::unique_ptr<Device> make_reference_device(DType storage) {
  PG_CHECK(storage != DType::kI32, "activations are real numbers");
  return std::make_unique<ReferenceDevice>(storage);
}

}  // namespace pg
