// THE table of recipe keys: which section holds which struct's fields. Parsing, --set, environment,
// printing, help and comparison are visitors over it; a key is added in its struct's visit function
// and nowhere else.
#pragma once
#include "eval/learn/ttt_config.h"
#include "eval/mix/mix_config.h"
#include "eval/score/eval_config.h"
#include "harness/recipe/recipe.h"
#include "harness/recipe/track_config.h"
#include "quant/format/quant_config.h"
#include "src/data/data_config.h"
#include "src/model/model_config.h"
#include "src/train/train_config.h"

namespace pg {

// Calls visit(const char* section, const FieldInfo&, member) for every key, in the order of the
// canonical recipe. Works on Recipe and const Recipe.
template <class AnyRecipe, class Visit>
void visit_recipe_fields(AnyRecipe& recipe, Visit&& visit) {
  const auto in_section = [&visit](const char* section) {
    return [&visit, section](const FieldInfo& info, auto& member) { visit(section, info, member); };
  };
  visit_track_fields(recipe.track, in_section("track"));
  visit_data_fields(recipe.data, in_section("data"));
  visit_model_fields(recipe.model, in_section("model"));
  visit_train_fields(recipe.train, in_section("train"));
  visit_optimizer_fields(recipe.optimizer, in_section("optimizer"));
  visit_quant_fields(recipe.quant, in_section("quant"));
  visit_eval_fields(recipe.eval, in_section("eval"));
  visit_ttt_fields(recipe.ttt, in_section("ttt"));
  visit_mix_fields(recipe.mix, in_section("mix"));
  visit_record_fields(recipe.record, in_section("record"));
}

}  // namespace pg
