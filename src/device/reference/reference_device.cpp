// The reference as a device: host memory and ReferenceOps.
#include "src/device/reference/reference_device.h"

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "src/device/host_device.h"
#include "src/device/reference/reference_ops.h"

namespace pg {
namespace {

// Work per second of body(), which does `work` units, repeated for duration_s.
template <class Body>
double rate_per_s(double work, double duration_s, const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  double done = 0.0, elapsed_s = 0.0;
  while (elapsed_s < duration_s) {
    body();
    done += work;
    elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return done / elapsed_s;
}

class ReferenceDevice final : public HostDevice {
 public:
  explicit ReferenceDevice(DType storage)
      : HostDevice(
            storage == DType::kF32 ? "reference" : std::string("reference:") + dtype_name(storage),
            storage) {}

  Ops& ops() override { return ops_; }
  bool rows_are_independent() const override { return true; }

  DevicePeak measure_peak() override {
    constexpr size_t kCopyBytes = size_t{1} << 24;
    std::vector<char> from(kCopyBytes, 1), to(kCopyBytes);
    DevicePeak peak;
    peak.matmul_flops_per_s = measure_matmul();
    peak.copy_bytes_per_s = rate_per_s(2.0 * kCopyBytes, 0.05,
                                       [&] { std::memcpy(to.data(), from.data(), kCopyBytes); });
    peak.description = "1 thread, double loops";
    return peak;
  }

  double measure_matmul() override {
    constexpr int64_t kSide = 64;
    const std::vector<float> a(kSide * kSide, 1.0f);
    std::vector<float> c(kSide * kSide);
    return rate_per_s(2.0 * kSide * kSide * kSide, 0.02, [&] {
      ops_.linear(Out{c.data(), DType::kF32, false}, In{a.data(), DType::kF32},
                  In{a.data(), DType::kF32}, {}, kSide, kSide, kSide);
    });
  }

 private:
  ReferenceOps ops_;
};

}  // namespace

std::unique_ptr<Device> make_reference_device(DType storage) {
  PG_CHECK(storage != DType::kI32, "activations are real numbers");
  return std::make_unique<ReferenceDevice>(storage);
}

}  // namespace pg
