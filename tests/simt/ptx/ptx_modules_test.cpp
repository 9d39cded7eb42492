// The PTX of all kernels: nothing in it that the interpreter does not know.
#include <gtest/gtest.h>

#include "tests/simt/ptx/ptx_harness.h"

namespace pg::ptx {
namespace {

TEST(PtxModules, EveryEntryIsUnderstood) {
  if (const std::string reason = why_no_ptx(); !reason.empty()) GTEST_SKIP() << reason;
  for (const std::string& architecture : architectures()) {
    Modules modules(ptx_files(architecture));
    const std::vector<std::string> entries = modules.entries();
    EXPECT_GT(entries.size(), 100u);
    for (const std::string& name : entries) EXPECT_NO_THROW(modules.entry(name)) << name;
  }
}

}  // namespace
}  // namespace pg::ptx
