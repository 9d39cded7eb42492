// Who scores is told how long it will take, and early that a budget will not do.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "harness/record/progress_line.h"

namespace pg {
namespace {

// What a terminal is not there to see: the lines of a pass of 1,000 targets that takes `seconds`.
std::string watch_pass(double seconds, double budget_s) {
  std::FILE* file = std::tmpfile();
  {
    ProgressLine line(file, TerminalStyle::kPlain, false);
    ScoringProgress progress(line);
    for (int64_t done = 0; done <= 1000; done += 10) {
      progress.show({.tokens_done = done,
                     .tokens_total = 1000,
                     .bits_per_byte = 1.25,
                     .elapsed_s = seconds * static_cast<double>(done) / 1000,
                     .budget_s = budget_s});
    }
  }
  std::rewind(file);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(ScoringProgress, WarnsOnceThatTheBudgetWillNotDo) {
  const std::string text = watch_pass(346, 60);
  EXPECT_NE(text.find("scoring will take about 346 s of 60 s"), std::string::npos) << text;
  EXPECT_EQ(text.find("scoring will take"), text.rfind("scoring will take"));
}

TEST(ScoringProgress, SaysNothingOfABudgetThatHolds) {
  EXPECT_EQ(watch_pass(59, 60), "");
  EXPECT_EQ(watch_pass(346, 0), "");
  EXPECT_EQ(watch_pass(2.5, 2), "");  // over before an estimate is worth anything
}

TEST(ScoringProgress, TheLineHoldsTheTimeLeft) {
  EXPECT_EQ(
      format_progress(EvalProgress{
          .tokens_done = 250, .tokens_total = 1000, .bits_per_byte = 1.91234, .elapsed_s = 10}),
      "eval 25%  1.9123 bits/byte  30 s left");
  EXPECT_EQ(
      format_progress(EvalProgress{.tokens_done = 1000, .tokens_total = 1000, .elapsed_s = 9}),
      "eval 100%  0.0000 bits/byte");
}

}  // namespace
}  // namespace pg
