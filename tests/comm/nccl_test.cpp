#include <gtest/gtest.h>

#include <string>

#include "src/base/error.h"
#include "src/device/comm/nccl/comm_nccl.h"

namespace pg {
namespace {

// All that can be tried without a GPU: it links, it starts, and it says what is missing.
TEST(NcclComm, SaysWhyItCannotBe) {
  constexpr int kMoreThanAnyMachineHas = 1000;
  try {
    make_nccl_group(kMoreThanAnyMachineHas);
    FAIL() << "so many GPUs";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("this build has no NCCL; ") ||
                message.starts_with("cudaGetDeviceCount: ") ||
                message.starts_with("\"1000\" ranks on "))
        << message;
  }
}

}  // namespace
}  // namespace pg
