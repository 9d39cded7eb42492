// The counted sources are inside the program and are an xz file of plausible size. That they still
// compile is the test CodeBundle_CompilesOnceStripped (cmake/code_bundle.cmake).
#include <gtest/gtest.h>

#include <algorithm>

#include "quant/method/seal.h"

namespace pg {
namespace {

TEST(CodeBundle, IsAnXzFileOfTheCountedSize) {
  const Bytes bundle = code_bundle();
  const Bytes magic = {0xfd, '7', 'z', 'X', 'Z', 0};
  ASSERT_GT(bundle.size(), magic.size());
  EXPECT_TRUE(std::equal(magic.begin(), magic.end(), bundle.begin()));
  EXPECT_EQ(counted_code_bytes(), static_cast<int64_t>(bundle.size()));
  EXPECT_GT(counted_code_bytes(), 10000);
  EXPECT_LT(counted_code_bytes(), 200000);  // a budget: code past this is worth a look
}

}  // namespace
}  // namespace pg
