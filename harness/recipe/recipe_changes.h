// The keys in which a recipe differs from another.
#pragma once
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"

namespace pg {

struct KeyChange {
  std::string section, key, value;  // "model", "layers", "9"
};

// In table order.
std::vector<KeyChange> list_changes(const Recipe& recipe, const Recipe& base);
// As TOML that gives `recipe` where everything else is as in `base`.
std::string write_changes(const std::vector<KeyChange>& changes);

}  // namespace pg
