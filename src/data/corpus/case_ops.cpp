// Operators are U+E001 to U+E004, three bytes of UTF-8 that differ in the last: 0xee 0x80 0x81...
#include "src/data/corpus/case_ops.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/data/tokenizer.h"

namespace pg {
namespace {

constexpr std::string_view kOperatorStart = "\xee\x80";
constexpr size_t kOperatorBytes = kOperatorStart.size() + 1;
enum Operator : size_t { kTitle, kAllCaps, kCapNext, kEscape };

constexpr bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_letter(char c) { return is_capital(c) || (c >= 'a' && c <= 'z'); }
constexpr char to_small(char c) { return is_capital(c) ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr char to_capital(char c) { return static_cast<char>(to_small(c) - ('a' - 'A')); }

bool is_last_byte(char c) {
  return std::ranges::any_of(kCaseOperators,
                             [&](std::string_view piece) { return piece.back() == c; });
}

void append_word(std::string_view word, std::string& out) {
  const auto capitals = static_cast<size_t>(std::ranges::count_if(word, is_capital));
  if (capitals == word.size() && capitals > 1) {
    out += kCaseOperators[kAllCaps];
  } else if (is_capital(word[0])) {
    out += kCaseOperators[kTitle];
  }
  const bool is_mixed = capitals > (is_capital(word[0]) ? 1u : 0u) && capitals < word.size();
  for (size_t i = 0; i < word.size(); ++i) {
    if (is_mixed && i > 0 && is_capital(word[i])) out += kCaseOperators[kCapNext];
    out += to_small(word[i]);
  }
}

}  // namespace

std::string apply_case_ops(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t at = 0; at < text.size();) {
    if (is_letter(text[at])) {
      size_t end = at + 1;
      while (end < text.size() && is_letter(text[end])) ++end;
      append_word(text.substr(at, end - at), out);
      at = end;
      continue;
    }
    const bool is_operator = text.substr(at).starts_with(kOperatorStart) &&
                             at + kOperatorBytes <= text.size() &&
                             is_last_byte(text[at + kOperatorStart.size()]);
    if (is_operator) out += kCaseOperators[kEscape];
    const size_t bytes = is_operator ? kOperatorBytes : 1;
    out += text.substr(at, bytes);
    at += bytes;
  }
  return out;
}

Result<std::string> undo_case_ops(std::string_view coded) {
  std::string text = restore_case(coded);
  const std::string again = apply_case_ops(text);
  if (again == coded) return text;
  const auto differs = std::ranges::mismatch(again, coded).in2 - coded.begin();
  return Failure{
      fmt::format("case operators out of place at byte {} of {}: the transform writes this text in "
                  "another way; restore text that it wrote",
                  differs, coded.size())};
}

std::string restore_case(std::string_view coded) {
  CaseRestorer restorer;
  std::string text;
  restorer.add(coded, text);
  restorer.finish(text);
  return text;
}

void CaseRestorer::add(std::string_view part, std::string& out) {
  for (const char byte : part) {
    if (held_ == kOperatorStart.size() && is_last_byte(byte)) {
      held_ = 0;
      add_operator(byte, out);
      continue;
    }
    if (held_ < kOperatorStart.size() && byte == kOperatorStart[held_]) {
      ++held_;
      continue;
    }
    finish(out);  // it was none
    if (byte == kOperatorStart[0]) {
      held_ = 1;
    } else {
      add_byte(byte, out);
    }
  }
}

void CaseRestorer::finish(std::string& out) {
  for (size_t i = 0; i < held_; ++i) add_byte(kOperatorStart[i], out);
  held_ = 0;
}

void CaseRestorer::add_byte(char byte, std::string& out) {
  is_escaped_ = false;
  if (!is_letter(byte)) mode_ = Mode::kSmall;
  out += mode_ == Mode::kSmall ? byte : to_capital(byte);
  if (mode_ == Mode::kOneCapital) mode_ = Mode::kSmall;
}

void CaseRestorer::add_operator(char last_byte, std::string& out) {
  if (is_escaped_) {
    out += kOperatorStart;
    out += last_byte;
    is_escaped_ = false;
    return;
  }
  is_escaped_ = last_byte == kCaseOperators[kEscape].back();
  const bool is_all = last_byte == kCaseOperators[kAllCaps].back();
  mode_ = is_escaped_ ? Mode::kSmall : (is_all ? Mode::kCapitals : Mode::kOneCapital);
}

}  // namespace pg
