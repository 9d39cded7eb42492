// A recipe: everything that decides a run. It comes from a TOML file, then the community's
// environment variables, then
// --set; the later one wins. Every key is typed and range-checked wherever it comes from.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eval/learn/ttt_config.h"
#include "eval/mix/mix_config.h"
#include "eval/score/eval_config.h"
#include "eval/scoring_config.h"
#include "harness/recipe/track_config.h"
#include "quant/format/quant_config.h"
#include "src/base/field.h"
#include "src/data/data_config.h"
#include "src/model/model_config.h"
#include "src/train/train_config.h"

namespace pg {

struct Recipe {
  TrackConfig track;
  DataConfig data;
  ModelConfig model;
  TrainConfig train;
  OptimizerConfig optimizer;
  QuantConfig quant;
  EvalConfig eval;
  TttConfig ttt;
  MixConfig mix;

  ScoringConfig scoring() const { return {eval, ttt, mix}; }
  RecordConfig record;
};

// Gives the value of an environment variable, or null. std::getenv in the program, a map in tests.
using EnvironmentLookup = std::function<const char*(const char* name)>;

// A key that something other than the file set, for the log.
struct RecipeOverride {
  std::string source;  // "MATRIX_LR", "--set"
  std::string key;     // "optimizer.matrix_lr"
  std::string value;
};

struct LoadedRecipe {
  Recipe recipe;
  std::vector<RecipeOverride> overrides;
};

// File, then environment, then each "section.key=value" of `sets`. Throws Error with file and line,
// the offending value and the nearest known name or the allowed range, and for a community variable
// that would be ignored. Gives model.rope_context its value where it is left at 0. Does not check keys
// against each other: check_recipe does.
LoadedRecipe load_recipe(const std::filesystem::path& file, const std::vector<std::string>& sets,
                         const EnvironmentLookup& environment);

// A model.rope_context that matters and is left at 0 becomes train.seq_len.
void settle_rope_context(Recipe& recipe);

// The steps of load_recipe. `label` names the text in messages.
void apply_toml(Recipe& recipe, std::string_view text, std::string_view label);
void apply_environment(Recipe& recipe, const EnvironmentLookup& environment,
                       std::vector<RecipeOverride>& overrides);
RecipeOverride apply_override(Recipe& recipe, std::string_view assignment);

// Throws Error when keys do not fit each other.
void check_recipe(const Recipe& recipe);

// Which keys of the table something is about.
using KeyFilter = std::function<bool(const FieldInfo&)>;
inline bool every_key(const FieldInfo&) { return true; }

enum class RecipeComments : uint8_t { kNone, kHelp };
// The keys, in table order: the same recipe always gives the same text, and reading it back gives
// the same recipe.
std::string write_recipe(const Recipe& recipe, RecipeComments comments = RecipeComments::kNone,
                         const KeyFilter& is_kept = every_key);

// Every key with unit, range, default, environment name and help, in lines of at most `columns`, for
// `train_gpt recipe --help-keys`.
std::string describe_recipe_keys(int64_t columns);

// The first key in which two recipes differ: "train.seed is 42, was 1337"; empty when they are
// equal.
std::string describe_difference(const Recipe& now, const Recipe& before,
                                const KeyFilter& is_compared = every_key);

}  // namespace pg
