// Suite files, by toml++. Every key is named once, in read_suite_table and read_arm.
#include "harness/ablate/ablation_suite.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <set>

#include "harness/record/seed_set.h"
#include "src/base/error.h"
#include "src/text/nearest_name.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxArmNameBytes = 64;
constexpr int64_t kMaxSteps = 1'000'000'000;
constexpr int64_t kMaxSeed = int64_t{1} << 53;
// What the suite says of every run; an arm that set one of them would not be compared with the base.
constexpr auto kOwnKeys =
    std::to_array<std::string_view>({"train.seed", "train.max_steps", "train.wallclock_s"});

// One table of the file; remembers which keys were asked for.
class Table {
 public:
  Table(const toml::table& table, std::string_view label, const char* what)
      : table_(table), label_(label), what_(what) {}

  std::string place(const toml::source_region& source) const {
    return fmt::format("{}:{}: ", label_, source.begin.line);
  }
  std::string place() const { return place(table_.source()); }
  std::string place_of(const char* key) const {
    return table_.contains(key) ? place(table_.get(key)->source()) : place();
  }
  bool has(const char* key) {
    if (std::ranges::count(known_, key) == 0) known_.emplace_back(key);
    return table_.contains(key);
  }
  std::string text(const char* key, bool is_required = false) {
    return has(key) ? typed<std::string>(key, "a text") : missing<std::string>(key, is_required);
  }
  int64_t whole(const char* key, int64_t fallback, int64_t least, int64_t most) {
    if (!has(key)) return fallback;
    const auto value = typed<int64_t>(key, "a whole number");
    if (value < least || value > most) {
      throw Error(fmt::format("{}{} of {} is out of range: \"{}\"; give {} to {}", place_of(key),
                              key, what_, value, least, most));
    }
    return value;
  }
  double number(const char* key) {
    has(key);
    const toml::node* node = table_.get(key);
    if (const auto* value = node->as_floating_point()) return value->get();
    return static_cast<double>(typed<int64_t>(key, "a number"));
  }
  template <class Value>
  std::vector<Value> list(const char* key, const char* of) {
    std::vector<Value> values;
    if (!has(key)) return values;
    const toml::array* array = table_.get(key)->as_array();
    if (array == nullptr) fail_type(key, fmt::format("a list of {}", of));
    for (const toml::node& node : *array) {
      const auto* value = node.as<Value>();
      if (value == nullptr) fail_type(key, fmt::format("a list of {}", of));
      values.push_back(value->get());
    }
    return values;
  }
  // Throws where the table has a key that nobody asked for.
  void require_known() const {
    for (const auto& [key, node] : table_) {
      if (std::ranges::find(known_, key.str()) != known_.end()) continue;
      const std::string nearest = find_nearest_name(key.str(), known_);
      throw Error(fmt::format("{}unknown key of {}: \"{}\"; {}", place(key.source()), what_,
                              escape_terminal(key.str()),
                              nearest.empty() ? fmt::format("there are {}", fmt::join(known_, ", "))
                                              : fmt::format("did you mean \"{}\"?", nearest)));
    }
  }
  [[noreturn]] void fail_missing(const char* key) const {
    throw Error(fmt::format("{}{} has no {}; give one", place(), what_, key));
  }

 private:
  template <class Value>
  Value typed(const char* key, const char* type) const {
    const auto* value = table_.get(key)->as<Value>();
    if (value == nullptr) fail_type(key, type);
    return value->get();
  }
  template <class Value>
  Value missing(const char* key, bool is_required) const {
    if (is_required) fail_missing(key);
    return {};
  }
  [[noreturn]] void fail_type(const char* key, const std::string& type) const {
    throw Error(fmt::format("{}wrong type for {} of {}; give {}", place_of(key), key, what_, type));
  }

  const toml::table& table_;
  std::string_view label_;
  const char* what_;
  std::vector<std::string> known_;
};

std::vector<std::string> read_sets(Table& table) {
  std::vector<std::string> sets = table.list<std::string>("sets", "texts, \"section.key=value\"");
  for (const std::string& set : sets) {
    if (set.find('=') == std::string::npos) {
      throw Error(fmt::format("{}no value: \"{}\"; write \"section.key=value\"",
                              table.place_of("sets"), escape_terminal(set)));
    }
    if (is_key_of_suite(set)) {
      throw Error(fmt::format(
          "{}\"{}\" is for the suite to say, by its steps, seeds and equal; take it out",
          table.place_of("sets"), escape_terminal(set)));
    }
  }
  return sets;
}

std::vector<int64_t> read_seeds(Table& table, const char* key) {
  std::vector<int64_t> seeds = table.list<int64_t>(key, "whole numbers");
  for (const int64_t seed : seeds) {
    if (seed < 0 || seed > kMaxSeed || std::ranges::count(seeds, seed) > 1) {
      throw Error(fmt::format("{}{}: \"{}\" is no seed, or stands there twice; each is run once",
                              table.place_of(key), key, seed));
    }
  }
  return seeds;
}

void check_name(const Table& table, const std::string& name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  const bool is_good = !name.empty() && name.size() <= kMaxArmNameBytes && name.front() != '-' &&
                       std::ranges::all_of(name, is_plain);
  if (is_good && name != kBaseName) return;
  throw Error(fmt::format(
      "{}no name for an arm: \"{}\"; give letters, digits, - and _, at most {} of them, other than "
      "\"{}\": its folder is called so",
      table.place_of("name"), escape_terminal(name), kMaxArmNameBytes, kBaseName));
}

void read_suite_table(Table& table, AblationSuite& suite) {
  suite.name = table.text("name", /*is_required=*/true);
  suite.note = table.text("note");
  suite.recipe = table.text("recipe", /*is_required=*/true);
  suite.sets = read_sets(table);
  suite.seeds = read_seeds(table, "seeds");
  if (suite.seeds.empty()) table.fail_missing("seeds");
  suite.base_seeds = read_seeds(table, "base_seeds");
  if (suite.base_seeds.empty()) suite.base_seeds = suite.seeds;
  for (const int64_t seed : suite.seeds) {
    if (std::ranges::count(suite.base_seeds, seed) > 0) continue;
    throw Error(fmt::format(
        "{}base_seeds lacks \"{}\" of seeds: an arm is compared with the base's run of the same "
        "seed; add it",
        table.place_of("base_seeds"), seed));
  }
  const std::string equal = table.text("equal", /*is_required=*/true);
  const auto choice = find_choice<EqualBy>(equal);
  if (!choice) {
    throw Error(fmt::format("{}unknown equal: \"{}\"; use {}", table.place_of("equal"),
                            escape_terminal(equal), fmt::join(kChoiceNames<EqualBy>, ", ")));
  }
  suite.equal = *choice;
  suite.steps = table.whole("steps", 0, 1, kMaxSteps);
  if (suite.steps == 0) table.fail_missing("steps");
  suite.rehearsal_steps = table.whole("rehearsal_steps", suite.rehearsal_steps, 3, kMaxSteps);
  suite.rehearsal_rounds = table.whole("rehearsal_rounds", suite.rehearsal_rounds, 1, 1000);
  table.require_known();
}

std::optional<PublishedDelta> read_published(Table& table) {
  const std::string source = table.text("published_in");
  const std::string unit = table.text("published_unit");
  if (!table.has("published_delta")) {
    if (source.empty() && unit.empty()) return {};
    table.fail_missing("published_delta");
  }
  PublishedDelta published;
  published.delta = table.number("published_delta");
  published.source = source;
  const auto choice = find_choice<DeltaUnit>(unit);
  if (!choice) {
    throw Error(
        fmt::format("{}published_delta has no unit that is known: \"{}\"; give "
                    "published_unit as {}",
                    table.place_of("published_delta"), escape_terminal(unit),
                    fmt::join(kChoiceNames<DeltaUnit>, " or ")));
  }
  published.unit = *choice;
  return published;
}

AblationArm read_arm(Table& table) {
  AblationArm arm;
  arm.name = table.text("name", /*is_required=*/true);
  check_name(table, arm.name);
  arm.sets = read_sets(table);
  arm.note = table.text("note");
  arm.against = table.text("against");
  arm.published = read_published(table);
  table.require_known();
  return arm;
}

void read_arms(const toml::node& node, std::string_view label, AblationSuite& suite) {
  const toml::array* arms = node.as_array();
  if (arms == nullptr || !arms->is_homogeneous<toml::table>()) {
    throw Error(fmt::format("{}:{}: arm is no list of tables; write [[arm]] above each", label,
                            node.source().begin.line));
  }
  for (const toml::node& item : *arms) {
    Table table(*item.as_table(), label, "[[arm]]");
    AblationArm arm = read_arm(table);
    if (suite.find_arm(arm.name) != nullptr) {
      throw Error(fmt::format("{}a second arm \"{}\"; give each a name of its own",
                              table.place_of("name"), arm.name));
    }
    // One that stands above it: the table reads from the top, and none can be compared with itself.
    if (!arm.against.empty() && suite.find_arm(arm.against) == nullptr) {
      throw Error(
          fmt::format("{}against: no arm \"{}\" above \"{}\"; name one, or leave it out for "
                      "the base",
                      table.place_of("against"), escape_terminal(arm.against), arm.name));
    }
    suite.arms.push_back(std::move(arm));
  }
}

std::string list_sets(const std::vector<std::string>& sets) {
  return sets.empty() ? "none" : fmt::format("{}", fmt::join(sets, " "));
}

// The first of `before` that `now` lacks.
std::optional<int64_t> find_lost_seed(const std::vector<int64_t>& before,
                                      const std::vector<int64_t>& now) {
  for (const int64_t seed : before) {
    if (std::ranges::count(now, seed) == 0) return seed;
  }
  return {};
}

}  // namespace

bool is_key_of_suite(std::string_view assignment) {
  return std::ranges::count(kOwnKeys, assignment.substr(0, assignment.find('='))) > 0;
}

const AblationArm* AblationSuite::find_arm(std::string_view arm) const {
  const auto found = std::ranges::find(arms, arm, &AblationArm::name);
  return found == arms.end() ? nullptr : &*found;
}

AblationSuite read_suite(std::string_view text, std::string_view label) {
  toml::table file;
  try {
    file = toml::parse(text, label);
  } catch (const toml::parse_error& error) {
    throw Error(fmt::format("{}:{}: not valid TOML: {}; mend this line", label,
                            error.source().begin.line, escape_terminal(error.description())));
  }
  AblationSuite suite;
  bool has_suite = false;
  for (const auto& [key, node] : file) {
    if (key.str() == "suite" && node.is_table()) {
      Table table(*node.as_table(), label, "[suite]");
      read_suite_table(table, suite);
      has_suite = true;
    } else if (key.str() == "arm") {
      read_arms(node, label, suite);
    } else {
      throw Error(fmt::format("{}:{}: unknown table: \"{}\"; a suite has [suite] and [[arm]]",
                              label, key.source().begin.line, escape_terminal(key.str())));
    }
  }
  if (!has_suite) throw Error(fmt::format("{}: no suite: it has no [suite]; add it", label));
  if (suite.arms.empty()) throw Error(fmt::format("{}: the suite has no [[arm]]; add one", label));
  return suite;
}

std::string find_suite_change(const AblationSuite& before, const AblationSuite& now,
                              const std::vector<std::string>& renewed) {
  if (before.equal != now.equal) {
    return fmt::format("equal is \"{}\", was \"{}\"", choice_name(now.equal),
                       choice_name(before.equal));
  }
  if (before.steps != now.steps) {
    return fmt::format("steps is {}, was {}", now.steps, before.steps);
  }
  if (const auto lost = find_lost_seed(before.base_seeds, now.base_seeds)) {
    return fmt::format("base_seeds lacks {}, which was run", *lost);
  }
  if (const auto lost = find_lost_seed(before.seeds, now.seeds)) {
    return fmt::format("seeds lacks {}, which was run", *lost);
  }
  for (const AblationArm& arm : before.arms) {
    if (std::ranges::count(renewed, arm.name) > 0) continue;
    const AblationArm* same = now.find_arm(arm.name);
    if (same == nullptr) return fmt::format("arm \"{}\" is gone", arm.name);
    if (same->sets != arm.sets) {
      return fmt::format("arm \"{}\" has the keys {}, had {}", arm.name, list_sets(same->sets),
                         list_sets(arm.sets));
    }
  }
  return "";
}

fs::path arm_folder(const fs::path& suite, std::string_view arm, int64_t seed) {
  return seed_folder(suite / arm, seed);
}

}  // namespace pg
