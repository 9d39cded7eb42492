// Keys that a recipe sets and that change nothing, because what would read them is off.
#pragma once
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"

namespace pg {

struct IdleKey {
  std::string key;    // "ttt.lora_rank"
  std::string value;  // as in TOML
  std::string until;  // what must be so before it counts: "ttt.kind is \"lora\" or \"phased_lora\""
  std::string sentence() const;
};

// Of the keys that are not at their defaults and not off themselves (0, false, ""), in table order.
std::vector<IdleKey> find_idle_keys(const Recipe& recipe);

}  // namespace pg
