#include "harness/command/scoring_session.h"

#include <algorithm>

#include "eval/score.h"
#include "harness/command/artifact_file.h"
#include "harness/command/cli.h"
#include "harness/command/data_checks.h"
#include "harness/command/recipe_path.h"
#include "src/base/error.h"
#include "src/data/corpus/open_data.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

LoadedRecipe load_scoring_recipe(const ScoringWords& words) {
  std::vector<std::string> sets = words.sets;
  if (!words.val_shards.empty()) sets.push_back("data.val_shards=" + words.val_shards);
  if (!words.tokenizer.empty()) sets.push_back("data.tokenizer=" + words.tokenizer);
  if (!words.device.empty()) sets.push_back("track.device=" + words.device);
  return load_recipe(words.recipe, sets, process_environment);
}

// An artifact knows the window it is to be scored with; a recipe or a key given by hand wins.
void take_scoring_form(const UnpackedModel& model, bool has_recipe,
                       const std::vector<RecipeOverride>& overrides, EvalConfig& eval) {
  const auto is_given = [&](const char* key) {
    return has_recipe || std::any_of(overrides.begin(), overrides.end(),
                                     [&](const RecipeOverride& o) { return o.key == key; });
  };
  if (!is_given("eval.context")) eval.context = model.scoring().context;
  if (!is_given("eval.stride")) eval.stride = std::min(model.scoring().stride, eval.context);
}

}  // namespace

std::vector<Option> list_scoring_options(ScoringWords& words, const std::vector<Option>& own) {
  std::vector<Option> options = {
      {.name = "artifact",
       .value = &words.artifact,
       .help = "final_model.int6.bin",
       .is_required = true},
      {.name = "--recipe",
       .value = &words.recipe,
       .help = "recipe.toml of the run: takes data, tokenizer and [eval] from it"},
      {.name = "--data", .value = &words.val_shards, .help = "validation shards: a file or a glob"},
      {.name = "--tokenizer", .value = &words.tokenizer, .help = "SentencePiece .model file"},
  };
  options.insert(options.end(), own.begin(), own.end());
  options.push_back({.name = "--device", .value = &words.device, .help = "default cpu"});
  options.push_back(set_option(words.sets));
  return options;
}

OpenedModel open_model(const std::filesystem::path& artifact,
                       const std::filesystem::path& tokenizer, const std::string& device) {
  OpenedModel opened = {unpack_file(artifact),
                        open_recipe_path(tokenizer.string(), open_tokenizer_file),
                        make_device(device)};
  check_tokenizer(opened.model, opened.tokenizer);
  return opened;
}

ScoringSession open_scoring_session(const ScoringWords& words, SessionText text,
                                    const char* missing) {
  auto [recipe, overrides] = load_scoring_recipe(words);
  const bool needs_shards = text == SessionText::kShards;
  if (recipe.data.tokenizer.empty() || (needs_shards && recipe.data.val_shards.empty())) {
    throw Error(missing);
  }
  auto [model, tokenizer, device] =
      open_model(words.artifact, recipe.data.tokenizer, recipe.track.device);
  take_scoring_form(model, !words.recipe.empty(), overrides, recipe.eval);
  std::optional<TokenStream> val;
  if (needs_shards) {
    check_scored_files(recipe.data, tokenizer);
    const int64_t vocab_size = model.config().vocab_size;
    val = open_recipe_path(recipe.data.val_shards, [&](const std::string& shards) {
      return open_shard_files(shards, vocab_size);
    });
    check_scored_tokens(recipe.data, tokenizer, *val);
  }
  return {std::move(model), std::move(tokenizer), std::move(device), std::move(recipe),
          std::move(val)};
}

}  // namespace pg
