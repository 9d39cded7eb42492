// An op that does the work of two gives the bits of the two.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <ostream>
#include <vector>

#include "src/base/rng.h"
#include "src/device/reference/reference_device.h"
#include "src/device/reference/reference_values.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes normal_bytes(uint64_t seed, int64_t count, DType dtype) {
  const CounterRng rng(seed, kStreamTest);
  reference::Values values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = rng.normal(i);
  Bytes bytes(values.size() * dtype_bytes(dtype));
  reference::write(Out{bytes.data(), dtype}, values);
  return bytes;
}

// What both ways leave: y, n, rstd.
struct Result {
  Result(int64_t rows, int64_t dim, DType dtype)
      : type(dtype),
        y(normal_bytes(1, rows * dim, dtype)),
        n(y),
        rstd(static_cast<size_t>(rows) * sizeof(float)) {}
  Out out_y(bool accumulate = false) { return {y.data(), type, accumulate}; }
  Out out_n() { return {n.data(), type}; }
  Out out_rstd() { return {rstd.data(), DType::kF32}; }

  DType type;
  Bytes y, n, rstd;
};

struct DeviceUnderTest {
  const char* name;
  std::unique_ptr<Device> (*make)();
};
void PrintTo(const DeviceUnderTest& device, std::ostream* out) { *out << device.name; }

class FusedOps : public testing::TestWithParam<DeviceUnderTest> {};

TEST_P(FusedOps, MixRmsnormIsMixThenRmsnorm) {
  constexpr float kScale = 0.7f, kEps = 1e-6f;
  const std::unique_ptr<Device> device = GetParam().make();
  const DType type = device->compute_dtype();
  Ops& ops = device->ops();
  const int64_t shapes[][2] = {{1, 1}, {3, 31}, {70, 48}, {33, 513}, {40, 1024}};
  for (const auto& [rows, dim] : shapes) {
    const Bytes x = normal_bytes(2, rows * dim, type), z = normal_bytes(3, rows * dim, type);
    const Bytes a = normal_bytes(4, dim, DType::kF32), b = normal_bytes(5, dim, DType::kF32);
    const In xs{x.data(), type}, zs{z.data(), type}, bs{b.data(), DType::kF32};
    for (const In as : {In{a.data(), DType::kF32}, In{}}) {
      Result fused(rows, dim, type), apart(rows, dim, type), unkept(rows, dim, type);
      ops.mix(apart.out_y(), xs, as, zs, bs, rows, dim);
      ops.rmsnorm(apart.out_n(), apart.out_rstd(), {apart.y.data(), type}, kScale, kEps, rows, dim);
      ops.mix_rmsnorm(fused.out_y(), fused.out_n(), fused.out_rstd(), xs, as, zs, bs, kScale, kEps,
                      rows, dim);
      EXPECT_EQ(fused.y, apart.y) << rows << "x" << dim;
      EXPECT_EQ(fused.n, apart.n) << rows << "x" << dim;
      EXPECT_EQ(fused.rstd, apart.rstd) << rows << "x" << dim;
      // The norm is that of the rounded mix also where nothing stores it.
      ops.mix_rmsnorm({}, unkept.out_n(), unkept.out_rstd(), xs, as, zs, bs, kScale, kEps, rows,
                      dim);
      EXPECT_EQ(unkept.n, apart.n) << rows << "x" << dim;
      EXPECT_EQ(unkept.rstd, apart.rstd) << rows << "x" << dim;
      // And where y adds it to what it holds.
      Result added(rows, dim, type), added_apart(rows, dim, type);
      ops.mix_rmsnorm(added.out_y(true), added.out_n(), {}, xs, as, zs, bs, kScale, kEps, rows,
                      dim);
      ops.mix(added_apart.out_y(true), xs, as, zs, bs, rows, dim);
      EXPECT_EQ(added.y, added_apart.y) << rows << "x" << dim;
      EXPECT_EQ(added.n, apart.n) << rows << "x" << dim;
    }
  }
}

// The simt device has a kernel for one of the two.
constexpr auto kDevices = std::to_array<DeviceUnderTest>({
    {"reference_f32", [] { return make_reference_device(DType::kF32); }},
    {"reference_bf16", [] { return make_reference_device(DType::kBF16); }},
    {"cpu_exact", [] { return make_device("cpu:exact"); }},
    {"cpu_bf16", [] { return make_device("cpu:bf16"); }},
});

INSTANTIATE_TEST_SUITE_P(Each, FusedOps, testing::ValuesIn(kDevices),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pg
