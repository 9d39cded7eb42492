#include "harness/verify/text_scan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

namespace pg {

bool is_digit_byte(char c) { return c >= '0' && c <= '9'; }

bool is_word_byte(char c) {
  return is_digit_byte(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view trim_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

size_t find_word(std::string_view text, std::string_view word, size_t at) {
  if (word.empty()) return std::string_view::npos;
  for (at = text.find(word, at); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool is_open = at == 0 || !is_word_byte(text[at - 1]) || !is_word_byte(word.front());
    const bool is_closed =
        end == text.size() || !is_word_byte(text[end]) || !is_word_byte(word.back());
    if (is_open && is_closed) return at;
  }
  return std::string_view::npos;
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return has_text(text, part); });
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> heads) {
  return std::any_of(heads.begin(), heads.end(),
                     [&](std::string_view head) { return text.starts_with(head); });
}

std::string_view skip_line_head(std::string_view text) {
  text = trim_blanks(text);
  if (text.starts_with("[")) {
    constexpr size_t kNameBytes = 40;  // at most
    const size_t end = text.substr(0, kNameBytes).find(']');
    if (end != std::string_view::npos) {
      std::string_view rest = text.substr(end + 1);
      while (!rest.empty() && (rest.front() == ':' || rest.front() == ' ')) rest.remove_prefix(1);
      return rest;
    }
  }
  constexpr size_t kStampBytes = 8;  // at least, of a time of day or a count of seconds
  const size_t end = text.find_first_not_of("0123456789.:-");
  const bool is_stamp = end != std::string_view::npos && end >= kStampBytes && text[end] == ' ';
  return is_stamp ? trim_blanks(text.substr(end)) : text;
}

std::optional<ScannedNumber> scan_number(std::string_view text, size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  if (at >= text.size()) return std::nullopt;
  ScannedNumber number;
  std::string digits;  // without commas
  size_t end = at;
  if (text[end] == '-' || text[end] == '+') {
    if (text[end] == '-') digits += '-';
    ++end;
  }
  for (const std::string_view special : {"nan", "inf"}) {
    if (lower_ascii(text.substr(end, 3)) != special) continue;
    const size_t behind = end + 3;
    if (behind < text.size() && is_word_byte(text[behind])) return std::nullopt;
    number.value = special == "nan"  ? std::numeric_limits<double>::quiet_NaN()
                   : text[at] == '-' ? -std::numeric_limits<double>::infinity()
                                     : std::numeric_limits<double>::infinity();
    number.end = behind;
    return number;
  }
  const size_t first_digit = end;
  while (end < text.size()) {
    if (is_digit_byte(text[end])) {
      digits += text[end++];
    } else if (text[end] == ',' && end > first_digit && end + 3 < text.size() &&
               is_digit_byte(text[end + 1]) && is_digit_byte(text[end + 2]) &&
               is_digit_byte(text[end + 3]) &&
               (end + 4 >= text.size() || !is_digit_byte(text[end + 4]))) {
      number.has_commas = true;
      ++end;
    } else {
      break;
    }
  }
  const bool has_whole_part = end > first_digit;
  number.is_whole = true;
  if (end + 1 < text.size() && text[end] == '.' && is_digit_byte(text[end + 1])) {
    number.is_whole = false;
    digits += text[end++];
    while (end < text.size() && is_digit_byte(text[end])) {
      digits += text[end++];
      ++number.decimals;
    }
  } else if (!has_whole_part) {
    return std::nullopt;
  }
  if (end + 1 < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    size_t exponent = end + 1;
    if (text[exponent] == '-' || text[exponent] == '+') ++exponent;
    if (exponent < text.size() && is_digit_byte(text[exponent])) {
      while (exponent < text.size() && is_digit_byte(text[exponent])) ++exponent;
      std::string power(text.substr(end, exponent - end));
      if (power[1] == '+') power.erase(1, 1);
      digits += power;
      end = exponent;
      number.is_whole = false;
    }
  }
  const auto [behind, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number.value);
  if (behind != digits.data() + digits.size() || error == std::errc::invalid_argument) {
    return std::nullopt;
  }
  if (error == std::errc::result_out_of_range) return std::nullopt;  // of no use here
  number.end = end;
  return number;
}

std::optional<ScannedNumber> number_after(std::string_view text, std::string_view key) {
  for (size_t at = find_word(text, key); at != std::string_view::npos;
       at = find_word(text, key, at + 1)) {
    size_t behind = at + key.size();
    if (behind < text.size() && text[behind] == '"') ++behind;
    while (behind < text.size() && text[behind] == ' ') ++behind;
    if (behind < text.size() && (text[behind] == ':' || text[behind] == '=')) ++behind;
    if (const auto number = scan_number(text, behind)) return number;
  }
  return std::nullopt;
}

std::string hide_numbers(std::string_view text) {
  std::string hidden;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_digit_byte(text[i])) {
      hidden += text[i];
      continue;
    }
    hidden += '#';
    while (i + 1 < text.size() &&
           (is_digit_byte(text[i + 1]) ||
            (text[i + 1] == '.' && i + 2 < text.size() && is_digit_byte(text[i + 2])))) {
      ++i;
    }
  }
  return hidden;
}

double half_unit(int decimals) { return 0.5 * std::pow(10.0, -decimals) * (1 + 1e-6) + 1e-12; }

}  // namespace pg
