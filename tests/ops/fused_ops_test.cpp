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

// Parts of the rows with a weight each: what the op gives for a part alone, also where it adds to what y
// holds, where y is columns of something wider, and where the weights do not lie equally apart.
TEST_P(FusedOps, ProductsOfPartsAreThoseOfEachAlone) {
  constexpr int64_t kParts = 3;
  const std::unique_ptr<Device> device = GetParam().make();
  const DType type = device->compute_dtype();
  Ops& ops = device->ops();
  const auto bytes_of = [&](int64_t elements, DType t) {
    return static_cast<ptrdiff_t>(elements) * static_cast<ptrdiff_t>(dtype_bytes(t));
  };
  const int64_t shapes[][3] = {{1, 8, 8}, {5, 24, 16}, {64, 32, 8}};  // rows of a part, in, out
  for (const auto& [rows, n_in, n_out] : shapes) {
    const Bytes x = normal_bytes(1, kParts * rows * n_in, type);
    const Bytes dy = normal_bytes(2, kParts * rows * n_out, type);
    const Bytes w = normal_bytes(3, 8 * n_in * n_out, type);
    for (const auto& places : {std::array<int64_t, kParts>{0, 2, 4}, {0, 1, 5}}) {
      for (const bool accumulate : {false, true}) {
        const int64_t wide = accumulate ? 2 * n_out : n_out;
        Bytes y = normal_bytes(4, kParts * rows * wide, type), y_alone = y;
        Bytes dx = normal_bytes(5, kParts * rows * n_in, type), dx_alone = dx;
        Bytes dw = normal_bytes(6, 8 * n_in * n_out, DType::kF32), dw_alone = dw;
        std::vector<In> ws;
        std::vector<Out> dws;
        for (const int64_t place : places) {
          ws.push_back({w.data() + bytes_of(place * n_in * n_out, type), type});
          dws.push_back(
              {dw.data() + bytes_of(place * n_in * n_out, DType::kF32), DType::kF32, accumulate});
        }
        const Out y_out{y.data(), type, accumulate, wide}, dx_out{dx.data(), type, accumulate};
        ops.linear_of_parts(y_out, {x.data(), type}, ws, kParts * rows, n_in, n_out);
        ops.linear_dx_of_parts(dx_out, {dy.data(), type}, ws, kParts * rows, n_in, n_out);
        ops.linear_dw_of_parts(dws, {dy.data(), type}, {x.data(), type}, kParts * rows, n_in,
                               n_out);
        for (int64_t i = 0; i < kParts; ++i) {
          const auto part = static_cast<size_t>(i);
          const In x_part{x.data() + bytes_of(i * rows * n_in, type), type};
          const In dy_part{dy.data() + bytes_of(i * rows * n_out, type), type};
          ops.linear({y_alone.data() + bytes_of(i * rows * wide, type), type, accumulate, wide},
                     x_part, ws[part], {}, rows, n_in, n_out);
          ops.linear_dx({dx_alone.data() + bytes_of(i * rows * n_in, type), type, accumulate},
                        dy_part, ws[part], rows, n_in, n_out);
          ops.linear_dw({dw_alone.data() + bytes_of(places[part] * n_in * n_out, DType::kF32),
                         DType::kF32, accumulate},
                        dy_part, x_part, rows, n_in, n_out);
        }
        EXPECT_EQ(y, y_alone) << rows << "x" << n_in << "x" << n_out << accumulate;
        EXPECT_EQ(dx, dx_alone) << rows << "x" << n_in << "x" << n_out << accumulate;
        EXPECT_EQ(dw, dw_alone) << rows << "x" << n_in << "x" << n_out << accumulate;
      }
    }
  }
}

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
