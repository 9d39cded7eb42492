// What a suite asks for, run by run: the recipe of each arm and how many steps it trains.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/ablate/ablation_suite.h"
#include "harness/recipe/recipe.h"

namespace pg {

struct PlannedArm {
  std::string name;                  // kBaseName of the base
  const AblationArm* arm = nullptr;  // null of the base
  // The whole "section.key=value" over the suite's recipe, but for train.seed.
  std::vector<std::string> sets;
  Recipe recipe;  // of the first seed
  std::vector<int64_t> seeds;
  int64_t steps = 0;   // 0: of equal = "cost", not measured yet
  int64_t tokens = 0;  // of text that so many steps read

  bool is_base() const { return arm == nullptr; }
};

// The suite's recipe with these keys; throws Error where it is none.
using RecipeLoader = std::function<Recipe(const std::vector<std::string>& sets)>;

// A step's cost over the base's, as measured, and the count that follows from it for good.
struct MeasuredSteps {
  int64_t steps = 0;
  double ratio = 1;  // median of the rounds
  std::vector<double>
      round_ratios;  // empty where nothing was measured: the arm trains as the base does
};
using StepTable = std::map<std::string, MeasuredSteps>;  // by arm

// The base first, then the arms in their order; `measured` counts for equal = "cost" alone. Throws Error,
// naming the arm, for keys that are no recipe, do not fit each other, or whose steps would not fill a schedule.
std::vector<PlannedArm> plan_suite(const AblationSuite& suite, const RecipeLoader& load,
                                   const StepTable& measured);

// Tokens of text that a training without a clock reads in train.max_steps steps: more than its positions where these
// read bags of tokens.
int64_t count_tokens_read(const Recipe& recipe);

// Whether two recipes train the same weights from the same seed, whatever is done with these.
bool is_same_training(const Recipe& a, const Recipe& b);

// Why a recorded run is not that arm (null: the base) of the suite with this base: a key or a step count that it has
// otherwise, or a key that nobody asked for; empty where it is.
std::string find_arm_problem(const AblationSuite& suite, const AblationArm* arm,
                             const StepTable& measured, const Recipe& base, const Recipe& run);

// steps.json of a suite: what was measured once.
StepTable read_step_table(const std::filesystem::path& file);  // empty where there is no file
std::string write_step_table(const AblationSuite& suite, const StepTable& table);

// Of the rounds' ratios, one at least: round(base_steps / median), at least 1; base_steps where some rounds lie on either
// side of 1, because such a cost cannot be told from the base's, and a step more or less would be an effect of its own.
MeasuredSteps settle_steps(int64_t base_steps, std::vector<double> round_ratios);

}  // namespace pg
