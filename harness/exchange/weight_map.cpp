#include "harness/exchange/weight_map.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <charconv>
#include <sstream>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/nearest_name.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr std::string_view kNumber = "{n}";

toml::table parse(std::string_view text, const std::string& label) {
  try {
    return toml::parse(text, label);
  } catch (const toml::parse_error& error) {
    throw Error(fmt::format("{}:{}: not valid TOML: {}; mend this line", label,
                            error.source().begin.line, escape_terminal(error.description())));
  }
}

std::vector<std::string> read_texts(const toml::node& node, const std::string& where) {
  std::vector<std::string> texts;
  if (const auto* text = node.as_string()) texts.push_back(text->get());
  if (const auto* list = node.as_array()) {
    for (const toml::node& item : *list) {
      const auto* text = item.as_string();
      if (text == nullptr) texts.clear();
      if (text == nullptr) break;
      texts.push_back(text->get());
    }
  }
  if (!texts.empty()) return texts;
  throw Error(fmt::format("{}: give a name of a tensor as a text, or a list of such names", where));
}

std::string write_model(const toml::table& keys) {
  std::ostringstream text;
  text << toml::table{{"model", keys}} << '\n';
  return text.str();
}

// Rules in the order in which TOML++ sorts them are as good as any: no two of ours fit one name.
void add_rules(const toml::table& file, const std::string& label, WeightMap& map) {
  for (const auto& [key, node] : file) {
    const std::string_view name = key.str();
    if (name != "tensors" && name != "unused" && name != "model" && name != "models") {
      throw Error(fmt::format("{}: unknown key \"{}\"; a map has [model], [tensors] and unused",
                              label, escape_terminal(name)));
    }
  }
  if (const auto* tensors = file.get_as<toml::table>("tensors")) {
    for (const auto& [ours, theirs] : *tensors) {
      const std::string where =
          fmt::format("{}: tensors.\"{}\"", label, escape_terminal(ours.str()));
      map.rules.push_back({std::string(ours.str()), read_texts(theirs, where)});
    }
  } else if (file.contains("tensors")) {
    throw Error(fmt::format("{}: tensors is no table", label));
  }
  if (const toml::node* unused = file.get("unused")) {
    for (std::string& text : read_texts(*unused, label + ": unused")) {
      map.unused.push_back(std::move(text));
    }
  }
}

}  // namespace

int64_t match_pattern(std::string_view pattern, std::string_view name) {
  const size_t at = pattern.find(kNumber);
  if (at == std::string_view::npos) return pattern == name ? 0 : -1;
  const std::string_view head = pattern.substr(0, at), tail = pattern.substr(at + kNumber.size());
  if (name.size() < head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) {
    return -1;
  }
  const std::string_view digits = name.substr(head.size(), name.size() - head.size() - tail.size());
  int64_t number = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool is_number =
      error == std::errc() && end == digits.data() + digits.size() && number >= 0;
  return is_number ? number : -1;
}

std::vector<std::string> list_weight_maps() {
  std::vector<std::string> names;
  const toml::table file = parse(kPublicWeights, "public_weights.toml");
  for (const auto& [name, keys] : *file.get_as<toml::table>("models")) {
    names.emplace_back(name.str());
  }
  return names;
}

WeightMap find_weight_map(const std::string& name_or_file) {
  const toml::table known = parse(kPublicWeights, "public_weights.toml");
  WeightMap map;
  const toml::table* models = known.get_as<toml::table>("models");
  if (const auto* keys = models->get_as<toml::table>(name_or_file)) {
    map.model = write_model(*keys);
  } else if (name_or_file.ends_with(".toml")) {
    const toml::table own = parse(read_text_file(name_or_file), name_or_file);
    add_rules(own, name_or_file, map);
    if (const auto* model = own.get_as<toml::table>("model")) map.model = write_model(*model);
  } else {
    const std::vector<std::string> names = list_weight_maps();
    const std::string nearest = find_nearest_name(name_or_file, names);
    throw Error(fmt::format(
        "unknown map: \"{}\"; {}", escape_terminal(name_or_file),
        nearest.empty() ? fmt::format("give one of {}, or a .toml file", fmt::join(names, ", "))
                        : fmt::format("did you mean \"{}\"?", nearest)));
  }
  add_rules(known, "public_weights.toml", map);
  return map;
}

}  // namespace pg
