// What makes two runs the same: the keys that affect them, where they differ from a frozen
// baseline. A key at its baseline value adds nothing, so a key that a later version adds changes no
// identity of a recipe that does not use it. Files count by what they hold, not by their paths.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/recipe/recipe.h"
#include "src/base/field.h"
#include "src/base/stored_keys.h"

namespace pg {

// Whether a key's value is part of the identity of these stages' numbers.
constexpr bool is_identifying(const FieldInfo& info, Affects stages) {
  return have_common(info.affects, stages) && !info.is_path;
}

// Every identifying key and its value: {"optimizer.matrix_lr", "0.5"}.
std::vector<std::pair<std::string, std::string>> list_identifying(const Recipe& recipe,
                                                                  Affects stages);

// A line "optimizer.matrix_lr=0.5" for each identifying key that is not at its baseline value.
std::string list_identity(const Recipe& recipe, Affects stages);

// Hex SHA-256 of list_identity over all stages: what is shown, and where files lie, is no part.
std::string hash_recipe(const Recipe& recipe);

// Of a training on data of this fingerprint: a checkpoint of one identity goes on under it alone.
uint64_t identify_training(const Recipe& recipe, uint64_t data_fingerprint);

// Every key that affects anything, once: those that an artifact stores (frozen_model_keys,
// frozen_scoring_keys) and the others.
std::span<const FrozenValue> recipe_baseline();
std::span<const FrozenValue> frozen_run_keys();

}  // namespace pg
