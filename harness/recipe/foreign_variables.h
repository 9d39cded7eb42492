// Environment variables of the community's scripts that have no recipe key here. One that asks for
// something this build would not do is an error: a run must not ignore what its command line says.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"

namespace pg {

struct ForeignVariable {
  // What it may be set to without effect here.
  enum class Harmless : uint8_t { kOff, kOn, kNothing, kAnything };
  const char* name;
  Harmless harmless;
  const char* reason;  // "this build has no multi-token prediction"
};

std::span<const ForeignVariable> foreign_variables();

// Throws Error that names the first such variable, its value and what to do.
void check_foreign_variables(const EnvironmentLookup& environment);

// A line for each of these names of variables that neither has a key nor stands in the table, and
// that looks as if it were meant for one of them: mistyped, or of a family such as TTT_.
std::vector<std::string> list_doubtful_variables(const std::vector<std::string>& names);

}  // namespace pg
