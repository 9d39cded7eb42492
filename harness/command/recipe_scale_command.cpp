// `train_gpt recipe scale`: a recipe of 10min_16mb for the CPU track.
#include <fmt/format.h>

#include "harness/command/commands.h"
#include "harness/recipe/recipe_changes.h"
#include "harness/recipe/scale_recipe.h"

namespace pg {
namespace {

struct ScaleWords {
  std::filesystem::path recipe;
  std::vector<std::string> sets;
  bool rule = false;
};

std::vector<Option> list_scale(ScaleWords& w) {
  return {
      {.name = "recipe",
       .value = &w.recipe,
       .help = "recipe.toml of track 10min_16mb; the defaults without it"},
      set_option(w.sets),
      {.name = "--rule", .value = &w.rule, .help = "print the rule, a key a line"},
  };
}

int print_scaled(const ScaleWords& words, Clock&) {
  if (words.rule) {
    for (const auto& [key, rule] : scaling_rule()) fmt::print("{:<38}{}\n", key, rule);
    return 0;
  }
  const Recipe recipe = load_recipe_and_environment(words.recipe, words.sets).recipe;
  const Recipe scaled = scale_to_cpu(recipe);
  check_recipe(scaled);
  const std::string from =
      words.recipe.empty() ? "the defaults" : fmt::format("\"{}\"", words.recipe.string());
  fmt::print("# Of {} by the rule of \"train_gpt recipe scale --rule\".\n\n{}", from,
             write_changes(list_changes(scaled, Recipe())));
  return 0;
}

}  // namespace

Command make_recipe_scale_command() {
  return make_command<ScaleWords>("recipe scale", "a recipe of 10min_16mb for the CPU track",
                                  list_scale, print_scaled);
}

}  // namespace pg
