#include "harness/recipe/recipe_identity.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/recipe/config_fields.h"
#include "harness/recipe/recipe_value.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"

namespace pg {
namespace {

bool is_at_baseline(std::string_view key, std::string_view value) {
  const auto baseline = recipe_baseline();
  return std::any_of(baseline.begin(), baseline.end(),
                     [&](const FrozenValue& b) { return b.key == key && b.value == value; });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> list_identifying(const Recipe& recipe,
                                                                  Affects stages) {
  std::vector<std::pair<std::string, std::string>> keys;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, const auto& member) {
    if (!is_identifying(info, stages)) return;
    keys.emplace_back(fmt::format("{}.{}", section, info.key), format_value(member));
  });
  return keys;
}

std::string list_identity(const Recipe& recipe, Affects stages) {
  std::string text;
  for (const auto& [key, value] : list_identifying(recipe, stages)) {
    if (!is_at_baseline(key, value)) text += fmt::format("{}={}\n", key, value);
  }
  return text;
}

std::string hash_recipe(const Recipe& recipe) {
  return hex(sha256(
      as_bytes(list_identity(recipe, Affects::kTraining | Affects::kPacking | Affects::kScoring))));
}

uint64_t identify_training(const Recipe& recipe, uint64_t data_fingerprint) {
  const std::string text =
      list_identity(recipe, Affects::kTraining) + fmt::format("data={:016x}\n", data_fingerprint);
  return fnv1a(as_bytes(text));
}

}  // namespace pg
