// Every op on the product's kernels: the same bits under every schedule and for tensors of any
// alignment. That they are right for one of each is the op test's.
#include <gtest/gtest.h>

#include "src/device/op_table/op_list.h"
#include "tests/simt/op_check.h"

namespace pg {
namespace kerneltest {
namespace {

class OpSchedules : public testing::TestWithParam<OpInfo> {};

TEST_P(OpSchedules, NeitherTheyNorAlignmentChangeABit) {
  const std::vector<optest::OpCase> cases = small_cases(GetParam().id, 12000, 4);
  ASSERT_FALSE(cases.empty()) << "no case is small enough";
  for (const optest::OpCase& op_case : cases) {
    for (const DType compute : {DType::kBF16, DType::kF32}) {
      EXPECT_EQ(check_op_schedules(make_product_ops, compute, op_case), "") << dtype_name(compute);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, OpSchedules, testing::ValuesIn(kOps),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace kerneltest
}  // namespace pg
