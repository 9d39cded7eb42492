// Text for a terminal of some width.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace pg {

// Columns for text of some length: the terminal's, between 40 and 100; 100 where `out` is none.
int64_t text_columns(std::FILE* out);

// Breaks a line between words, and where a word alone is too long behind a '|' or ','; the further
// lines are indented by `indent`. Ends with a line break.
std::string wrap_text(std::string_view line, int64_t columns, int64_t indent);

// As much of a line as the terminal shows without going on in the next row; all of it where `out` is
// no terminal.
std::string cut_to_terminal(const std::string& line, std::FILE* out);
std::string cut_to_columns(const std::string& line, int64_t columns);

}  // namespace pg
