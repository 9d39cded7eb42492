// `train_gpt recipe explain`: what a recipe would train and pack, in figures, before anything runs.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <map>

#include "harness/command/commands.h"
#include "harness/command/recipe_path.h"
#include "harness/command/step_flops.h"
#include "harness/recipe/idle_keys.h"
#include "harness/recipe/recipe.h"
#include "harness/recipe/recipe_changes.h"
#include "harness/record/code_features.h"
#include "quant/method/pack_estimate.h"
#include "src/model/model.h"
#include "src/text/text_format.h"
#include "src/train/training_params.h"

namespace pg {
namespace {

struct ExplainWords {
  std::filesystem::path recipe;  // empty: the defaults
  std::vector<std::string> sets;
};

std::vector<Option> list_explain(ExplainWords& w) {
  return {
      {.name = "recipe",
       .value = &w.recipe,
       .help = "recipe.toml, or a folder that has one; the defaults without it"},
      set_option(w.sets),
  };
}

void print_figure(const char* what, const std::string& figure, const std::string& note = "") {
  fmt::print("{:<22}{:>15}{}{}\n", what, figure, note.empty() ? "" : "  ", note);
}

void print_params(const ModelConfig& model, const TrainConfig& train) {
  std::map<ParamGroup, int64_t> groups;
  int64_t total = 0;
  for (const ParamSpec& spec : list_params(model)) {
    groups[spec.group] += spec.elements();
    total += spec.elements();
  }
  print_figure("parameters", format_thousands(total), "each once, whatever uses it");
  print_figure("  matrices", format_thousands(groups[ParamGroup::kMatrix]), "Muon");
  print_figure("  embeddings", format_thousands(groups[ParamGroup::kEmbedding]),
               "AdamW at optimizer.embed_lr");
  if (groups.contains(ParamGroup::kHead)) {
    print_figure("  head", format_thousands(groups[ParamGroup::kHead]),
                 "AdamW at optimizer.head_lr");
  }
  if (groups.contains(ParamGroup::kMemory)) {
    print_figure("  memory", format_thousands(groups[ParamGroup::kMemory]),
                 "AdamW at optimizer.scalar_lr without decay");
  }
  print_figure("  others", format_thousands(groups[ParamGroup::kScalar]),
               "AdamW at optimizer.scalar_lr");
  int64_t trained = 0;
  for (const ParamSpec& spec : list_training_params(model, train)) trained += spec.elements();
  if (trained > total) {
    print_figure("of training alone", format_thousands(trained - total), "in no artifact");
  }
}

void print_step(const Recipe& recipe) {
  const TrainConfig& train = recipe.train;
  const StepShape shape = shape_of_step(recipe);
  const int64_t rows = train.micro_batch_tokens / train.seq_len;
  const double flops = shape.flops_a_token;
  print_figure("tokens a step", format_thousands(train.batch_tokens),
               fmt::format("{} rows of {}", train.batch_tokens / train.seq_len, train.seq_len));
  print_figure("FLOPs a token", format_count(flops), "forward and backward");
  print_figure("FLOPs a step", format_count(flops * static_cast<double>(train.batch_tokens)));
  print_figure("activations",
               fmt::format("{:.0f} MB", static_cast<double>(shape.arena_bytes) / 1e6),
               fmt::format("a micro-batch of {} tokens", format_thousands(rows * train.seq_len)));
  if (train.wallclock_s > 0) {
    print_figure("training", fmt::format("{:g} s", train.wallclock_s),
                 fmt::format("at most {} steps", format_thousands(train.max_steps)));
  } else {
    print_figure("training", fmt::format("{} steps", format_thousands(train.max_steps)),
                 fmt::format("{} tokens", format_count(static_cast<double>(train.max_steps) *
                                                       static_cast<double>(train.batch_tokens))));
  }
}

void print_artifact(const Recipe& recipe) {
  const CodeSizes code_bytes = code_sizes(recipe.model, recipe.scoring());
  const PackForecast forecast = forecast_pack(recipe.model, recipe.quant, code_bytes);
  const auto coder = recipe.quant.coder == CoderChoice::kAuto
                         ? Coder::kOwn
                         : static_cast<Coder>(recipe.quant.coder);
  const CodeFeatures features = code_features(recipe.model, recipe.scoring(), coder);
  print_figure("artifact bytes", format_thousands(forecast.likely_bytes),
               fmt::format("likely, without filling the cap; at least {}",
                           format_thousands(forecast.least_bytes)));
  print_figure("  code of it", format_thousands(counted_code_bytes(features)),
               describe_features(features));
  print_figure("cap", format_thousands(recipe.quant.cap_bytes),
               recipe.quant.fill_cap ? "scales are widened until it is filled" : "");
}

int explain_recipe(const ExplainWords& words, Clock&) {
  const Recipe recipe =
      load_recipe_and_environment(find_recipe_file(words.recipe), words.sets).recipe;
  check_recipe(recipe);
  fmt::print("{} on {}, {}\n", recipe.record.name, recipe.track.name, recipe.track.hardware);
  print_params(recipe.model, recipe.train);
  print_step(recipe);
  print_artifact(recipe);
  fmt::print("\nwhere it differs from the defaults:\n\n{}",
             write_changes(list_changes(recipe, Recipe())));
  for (const IdleKey& idle : find_idle_keys(recipe)) fmt::print("\nwarning: {}\n", idle.sentence());
  return 0;
}

}  // namespace

Command make_recipe_explain_command() {
  return make_command<ExplainWords>("recipe explain",
                                    "parameters, FLOPs, tokens and bytes of a recipe", list_explain,
                                    explain_recipe);
}

}  // namespace pg
