// One recipe value on its way from text into a typed, range-checked field.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "harness/recipe/recipe.h"
#include "src/base/field.h"
#include "src/base/stored_keys.h"

namespace pg {

// A value as TOML types it, or plain text from the environment or the command line, whose type the
// field decides; text in quotes is read as TOML reads it.
struct PlainText {
  std::string text;
};
using RecipeValue = std::variant<int64_t, double, bool, std::string, PlainText>;

// Where a value came from, ready to stand before a message: "recipe.toml:7: ".
struct ValuePlace {
  std::string prefix;
};

// The text of a TOML string, "x" or 'x', whose quotes are part of `text`; empty when it is none.
std::optional<std::string> read_toml_string(std::string_view text);  // recipe_toml.cpp

// Sets "section.key"; throws Error for an unknown key, a wrong type, a value out of range or an
// unknown choice.
void set_recipe_value(Recipe& recipe, std::string_view full_key, const RecipeValue& value,
                      const ValuePlace& place);

// Section names in table order.
std::vector<std::string> list_sections();
// Throws Error that names the nearest known key.
[[noreturn]] void fail_unknown_key(std::string_view full_key, const ValuePlace& place);

// As in the canonical recipe, beside those of numbers (src/base/stored_keys.h).
std::string format_value(const std::string& value);  // quoted
template <class Choice>
requires std::is_enum_v<Choice> std::string format_value(Choice value) {  // its name, quoted
  return format_value(std::string(choice_name(value)));
}

// "1 to 128", "at most 5 s", "a|b|c"; empty when everything is allowed.
std::string describe_range(const FieldInfo& info);

}  // namespace pg
