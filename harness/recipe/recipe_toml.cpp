// Recipe files: the only place that knows toml++, a header that takes seconds to compile.
#include <fmt/format.h>
#include <toml++/toml.h>

#include "harness/recipe/recipe_value.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/file_kind.h"
#include "src/text/nearest_name.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

ValuePlace place_of(std::string_view label, const toml::source_position& position) {
  return {fmt::format("{}:{}: ", label, position.line)};
}

RecipeValue read_value(const toml::node& node, std::string_view full_key, const ValuePlace& place) {
  if (const auto* v = node.as_integer()) return v->get();
  if (const auto* v = node.as_floating_point()) return v->get();
  if (const auto* v = node.as_boolean()) return v->get();
  if (const auto* v = node.as_string()) return v->get();
  throw Error(fmt::format(
      "{}wrong type for {}: an array, table or date; give one number, text, true or false",
      place.prefix, escape_terminal(full_key)));
}

[[noreturn]] void fail_unknown_section(std::string_view section, const ValuePlace& place) {
  const std::vector<std::string> sections = list_sections();
  const std::string nearest = find_nearest_name(section, sections);
  throw Error(fmt::format("{}unknown section: \"{}\"; {}", place.prefix, escape_terminal(section),
                          nearest.empty()
                              ? fmt::format("sections are {}", fmt::join(sections, ", "))
                              : fmt::format("did you mean \"{}\"?", nearest)));
}

}  // namespace

std::optional<std::string> read_toml_string(std::string_view text) {
  try {
    const toml::table table = toml::parse(fmt::format("v = {}\n", text));
    const auto* value = table.size() == 1 ? table.get_as<std::string>("v") : nullptr;
    if (value != nullptr) return value->get();
  } catch (const toml::parse_error&) {
  }
  return std::nullopt;
}

void apply_toml(Recipe& recipe, std::string_view text, std::string_view label) {
  toml::table file;
  try {
    file = toml::parse(text, label);
  } catch (const toml::parse_error& error) {
    const std::string_view foreign = describe_foreign_file(as_bytes(text));
    if (!foreign.empty()) throw Error(fmt::format("no recipe: \"{}\" is {}", label, foreign));
    throw Error(fmt::format("{}not valid TOML: {}; mend this line",
                            place_of(label, error.source().begin).prefix,
                            escape_terminal(error.description())));
  }
  const std::vector<std::string> sections = list_sections();
  for (const auto& [section_key, section_node] : file) {
    const std::string_view section = section_key.str();
    const ValuePlace section_place = place_of(label, section_key.source().begin);
    const toml::table* section_table = section_node.as_table();
    if (section_table == nullptr) fail_unknown_key(section, section_place);
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) {
      fail_unknown_section(section, section_place);
    }
    for (const auto& [key, node] : *section_table) {
      const std::string full_key = fmt::format("{}.{}", section, key.str());
      const ValuePlace place = place_of(label, key.source().begin);
      set_recipe_value(recipe, full_key, read_value(node, full_key, place), place);
    }
  }
}

}  // namespace pg
