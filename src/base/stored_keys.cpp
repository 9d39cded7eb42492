#include "src/base/stored_keys.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace pg {
namespace {

std::string_view find_frozen(std::span<const FrozenValue> frozen, std::string_view key) {
  const auto at = std::find_if(frozen.begin(), frozen.end(),
                               [&](const FrozenValue& value) { return value.key == key; });
  PG_CHECK(at != frozen.end(), "a stored key has no frozen value");
  return at->value;
}

// from_chars knows no locale, leading space or trailing rubbish. One number has one text.
template <class Number>
bool read_number(std::string_view text, Number& number, const FieldInfo& info) {
  Number read = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
  const auto real = static_cast<double>(read);
  // Written so that a NaN fails.
  if (error != std::errc() || end != text.data() + text.size() || format_value(read) != text ||
      !(real >= info.min && real <= info.max)) {
    return false;
  }
  number = read;
  return true;
}

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

}  // namespace

std::string format_value(int64_t value) { return std::to_string(value); }
std::string format_value(double value) {
  const double size = std::fabs(value);
  const bool is_fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  char digits[32];
  const auto end =
      std::to_chars(digits, digits + sizeof digits, value,
                    is_fixed ? std::chars_format::fixed : std::chars_format::scientific)
          .ptr;
  const std::string text(digits, end);
  const bool is_integral = text.find_first_not_of("-0123456789") == std::string::npos;
  return is_integral ? text + ".0" : text;  // without the point TOML reads an integer
}
std::string format_value(bool value) { return value ? "true" : "false"; }

void KeyWriter::add(const std::string& key, const std::string& value) {
  PG_CHECK(value.find('\n') == std::string::npos, "a stored value is one line");
  if (find_frozen(frozen_, key) != value) text_ += key + '=' + value + '\n';
}

KeyReader::KeyReader(std::string_view text, std::span<const FrozenValue> frozen) : frozen_(frozen) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const size_t equals = line.find('=');
    const auto is_quote = [](char c) { return c == '"'; };
    if (end == text.size() || equals == std::string_view::npos ||
        !is_plain(line.substr(0, equals)) ||
        std::count_if(line.begin(), line.end(), is_quote) > 2) {
      error_ = "its keys are damaged";
      return;
    }
    lines_.push_back({line.substr(0, equals), line.substr(equals + 1)});
    text.remove_prefix(end + 1);
  }
}

std::string_view KeyReader::take(std::string_view key) {
  for (Line& line : lines_) {
    if (line.key != key || line.is_taken) continue;
    line.is_taken = true;
    return line.value;
  }
  return find_frozen(frozen_, key);
}

void KeyReader::fail(std::string_view key, std::string_view value) {
  if (!error_.empty()) return;
  const bool is_quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  const std::string_view bare = is_quoted ? value.substr(1, value.size() - 2) : value;
  error_ = std::string(key) + " is out of range: \"" +
           std::string(is_plain(bare) ? bare : std::string_view("?")) + '"';
}

std::string KeyReader::finish() const {
  if (!error_.empty()) return error_;
  for (const Line& line : lines_) {
    if (!line.is_taken) {
      return "unknown key: \"" + std::string(line.key) +
             "\"; a later program wrote it, or it stands there twice";
    }
  }
  return "";
}

bool KeyReader::read(std::string_view text, int64_t& value, const FieldInfo& info) {
  return read_number(text, value, info);
}
bool KeyReader::read(std::string_view text, double& value, const FieldInfo& info) {
  return read_number(text, value, info);
}
bool KeyReader::read(std::string_view text, bool& value, const FieldInfo& /*info*/) {
  value = text == "true";
  return value || text == "false";
}
bool KeyReader::read(std::string_view text, std::string& value, const FieldInfo& /*info*/) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  value = text.substr(1, text.size() - 2);
  return is_plain(value);
}

}  // namespace pg
