// Finding words and numbers in a stranger's line of text. Every function takes time in proportion to
// the line and needs no stack, which regular expressions of the standard library do not promise.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace pg {

inline constexpr size_t kNotFound = std::string_view::npos;

std::string lower_ascii(std::string_view text);
std::string_view trim_blanks(std::string_view text);
// A letter, digit or '_' of ASCII.
bool is_word_byte(char c);
bool is_digit_byte(char c);

// Where `word` begins with no word byte before or behind it, from `at` on; npos where it does not.
size_t find_word(std::string_view text, std::string_view word, size_t at = 0);
inline bool has_word(std::string_view text, std::string_view word) {
  return find_word(text, word) != std::string_view::npos;
}
inline bool has_text(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> parts);
bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> heads);
// Behind a time stamp or a rank's name: "1776142723.115 0/20000 ...", "[rank0]: ...".
std::string_view skip_line_head(std::string_view text);

struct ScannedNumber {
  double value = 0;         // NaN and infinity too
  int decimals = 0;         // digits behind the point, as written
  bool is_whole = false;    // neither point nor exponent
  bool has_commas = false;  // 15,988,805
  size_t end = 0;           // offset behind it
};

// The number that begins at `at` behind blanks: 1.05e-3, 15,988,805, nan, inf.
std::optional<ScannedNumber> scan_number(std::string_view text, size_t at);
// The number behind the first whole word `key` that has one: "key: 1", "key=1", "key 1", "\"key\": 1".
std::optional<ScannedNumber> number_after(std::string_view text, std::string_view key);

// Each run of digits, with its point and fraction, as one '#'.
std::string hide_numbers(std::string_view text);

// Half a unit of the last of `decimals` digits behind the point, and a hair for binary fractions.
double half_unit(int decimals);

}  // namespace pg
