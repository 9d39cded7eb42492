// Environment variables of the community's scripts that have no recipe key here. One that asks for
// something this build would not do is an error: a run must not ignore what its command line says.
#pragma once
#include <span>

#include "harness/recipe/recipe.h"

namespace pg {

struct ForeignVariable {
  // What it may be set to without effect here.
  enum class Harmless : uint8_t { kOff, kOn, kNothing };
  const char* name;
  Harmless harmless;
  const char* reason;  // "this build has no multi-token prediction"
};

std::span<const ForeignVariable> foreign_variables();

// Throws Error that names the first such variable, its value and what to do.
void check_foreign_variables(const EnvironmentLookup& environment);

}  // namespace pg
