// Logs and progress that cannot be written: said once, no half line left, nothing thrown.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "harness/record/append_file.h"
#include "harness/record/progress_line.h"
#include "src/base/bytes.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

TEST(AppendFile, ALineThatFindsNoRoomLeavesNoHalf) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "log";
  std::vector<std::string> said;
  AppendFile file(path, true, [&](const std::string& message) { said.push_back(message); });
  file.write_line("whole");
  rlimit old = {};
  getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {10, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  file.write_line("cut in the middle");
  setrlimit(RLIMIT_FSIZE, &old);
  file.write_line("dropped");
  EXPECT_EQ(read_text_file(path), "whole\n");
  ASSERT_EQ(said.size(), 1u);
  EXPECT_NE(said[0].find("ulimit -f"), std::string::npos) << said[0];
}

TEST(ProgressLine, WhatCannotBeShownIsReportedOnce) {
  for (const TerminalStyle style : {TerminalStyle::kPlain, TerminalStyle::kRewrite}) {
    std::FILE* full = std::fopen("/dev/full", "w");
    if (full == nullptr) GTEST_SKIP() << "no /dev/full here";
    std::vector<std::string> said;
    {
      ProgressLine line(full, style, false);
      line.report_loss([&](const std::string& message) { said.push_back(message); });
      line.show("a", true);
      line.print("b");
      line.warn("c");
      line.show("d", true);
    }
    std::fclose(full);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("No space left on device"), std::string::npos) << said[0];
  }
}

}  // namespace
}  // namespace pg
