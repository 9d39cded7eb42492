// `train_gpt recipe`: the effective recipe, or all keys.
#include <fmt/format.h>

#include <cstdio>

#include "harness/command/commands.h"
#include "harness/recipe/idle_keys.h"
#include "harness/recipe/recipe.h"
#include "src/text/terminal_text.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

struct RecipeWords {
  std::filesystem::path recipe;  // empty: the defaults
  std::vector<std::string> sets;
  bool help_keys = false;
};

std::vector<Option> list_options(RecipeWords& w) {
  return {
      {.name = "recipe", .value = &w.recipe, .help = "recipe.toml; the defaults without it"},
      set_option(w.sets),
      {.name = "--help-keys",
       .value = &w.help_keys,
       .help = "every key with unit, range, default and environment name"},
  };
}

int print_recipe(const RecipeWords& words, Clock&) {
  if (words.help_keys) {
    fmt::print("{}", describe_recipe_keys(text_columns(stdout)));
    return 0;
  }
  const LoadedRecipe loaded = load_recipe_and_environment(words.recipe, words.sets);
  fmt::print("{}", write_recipe(loaded.recipe, RecipeComments::kHelp));
  for (const RecipeOverride& o : loaded.overrides) {
    std::fputs(fmt::format("{} = {} from {}\n", o.key, escape_terminal(o.value), o.source).c_str(),
               stderr);
  }
  for (const IdleKey& idle : find_idle_keys(loaded.recipe)) {
    std::fputs(("warning: " + escape_terminal(idle.sentence()) + "\n").c_str(), stderr);
  }
  check_recipe(loaded.recipe);
  return 0;
}

}  // namespace

Command make_recipe_command() {
  return make_command<RecipeWords>("recipe", "print the effective recipe, or all keys",
                                   list_options, print_recipe);
}

}  // namespace pg
