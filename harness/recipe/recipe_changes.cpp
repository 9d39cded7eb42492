#include "harness/recipe/recipe_changes.h"

#include <fmt/format.h>

#include "harness/recipe/config_fields.h"
#include "harness/recipe/recipe_value.h"

namespace pg {

std::vector<KeyChange> list_changes(const Recipe& recipe, const Recipe& base) {
  std::vector<std::string> base_values;
  visit_recipe_fields(base, [&](const char*, const FieldInfo&, const auto& member) {
    base_values.push_back(format_value(member));
  });
  std::vector<KeyChange> changes;
  size_t index = 0;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, const auto& member) {
    std::string value = format_value(member);
    if (value != base_values[index++]) changes.push_back({section, info.key, std::move(value)});
  });
  return changes;
}

std::string write_changes(const std::vector<KeyChange>& changes) {
  std::string text, section_before;
  for (const auto& [section, key, value] : changes) {
    if (section != section_before) {
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
      section_before = section;
    }
    text += fmt::format("{} = {}\n", key, value);
  }
  return text;
}

}  // namespace pg
