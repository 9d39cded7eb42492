// Typed assignment of recipe keys: one place where every check happens, whatever the value came
// from.
#include "harness/recipe/recipe_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <type_traits>

#include "harness/recipe/config_fields.h"
#include "src/base/error.h"
#include "src/text/nearest_name.h"
#include "src/text/text_escape.h"
#include "src/text/utf8.h"

namespace pg {
namespace {

std::string show(const RecipeValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using Value = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<Value, PlainText>) {
          return escape_terminal(v.text);
        } else if constexpr (std::is_same_v<Value, std::string>) {
          return escape_terminal(v);
        } else {
          return format_value(v);
        }
      },
      value);
}

// The whole of `text` as a number; from_chars knows no locale, leading space or trailing rubbish.
template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool convert(const RecipeValue& value, int64_t& out) {
  if (const auto* v = std::get_if<int64_t>(&value)) return out = *v, true;
  const auto* plain = std::get_if<PlainText>(&value);
  return plain != nullptr && read_number(plain->text, out);
}

bool convert(const RecipeValue& value, double& out) {
  if (const auto* v = std::get_if<double>(&value)) return out = *v, std::isfinite(out);
  if (const auto* v = std::get_if<int64_t>(&value)) return out = static_cast<double>(*v), true;
  const auto* plain = std::get_if<PlainText>(&value);
  return plain != nullptr && read_number(plain->text, out) && std::isfinite(out);
}

bool convert(const RecipeValue& value, bool& out) {
  if (const auto* v = std::get_if<bool>(&value)) return out = *v, true;
  const auto* plain = std::get_if<PlainText>(&value);
  if (plain == nullptr) return false;
  const std::string& text = plain->text;
  out = text == "true" || text == "1";  // the community writes 1 and 0
  return out || text == "false" || text == "0";
}

bool convert(const RecipeValue& value, std::string& out) {
  if (const auto* v = std::get_if<std::string>(&value)) return out = *v, is_utf8(out);
  const auto* plain = std::get_if<PlainText>(&value);
  if (plain == nullptr || !is_utf8(plain->text)) return false;
  const std::string& text = plain->text;
  const bool is_quoted = text.size() >= 2 && text.front() == text.back() &&
                         (text.front() == '"' || text.front() == '\'');
  const auto unquoted = is_quoted ? read_toml_string(text) : std::optional(text);
  if (unquoted) out = *unquoted;
  return unquoted.has_value();
}

const char* type_name(const int64_t&) { return "an integer"; }
const char* type_name(const double&) { return "a number"; }
const char* type_name(const bool&) { return "true or false"; }
const char* type_name(const std::string&) { return "UTF-8 text in quotes"; }

bool is_in_range(const FieldInfo& info, int64_t value) {
  return static_cast<double>(value) >= info.min && static_cast<double>(value) <= info.max;
}
bool is_in_range(const FieldInfo& info, double value) {
  return value >= info.min && value <= info.max;
}
bool is_in_range(const FieldInfo&, bool) { return true; }

bool is_in_range(const FieldInfo&, const std::string&) { return true; }

template <class Member>
void assign(const FieldInfo& info, std::string_view full_key, const RecipeValue& value,
            const ValuePlace& place, Member& member) {
  // A choice is text until its name is found.
  std::conditional_t<std::is_enum_v<Member>, std::string, Member> converted = {};
  if (!convert(value, converted)) {
    throw Error(fmt::format("{}wrong type for {}: \"{}\"; give {}", place.prefix, full_key,
                            show(value), type_name(converted)));
  }
  bool is_allowed = is_in_range(info, converted);
  if constexpr (std::is_enum_v<Member>) {
    const std::optional<Member> choice = find_choice<Member>(converted);
    is_allowed = choice.has_value();
    member = choice.value_or(member);
  } else if (is_allowed) {
    member = converted;
  }
  if (!is_allowed) {
    throw Error(fmt::format("{}{} is out of range: \"{}\"; give {}", place.prefix, full_key,
                            show(value), describe_range(info)));
  }
}

std::string format_limit(double limit) {
  std::string text = fmt::format("{}", limit);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

}  // namespace

std::vector<std::string> list_sections() {
  std::vector<std::string> sections;
  const Recipe defaults;
  visit_recipe_fields(defaults, [&](const char* section, const FieldInfo&, auto&) {
    if (sections.empty() || sections.back() != section) sections.emplace_back(section);
  });
  return sections;
}

void fail_unknown_key(std::string_view full_key, const ValuePlace& place) {
  const std::string_view key = full_key.substr(full_key.find('.') + 1);
  std::vector<std::string> known, bare;  // "model.layers", "layers"
  std::string nearest;
  const Recipe defaults;
  visit_recipe_fields(defaults, [&](const char* section, const FieldInfo& info, auto&) {
    known.push_back(fmt::format("{}.{}", section, info.key));
    bare.emplace_back(info.key);
    if (nearest.empty() && key == info.key) nearest = known.back();  // right key, wrong section
  });
  if (nearest.empty()) nearest = find_nearest_name(full_key, known);
  if (nearest.empty()) {
    const auto found = std::find(bare.begin(), bare.end(), find_nearest_name(key, bare));
    if (found != bare.end()) nearest = known[static_cast<size_t>(found - bare.begin())];
  }
  throw Error(fmt::format("{}unknown key: \"{}\"; {}", place.prefix, escape_terminal(full_key),
                          nearest.empty() ? "see train_gpt recipe --help-keys"
                                          : fmt::format("did you mean \"{}\"?", nearest)));
}

void set_recipe_value(Recipe& recipe, std::string_view full_key, const RecipeValue& value,
                      const ValuePlace& place) {
  bool is_known = false;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, auto& member) {
    if (full_key != fmt::format("{}.{}", section, info.key)) return;
    is_known = true;
    assign(info, full_key, value, place, member);
  });
  if (!is_known) fail_unknown_key(full_key, place);
}

std::string format_value(const std::string& value) {
  return fmt::format("\"{}\"", escape_toml(value));
}

std::string describe_range(const FieldInfo& info) {
  if (!info.choices.empty()) return fmt::format("one of {}", fmt::join(info.choices, "|"));
  const std::string unit = *info.unit == '\0' ? "" : fmt::format(" {}", info.unit);
  const bool has_min = std::isfinite(info.min), has_max = std::isfinite(info.max);
  if (has_min && has_max) {
    return fmt::format("{} to {}{}", format_limit(info.min), format_limit(info.max), unit);
  }
  if (has_min) return fmt::format("at least {}{}", format_limit(info.min), unit);
  if (has_max) return fmt::format("at most {}{}", format_limit(info.max), unit);
  return {};
}

}  // namespace pg
