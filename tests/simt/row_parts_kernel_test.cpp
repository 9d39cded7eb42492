// What other launchers give row work to, on sizes within and past a block, rows apart, misaligned.
#include <gtest/gtest.h>

#include "tests/simt/kernel_harness.h"
#include "tests/simt/row_parts_check.h"

namespace pg::kerneltest {
namespace {

constexpr RowPartsCase kCases[] = {
    {.rows = 1, .cols = 1},
    {.rows = 3, .cols = 8},
    {.rows = 65, .cols = 33, .gap = 7},
    {.rows = 40, .cols = 64, .gap = 8},
    {.rows = 17, .cols = 24, .gap = 8, .offset = 1},
};

class RowPartsKernel : public testing::TestWithParam<RowPartsCase> {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(RowPartsKernel, ChunksAreSummedInOrder) {
  EXPECT_EQ(
      check_column_sums({&kernels::sum_chunks<float>, &kernels::sum_chunks<bf16>}, GetParam()), "");
}
TEST_P(RowPartsKernel, CopiesAreDense) {
  EXPECT_EQ(check_dense_rows({&kernels::copy_to_dense<bf16>}, GetParam()), "");
}
TEST_P(RowPartsKernel, ProductsAreAddedToRowsThatLieApart) {
  EXPECT_EQ(
      check_product_rows({&kernels::add_product<float>, &kernels::add_product<bf16>}, GetParam()),
      "");
}

INSTANTIATE_TEST_SUITE_P(Each, RowPartsKernel, testing::ValuesIn(kCases));

}  // namespace
}  // namespace pg::kerneltest
