// Every op of the simt device on kernels that the race checker watches: no race in any case of it.
#include <gtest/gtest.h>

#include "kernels/simt/simt_races.h"
#include "src/device/registry/make_device.h"
#include "tests/ops/op_runner.h"
#include "tests/simt/op_check.h"

namespace pg {
namespace optest {
namespace {

// Larger cases have more blocks, of which nothing new is seen.
constexpr int64_t kMostElements = 10000;

int64_t count_elements(const OpCase& op_case) {
  int64_t count = 0;
  for (const Operand& operand : op_case.operands) count += operand.count;
  return count;
}

class OpRaces : public testing::TestWithParam<OpInfo> {};

TEST_P(OpRaces, ThereAreNone) {
  const std::unique_ptr<Device> device = make_device("simt");
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != GetParam().id || count_elements(op_case) > kMostElements) continue;
    hash_outputs(*device, op_case);
    EXPECT_EQ(simt::take_race(), "") << op_case.shape;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, OpRaces, testing::ValuesIn(kOps),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace optest
}  // namespace pg
