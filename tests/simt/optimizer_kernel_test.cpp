// The optimizer's kernels on odd sizes, misaligned tensors, batches with gaps, and coefficients that
// are NaN. Their values over many shapes: tests/ops.
#include <gtest/gtest.h>

#include "tests/simt/kernel_harness.h"
#include "tests/simt/optimizer_check.h"

namespace pg::kerneltest {
namespace {

class OptimizerKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

constexpr OptimizerCase kCases[] = {
    {.rows = 1, .cols = 3},
    {.count = 3, .rows = 7, .cols = 67, .gap = 5},
    {.count = 2, .rows = 7, .cols = 68, .gap = 4},
    {.count = 2, .rows = 5, .cols = 68, .gap = 4, .offset = 1},
    {.count = 2, .rows = 131, .cols = 20, .gap = 3},
};

// Every case with and without what its flag stands for.
template <class Check>
void expect_right(const Check& check) {
  for (OptimizerCase c : kCases) {
    for (const bool flag : {false, true}) {
      c.flag = flag;
      EXPECT_EQ(check(c), "") << c.count << " x " << c.rows << " x " << c.cols << ", gap " << c.gap
                              << ", offset " << c.offset << (flag ? ", flag" : "");
    }
  }
}

TEST_F(OptimizerKernel, AdamwIsRightAndLeavesAllOnNan) {
  const AdamwFamily product = {&kernels::adamw};
  expect_right([&](const OptimizerCase& c) { return check_adamw(product, c); });
  EXPECT_EQ(check_adamw(product, {.rows = 3, .cols = 40, .has_nan_coefficient = true}), "");
}

TEST_F(OptimizerKernel, MuonIsRightAndLeavesAllOnNan) {
  const MuonFamily product = {&kernels::muon_momentum, &kernels::apply_update};
  expect_right([&](const OptimizerCase& c) { return check_muon(product, c); });
  for (const bool flag : {false, true}) {
    const OptimizerCase c = {.rows = 3, .cols = 40, .flag = flag, .has_nan_coefficient = true};
    EXPECT_EQ(check_muon(product, c), "");
  }
  // Rows of a block, and past its registers.
  for (const int64_t cols : {600, 4103}) {
    EXPECT_EQ(check_muon(product, {.rows = 3, .cols = cols, .flag = true}), "") << cols;
  }
}

TEST_F(OptimizerKernel, NeuronsAreRightAndNormuonLeavesAllOnNan) {
  const NeuronsFamily product = {&kernels::normuon, &kernels::balance_neurons};
  expect_right([&](const OptimizerCase& c) { return check_neurons(product, c); });
  EXPECT_EQ(check_neurons(product, {.rows = 3, .cols = 40, .has_nan_coefficient = true}), "");
  // More neurons than a block has threads, and more than one chunk of rows.
  EXPECT_EQ(check_neurons(product, {.rows = 70, .cols = 300, .flag = true}), "");
}

TEST_F(OptimizerKernel, NewtonSchulzStartsAndEndsRight) {
  const NewtonSchulzFamily product = {&kernels::start_newton_schulz<bf16>,
                                      &kernels::sum_almost_orthogonal, &kernels::scale_gram<bf16>,
                                      &kernels::end_newton_schulz<bf16>};
  expect_right([&](const OptimizerCase& c) { return check_newton_schulz(product, c); });
  // More than one piece of squares.
  EXPECT_EQ(check_newton_schulz(product, {.rows = 9, .cols = 1830, .flag = true}), "");
}

TEST_F(OptimizerKernel, AlignmentNeverChangesABit) {
  const int64_t count = 1030;
  const std::vector<float> values = normal_values<float>(count, 1.0, 3);
  SameBytes same;
  for (const size_t offset : {0u, 1u}) {
    const DeviceArray<float> p(values, offset), m(values, offset), g(values, offset);
    const DeviceArray<float> u(values, offset), coefficient({0.37f}), mu({0.95f});
    const DeviceArray<float> v(std::vector<float>(static_cast<size_t>(count), 0.3f), offset);
    const DeviceArray<float> step({0.01f, 0.9f, 0.95f, 1e-3f, 0.3f, 0.1f, 0.05f});
    kernels::adamw(p.data(), m.data(), v.data(), g.data(), coefficient.data(), step.data(), false,
                   count, nullptr);
    kernels::muon_momentum({u.data(), false}, m.data(), g.data(), coefficient.data(), mu.data(),
                           true, {1, 1, count, count}, nullptr);
    EXPECT_EQ(same.check("p", p.fetch()), "");
    EXPECT_EQ(same.check("m", m.fetch()), "");
    EXPECT_EQ(same.check("u", u.fetch()), "");
  }
}

}  // namespace
}  // namespace pg::kerneltest
