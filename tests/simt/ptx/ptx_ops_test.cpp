// Every op on the product's kernels as nvcc compiled them, PTX executed on the host: values against
// the reference in double, and the same bits under every schedule and for tensors of any alignment.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>

#include "src/device/op_table/op_list.h"
#include "tests/simt/op_check.h"
#include "tests/simt/ptx/ptx_harness.h"

namespace pg {

namespace ptx {
namespace {

// Interpreted, a case takes many times as long as compiled for the host. The sweep takes all cases
// up to so many elements.
constexpr int64_t kMostElements = 6000;
constexpr size_t kCases = 2;

std::vector<optest::OpCase> cases_of(OpId op) {
  const char* const of_sweep = std::getenv("PG_PTX_MOST_ELEMENTS");
  if (of_sweep == nullptr) return kerneltest::small_cases(op, kMostElements, kCases);
  return kerneltest::small_cases(op, std::atoll(of_sweep), SIZE_MAX);
}

class PtxOps : public testing::TestWithParam<OpInfo> {
 protected:
  void SetUp() override {
    if (const std::string reason = why_no_ptx(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_P(PtxOps, AreRightUnderEverySchedule) {
  const std::vector<optest::OpCase> cases = cases_of(GetParam().id);
  ASSERT_FALSE(cases.empty()) << "no case is small enough";
  for (const std::string& architecture : distinct_architectures()) {
    PtxKernels& kernels = product_kernels(architecture);
    const simt::ScopedSubstitute by_ptx(kernels);
    for (const optest::OpCase& op_case : cases) {
      for (const DType compute : {DType::kBF16, DType::kF32}) {
        const auto check = [&](auto function) {
          EXPECT_EQ(function(kerneltest::make_product_ops, compute, op_case), "")
              << architecture << ' ' << dtype_name(compute);
        };
        check(kerneltest::check_op_values);
        check(kerneltest::check_op_schedules);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, PtxOps, testing::ValuesIn(kOps),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace ptx
}  // namespace pg
