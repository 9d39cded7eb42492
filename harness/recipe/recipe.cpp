// Recipes: merging the three sources, the canonical text and the printed table of keys.
#include "harness/recipe/recipe.h"

#include <fmt/format.h>

#include "eval/check_scoring.h"
#include "harness/recipe/config_fields.h"
#include "harness/recipe/foreign_variables.h"
#include "harness/recipe/recipe_value.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/terminal_text.h"
#include "src/text/text_escape.h"
#include "src/train/check_training.h"
#include "src/train/phases.h"

namespace pg {

LoadedRecipe load_recipe(const std::filesystem::path& file, const std::vector<std::string>& sets,
                         const EnvironmentLookup& environment) {
  LoadedRecipe loaded;
  if (!file.empty()) apply_toml(loaded.recipe, read_text_file(file), file.string());
  check_foreign_variables(environment);
  apply_environment(loaded.recipe, environment, loaded.overrides);
  for (const std::string& assignment : sets) {
    loaded.overrides.push_back(apply_override(loaded.recipe, assignment));
  }
  settle_rope_context(loaded.recipe);
  return loaded;
}

void settle_rope_context(Recipe& recipe) {
  ModelConfig& model = recipe.model;
  if (model.rope_ntk_length > 0 && model.rope_context == 0) {
    model.rope_context = recipe.train.seq_len;
  }
}

void apply_environment(Recipe& recipe, const EnvironmentLookup& environment,
                       std::vector<RecipeOverride>& overrides) {
  if (!environment) return;
  std::vector<RecipeOverride> found;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, auto&) {
    if (*info.env == '\0') return;
    const char* value = environment(info.env);
    if (value == nullptr) return;
    found.push_back({info.env, fmt::format("{}.{}", section, info.key), value});
  });
  for (const RecipeOverride& o : found) {
    const ValuePlace place = {fmt::format("environment variable {}: ", o.source)};
    set_recipe_value(recipe, o.key, PlainText{o.value}, place);
    overrides.push_back(o);
  }
}

RecipeOverride apply_override(Recipe& recipe, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) {
    throw Error(fmt::format("--set: no value: \"{}\"; write --set section.key=value",
                            escape_terminal(assignment)));
  }
  const RecipeOverride o = {"--set", std::string(assignment.substr(0, equals)),
                            std::string(assignment.substr(equals + 1))};
  set_recipe_value(recipe, o.key, PlainText{o.value}, {"--set: "});
  return o;
}

void check_recipe(const Recipe& recipe) {
  const std::string model_problem = check_model_config(recipe.model);
  if (!model_problem.empty()) throw Error("recipe: [model] " + model_problem);
  const TrainConfig& train = recipe.train;
  const auto require_multiple = [](const char* key, int64_t value, const char* of, int64_t unit) {
    if (value % unit == 0) return;
    throw Error(fmt::format("recipe: {} is no multiple of {}: \"{}\"; the nearest is {}", key, of,
                            value, (value + unit - 1) / unit * unit));
  };
  require_multiple("train.micro_batch_tokens", train.micro_batch_tokens, "train.seq_len",
                   train.seq_len);
  require_multiple("train.batch_tokens", train.batch_tokens, "train.micro_batch_tokens",
                   train.micro_batch_tokens);
  check_training(recipe.model, train, recipe.optimizer);
  if (train.late_qat_lr > 0 && !has_grid_of_weights_alone(recipe.quant)) {
    throw Error(
        fmt::format("recipe: train.late_qat_lr is \"{}\", but the scales of [quant] are known at "
                    "the end alone; "
                    "set quant.fill_cap = false, quant.gradient_bits = false and quant.scales to "
                    "\"sdclip\", \"row_max\" or a gptq_lite form, or train.late_qat_lr = 0",
                    train.late_qat_lr));
  }
  check_phases(recipe.model, train, recipe.data.loader);
  if (const char* problem = find_gradient_bits_problem(recipe.quant)) {
    throw Error(fmt::format("recipe: {}", problem));
  }
  if (recipe.eval.stride > recipe.eval.context) {
    throw Error(
        fmt::format("recipe: eval.stride is larger than eval.context: \"{}\"; give at most {}",
                    recipe.eval.stride, recipe.eval.context));
  }
  check_scoring(recipe.scoring());
  if (recipe.ttt.kind != TttKind::kNone && recipe.ttt.lora_per_run &&
      recipe.model.loop_passes == 1) {
    throw Error(
        "recipe: ttt.lora_per_run is true, but no block runs twice; set model.loop_passes above 1, "
        "or ttt.lora_per_run = false");
  }
}

std::string write_recipe(const Recipe& recipe, RecipeComments comments, const KeyFilter& is_kept) {
  std::string text, section_before;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, const auto& member) {
    if (!is_kept(info)) return;
    if (section_before != section) {
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
      section_before = section;
    }
    if (comments == RecipeComments::kHelp) text += fmt::format("# {}\n", info.help);
    text += fmt::format("{} = {}\n", info.key, format_value(member));
  });
  return text;
}

std::string describe_recipe_keys(int64_t columns) {
  constexpr int64_t kIndent = 30;
  std::string text, section_before;
  const Recipe defaults;
  const auto add = [&](const char* key, const std::string& help) {
    text += wrap_text(fmt::format("  {:<28}{}", key, help), columns, kIndent);
  };
  visit_recipe_fields(defaults,
                      [&](const char* section, const FieldInfo& info, const auto& member) {
                        if (section_before != section) {
                          text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
                          section_before = section;
                        }
                        add(info.key, info.help);
                        std::string facts = fmt::format("default {}", format_value(member));
                        const std::string range = describe_range(info);
                        if (!range.empty()) facts += ", " + range;
                        if (range.empty() && *info.unit != '\0')
                          facts += fmt::format(", in {}", info.unit);
                        if (*info.env != '\0') facts += fmt::format(", environment {}", info.env);
                        add("", fmt::format("({})", facts));
                      });
  return text;
}

std::string describe_difference(const Recipe& now, const Recipe& before,
                                const KeyFilter& is_compared) {
  std::vector<std::string> values_before;
  visit_recipe_fields(before, [&](const char*, const FieldInfo&, const auto& member) {
    values_before.push_back(format_value(member));
  });
  std::string difference;
  size_t index = 0;
  visit_recipe_fields(now, [&](const char* section, const FieldInfo& info, const auto& member) {
    const std::string value = format_value(member), &was = values_before[index++];
    if (!difference.empty() || value == was || !is_compared(info)) return;
    difference = fmt::format("{}.{} is {}, was {}", section, info.key, value, was);
  });
  return difference;
}

}  // namespace pg
