// The rmsnorm kernels on odd sizes: tails of packs, of warps and of blocks, rows of either layout,
// misaligned tensors.
#include <gtest/gtest.h>

#include "tests/simt/kernel_harness.h"
#include "tests/simt/rmsnorm_check.h"

namespace pg::kerneltest {
namespace {

constexpr RmsnormFamily kProduct = {&kernels::rmsnorm<float>, &kernels::rmsnorm<bf16>,
                                    &kernels::rmsnorm_backward<float>,
                                    &kernels::rmsnorm_backward<bf16>};

class RmsnormKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(RmsnormKernel, IsRightForRowsOfAWarp) {
  for (const int64_t dim : {1, 2, 7, 8, 9, 31, 32, 33, 64, 100, 255, 256, 257, 512}) {
    for (const int64_t rows : {1, 9}) {
      EXPECT_EQ(check_rmsnorm(kProduct, {.rows = rows, .dim = dim}), "") << rows << " x " << dim;
    }
  }
}

TEST_F(RmsnormKernel, IsRightForRowsOfABlock) {
  // 513 and 1025: the first past a warp's registers; 4100 to 8208: past a block's.
  for (const int64_t dim : {513, 1000, 1024, 1025, 1032, 2049, 4100, 8205, 8208}) {
    EXPECT_EQ(check_rmsnorm(kProduct, {.rows = 3, .dim = dim}), "") << dim;
  }
}

TEST_F(RmsnormKernel, IsRightForMisalignedTensors) {
  for (const int64_t dim : {16, 67, 1032}) {
    for (const size_t offset : {1u, 3u}) {
      EXPECT_EQ(check_rmsnorm(kProduct, {.rows = 3, .dim = dim, .offset = offset}), "") << dim;
    }
  }
}

TEST_F(RmsnormKernel, AddsWhenAccumulating) {
  for (const int64_t dim : {64, 67, 1100}) {
    EXPECT_EQ(check_rmsnorm(kProduct, {.rows = 5, .dim = dim, .accumulate = true}), "") << dim;
  }
}

TEST_F(RmsnormKernel, AlignmentNeverChangesABit) {
  const int64_t dim = 1064, rows = 2;
  const auto x = normal_values<bf16>(rows * dim, 1.0, 5);
  SameBytes same;
  for (const size_t offset : {0u, 1u}) {
    const DeviceArray<bf16> x_device(x, offset), y(x, offset);
    kernels::rmsnorm<bf16>({y.data(), false}, {}, x_device.data(), 1.0f, 1e-6f, rows, dim, nullptr);
    EXPECT_EQ(same.check("y", y.fetch()), "");
  }
}

TEST_F(RmsnormKernel, LeavesOutWhatIsNotAsked) {
  const auto x = normal_values<float>(64, 1.0, 5);
  const DeviceArray<float> x_device(x), rstd({0.0f, 0.0f});
  kernels::rmsnorm<float>({}, {rstd.data(), false}, x_device.data(), 1.0f, 1e-6f, 2, 32, nullptr);
  EXPECT_GT(rstd.fetch()[1], 0.0f);
  kernels::rmsnorm<float>({}, {}, x_device.data(), 1.0f, 1e-6f, 0, 32, nullptr);
}

}  // namespace
}  // namespace pg::kerneltest
