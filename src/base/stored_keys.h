// Config fields as an artifact stores them: lines "section.key=value", in the order of the fields'
// visitor, without those whose value is the frozen one. So a key that a later version adds is in no
// older file, and a file means the same whatever a build's defaults are.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/field.h"

namespace pg {

// The value of a key that a file does not name. Once in a table it never changes; a new key is added
// at the value that computes what was computed without it.
struct FrozenValue {
  std::string_view key, value;  // "model.layers", "11"
};

// The shortest text that reads back to the same value; a real has a point or an exponent.
std::string format_value(int64_t value);
std::string format_value(double value);
std::string format_value(bool value);

// As above; a text and a choice's name stand in quotes, and hold none.
template <class Member>
std::string format_stored(const Member& member) {
  if constexpr (std::is_enum_v<Member>) {
    return '"' + std::string(choice_name(member)) + '"';
  } else if constexpr (std::is_same_v<Member, std::string>) {
    return '"' + member + '"';
  } else {
    return format_value(member);
  }
}

// What a visitor of fields writes: writer(section, info, member) for each.
class KeyWriter {
 public:
  explicit KeyWriter(std::span<const FrozenValue> frozen) : frozen_(frozen) {}

  template <class Member>
  void operator()(const char* section, const FieldInfo& info, const Member& member) {
    add(std::string(section) + '.' + info.key, format_stored(member));
  }
  const std::string& text() const { return text_; }

 private:
  void add(const std::string& key, const std::string& value);

  std::span<const FrozenValue> frozen_;
  std::string text_;
};

// What a visitor of fields reads, from a stranger's text.
class KeyReader {
 public:
  KeyReader(std::string_view text, std::span<const FrozenValue> frozen);

  template <class Member>
  void operator()(const char* section, const FieldInfo& info, Member& member) {
    const std::string key = std::string(section) + '.' + info.key;
    const std::string_view value = take(key);
    bool is_good = false;
    if constexpr (std::is_enum_v<Member>) {
      std::string name;
      const auto choice = read(value, name, info) ? find_choice<Member>(name) : std::nullopt;
      member = choice.value_or(member);
      is_good = choice.has_value();
    } else {
      is_good = read(value, member, info);
    }
    if (!is_good) fail(key, value);
  }
  // After all fields: the first defect, or empty.
  std::string finish() const;

 private:
  // The file's value, or the frozen one.
  std::string_view take(std::string_view key);
  void fail(std::string_view key, std::string_view value);

  static bool read(std::string_view text, int64_t& value, const FieldInfo& info);
  static bool read(std::string_view text, double& value, const FieldInfo& info);
  static bool read(std::string_view text, bool& value, const FieldInfo& info);
  static bool read(std::string_view text, std::string& value, const FieldInfo& info);

  struct Line {
    std::string_view key, value;
    bool is_taken = false;
  };
  std::vector<Line> lines_;
  std::span<const FrozenValue> frozen_;
  std::string error_;
};

}  // namespace pg
