// What an optimizer's step costs in launches on a GPU: a batch of matrices is as many as one matrix.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "kernels/simt/simt_executor.h"
#include "src/base/rng.h"
#include "src/device/cuda/gpu_device.h"
#include "src/device/simt/host_runtime.h"

namespace pg {
namespace {

class CountingRuntime final : public HostRuntime {
 public:
  explicit CountingRuntime(int64_t& products) : products_(products) {}
  void multiply(const GpuProduct& product) override {
    ++products_;
    HostRuntime::multiply(product);
  }

 private:
  int64_t& products_;
};

class Launches : public testing::Test {
 protected:
  // Launches of kernels and products.
  int64_t count(const std::function<void(Ops&)>& call) {
    const auto kernels_before = static_cast<int64_t>(simt::launch_count());
    const int64_t products_before = products_;
    call(device_.ops());
    return static_cast<int64_t>(simt::launch_count()) - kernels_before + products_ -
           products_before;
  }
  Out out(std::vector<float>& values) { return {values.data(), DType::kF32}; }
  In in(const std::vector<float>& values) { return {values.data(), DType::kF32}; }

  int64_t products_ = 0;
  GpuDevice device_{"simt", std::make_unique<CountingRuntime>(products_), DType::kBF16};
  std::vector<float> a_ = std::vector<float>(1000, 1.0f), b_ = a_, c_ = a_;
  const std::vector<float> one_ = {1.0f}, two_ = {0.9f, 0.1f};
};

constexpr MatrixBatch kBatches[] = {{1, 8, 16, 128}, {5, 8, 16, 200}, {5, 16, 8, 128}};

TEST_F(Launches, OfMuonDoNotGrowWithTheBatch) {
  for (const MatrixBatch& shape : kBatches) {
    for (const bool row_norm : {false, true}) {
      EXPECT_EQ(count([&](Ops& ops) {
                  ops.muon_momentum(out(a_), out(b_), in(c_), in(one_), in(one_), row_norm, shape);
                }),
                1);
    }
    EXPECT_EQ(count([&](Ops& ops) {
                ops.apply_update(out(a_), in(b_), in(one_), in(two_), false, shape);
              }),
              1);
    for (const bool columns : {false, true}) {
      EXPECT_EQ(count([&](Ops& ops) {
                  ops.normuon(out(a_), out(b_), in(one_), in(one_), columns, 0, shape, 16);
                }),
                3);
    }
  }
}

// The squares, the start and the end; three products an iteration. Almost-orthogonal scaling has a
// product less of its first and adds one, two kernels and another start.
TEST_F(Launches, OfNewtonSchulzAreThreeProductsAnIteration) {
  const std::vector<NewtonSchulzCoefficients> steps(5, {3.4445f, -4.7750f, 2.0315f});
  for (const MatrixBatch& shape : kBatches) {
    EXPECT_EQ(count([&](Ops& ops) {
                ops.newton_schulz(out(a_), steps, NewtonSchulzStart::kNorm, shape);
              }),
              3 + 3 * 5);
    EXPECT_EQ(
        count([&](Ops& ops) { ops.newton_schulz(out(a_), steps, NewtonSchulzStart::kAol, shape); }),
        3 + 3 * 5 + 3);
  }
}

// Batches that lie differently share the products, and have what each of them has alone: in bits, since
// a matrix's sums do not depend on the others.
TEST_F(Launches, OfNewtonSchulzOfBatchesAreTheProductsOfOne) {
  const std::vector<NewtonSchulzCoefficients> steps(5, {3.4445f, -4.7750f, 2.0315f});
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{8, 12}, {12, 8}}) {
    const MatrixBatch shapes[] = {{3, rows, cols, 200}, {2, rows, cols, 96}, {1, rows, cols, 96}};
    for (const auto start : {NewtonSchulzStart::kNorm, NewtonSchulzStart::kAol}) {
      std::vector<float> alone[3], together[3];
      std::vector<MatricesOut> us;
      for (size_t i = 0; i < 3; ++i) {
        for (size_t k = 0; k < 600; ++k) {
          alone[i].push_back(static_cast<float>(CounterRng(5, i).normal(k)));
        }
        together[i] = alone[i];
        us.push_back({out(together[i]), shapes[i]});
        device_.ops().newton_schulz(out(alone[i]), steps, start, shapes[i]);
      }
      const bool is_aol = start == NewtonSchulzStart::kAol;
      EXPECT_EQ(count([&](Ops& ops) { ops.newton_schulz_of_batches(us, steps, start); }),
                3 * (is_aol ? 4 : 3) + 3 * 5 + (is_aol ? 2 : 0));
      for (size_t i = 0; i < 3; ++i) EXPECT_EQ(together[i], alone[i]) << i;
    }
  }
}

// Of any number of parts that lie equally apart; a sum in bf16 is one more.
TEST_F(Launches, OfProductsOfPartsAreThoseOfOne) {
  for (const int64_t parts : {1, 5}) {
    std::vector<In> ws;
    std::vector<Out> dws;
    for (int64_t i = 0; i < parts; ++i) {
      ws.push_back({b_.data() + 40 * i, DType::kF32});
      dws.push_back({c_.data() + 40 * i, DType::kF32});
    }
    const int64_t rows = 3 * parts;
    EXPECT_EQ(count([&](Ops& ops) { ops.linear_of_parts(out(a_), in(a_), ws, rows, 8, 4); }), 1);
    EXPECT_EQ(count([&](Ops& ops) { ops.linear_dx_of_parts(out(a_), in(a_), ws, rows, 8, 4); }), 1);
    EXPECT_EQ(count([&](Ops& ops) { ops.linear_dw_of_parts(dws, in(a_), in(b_), rows, 8, 4); }), 1);
    std::vector<uint16_t> y(1000), x(1000), w(1000);
    for (size_t i = 0; i < ws.size(); ++i) ws[i] = {w.data() + 40 * i, DType::kBF16};
    EXPECT_EQ(count([&](Ops& ops) {
                ops.linear_of_parts({y.data(), DType::kBF16, /*accumulate=*/true},
                                    {x.data(), DType::kBF16}, ws, rows, 8, 4);
              }),
              2);
  }
}

}  // namespace
}  // namespace pg
