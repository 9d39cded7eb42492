#include "harness/command/scoring_session.h"

#include <fmt/format.h>

#include "eval/check_scoring.h"
#include "eval/score.h"
#include "eval/scoring_keys.h"
#include "harness/command/artifact_file.h"
#include "harness/command/cli.h"
#include "harness/command/data_checks.h"
#include "harness/command/recipe_path.h"
#include "harness/recipe/recipe_value.h"
#include "src/base/error.h"
#include "src/data/corpus/open_data.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

LoadedRecipe load_scoring_recipe(const ScoringWords& words) {
  std::vector<std::string> sets = words.sets;
  if (!words.val_shards.empty()) sets.push_back("data.val_shards=" + words.val_shards);
  if (!words.tokenizer.empty()) sets.push_back("data.tokenizer=" + words.tokenizer);
  return load_recipe_and_environment(words.recipe, sets);
}

Recipe with_scoring(Recipe recipe, const ScoringConfig& scoring) {
  recipe.eval = scoring.eval;
  recipe.ttt = scoring.ttt;
  recipe.mix = scoring.mix;
  return recipe;
}

bool is_scoring_key(std::string_view key) {
  return key.starts_with("eval.") || key.starts_with("ttt.") || key.starts_with("mix.");
}

// The artifact says how it is scored; a key given by hand wins, and then the score is not the
// artifact's own. Gives what differs, or "".
std::string take_scoring(const UnpackedModel& model, const std::vector<RecipeOverride>& overrides,
                         Recipe& recipe) {
  const ScoringConfig own = read_scoring(model, recipe.eval);
  const Recipe own_recipe = with_scoring(recipe, own);
  recipe = own_recipe;
  for (const RecipeOverride& o : overrides) {
    if (is_scoring_key(o.key)) set_recipe_value(recipe, o.key, PlainText{o.value}, {});
  }
  if (write_scoring_keys(recipe.scoring()) == model.scoring_keys()) return "";
  return describe_difference(recipe, own_recipe);
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
       .help = "recipe.toml of the run: takes data, tokenizer and the budget from it"},
      {.name = "--data", .value = &words.val_shards, .help = "validation shards: a file or a glob"},
      {.name = "--tokenizer", .value = &words.tokenizer, .help = "SentencePiece .model file"},
  };
  options.insert(options.end(), own.begin(), own.end());
  options.push_back({.name = "--device",
                     .value = &words.device,
                     .help = "default cpu:exact: the same digits on every processor"});
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
  const std::string exact(kExactDevice);
  auto [model, tokenizer, device] = open_model(words.artifact, recipe.data.tokenizer,
                                               !words.device.empty() ? words.device
                                               : words.is_fast       ? recipe.track.device
                                                                     : exact);
  recipe.track.device = device->name();
  TttConfig diagnosed = recipe.ttt;
  const std::string foreign = take_scoring(model, overrides, recipe);
  if (words.recipe.empty()) diagnosed = recipe.ttt;
  check_scoring(recipe.scoring());
  check_case_ops(recipe.eval, tokenizer);
  if (!foreign.empty() && words.needs_own_scoring) {
    throw Error(
        fmt::format("a text is coded as the artifact is scored: {}; leave the key out, or pack the "
                    "weights again "
                    "with it",
                    foreign));
  }
  std::optional<TokenStream> val;
  if (needs_shards) {
    check_scored_files(recipe.data, tokenizer);
    const int64_t vocab_size = model.config().vocab_size;
    val = open_recipe_path(recipe.data.val_shards, [&](const std::string& shards) {
      return open_shard_files(shards, vocab_size);
    });
    check_scored_tokens(recipe.data, tokenizer, *val);
  }
  return {std::move(model),  std::move(tokenizer), std::move(device),
          std::move(recipe), std::move(val),       foreign,
          diagnosed};
}

}  // namespace pg
