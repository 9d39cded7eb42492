#include "src/text/terminal_text.h"

#include <sys/ioctl.h>

#include <algorithm>

namespace pg {
namespace {

// 0: no terminal, or one that does not say.
int64_t terminal_columns(std::FILE* out) {
  winsize size = {};
  return ::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// Where to end a row of at most `columns`: behind it the text goes on. A word that does not fit is
// cut behind punctuation if there is any.
size_t find_break(std::string_view text, size_t columns, size_t indent) {
  if (text.size() <= columns) return text.size();
  const size_t space = text.rfind(' ', columns);
  if (space != std::string_view::npos && space > indent) return space;
  const size_t mark = text.find_last_of("|,", columns - 1);
  if (mark != std::string_view::npos && mark > indent) return mark + 1;
  return std::min(text.find(' ', columns), text.size());
}

}  // namespace

int64_t text_columns(std::FILE* out) {
  constexpr int64_t kLeast = 40, kMost = 100;
  const int64_t columns = terminal_columns(out);
  return columns == 0 ? kMost : std::clamp(columns, kLeast, kMost);
}

std::string wrap_text(std::string_view line, int64_t columns, int64_t indent) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  std::string text, row(line);
  for (;;) {
    const size_t end = find_break(row, static_cast<size_t>(columns), margin.size());
    text += row.substr(0, end) + '\n';
    const size_t next = row.find_first_not_of(' ', end);
    if (next == std::string::npos) return text;
    row = margin + row.substr(next);
  }
}

std::string cut_to_columns(const std::string& line, int64_t columns) {
  // In the last column of a row some terminals move on to the next.
  const auto room = static_cast<size_t>(std::max<int64_t>(columns - 1, 1));
  return line.size() <= room ? line : line.substr(0, room);
}

std::string cut_to_terminal(const std::string& line, std::FILE* out) {
  const int64_t columns = terminal_columns(out);
  return columns == 0 ? line : cut_to_columns(line, columns);
}

}  // namespace pg
