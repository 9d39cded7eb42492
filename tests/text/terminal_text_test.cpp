#include "src/text/terminal_text.h"

#include <gtest/gtest.h>

namespace pg {
namespace {

TEST(TerminalText, LinesBreakBetweenWordsUnderTheFirst) {
  EXPECT_EQ(wrap_text("  key  one two three", 14, 7), "  key  one two\n       three\n");
  EXPECT_EQ(wrap_text("  key  one", 14, 7), "  key  one\n");
  EXPECT_EQ(wrap_text("", 14, 7), "\n");
}

TEST(TerminalText, LongWordsBreakBehindTheirMarks) {
  EXPECT_EQ(wrap_text("  k  a|bb|ccc|dddd", 12, 5), "  k  a|bb|\n     ccc|\n     dddd\n");
  EXPECT_EQ(wrap_text("  k  abcdefghijklmn op", 12, 5), "  k  abcdefghijklmn\n     op\n");
}

TEST(TerminalText, AProgressLineKeepsToItsRow) {
  const std::string line(100, 'x');
  EXPECT_EQ(cut_to_columns(line, 80).size(), 79u);
  EXPECT_EQ(cut_to_columns("short", 80), "short");
  std::FILE* file = std::tmpfile();
  EXPECT_EQ(cut_to_terminal(line, file), line);
  EXPECT_EQ(text_columns(file), 100);
  std::fclose(file);
}

}  // namespace
}  // namespace pg
