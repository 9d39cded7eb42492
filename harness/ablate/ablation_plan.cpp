#include "harness/ablate/ablation_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/recipe/recipe_identity.h"
#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/train/phases.h"

namespace pg {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kMostSteps = 1'000'000'000;  // train.max_steps' range

// The step at whose decision `fraction` of max_steps is done, by the trainer's own arithmetic.
int64_t first_step_at(double fraction, int64_t max_steps) {
  const auto is_done = [&](int64_t steps) {
    return static_cast<double>(steps) / static_cast<double>(max_steps) >= fraction;
  };
  auto step = static_cast<int64_t>(std::ceil(fraction * static_cast<double>(max_steps)));
  while (step > 0 && is_done(step - 1)) --step;
  while (step < max_steps && !is_done(step)) ++step;
  return std::min(step, max_steps);
}

Recipe with_steps(Recipe recipe, int64_t steps) {
  recipe.train.max_steps = steps;
  return recipe;
}

// The count whose text is nearest to `tokens`; of two as near the smaller.
int64_t steps_of_equal_tokens(const Recipe& recipe, int64_t tokens) {
  int64_t low = 1, high = 1;
  while (high < kMostSteps && count_tokens_read(with_steps(recipe, high)) < tokens) high *= 2;
  high = std::min(high, kMostSteps);
  while (low < high) {  // the least that reads as many
    const int64_t middle = low + (high - low) / 2;
    if (count_tokens_read(with_steps(recipe, middle)) < tokens) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 1) return low;
  const int64_t above = count_tokens_read(with_steps(recipe, low)) - tokens;
  const int64_t below = tokens - count_tokens_read(with_steps(recipe, low - 1));
  return below <= above ? low - 1 : low;
}

// Keys that the suite decides, the last to be set.
std::vector<std::string> own_sets(int64_t steps) {
  return {"train.wallclock_s=0", fmt::format("train.max_steps={}", steps)};
}

std::string set_of_seed(int64_t seed) { return fmt::format("train.seed={}", seed); }

// The clock decides how much of a text is scored exactly where the budget might not be enough for all of it.
void require_steady_score(const Recipe& recipe) {
  if (recipe.eval.wallclock_s == 0 || recipe.eval.exact_share == 0) return;
  throw Error(fmt::format(
      "eval.wallclock_s \"{}\" with eval.exact_share \"{}\" leaves to the clock how a text is "
      "scored; "
      "set eval.wallclock_s=0, so that all of it is exact, or eval.exact_share=0, so that the "
      "device of training meters it",
      recipe.eval.wallclock_s, recipe.eval.exact_share));
}

Recipe load_arm(const RecipeLoader& load, const PlannedArm& arm) {
  std::vector<std::string> sets = arm.sets;
  sets.push_back(set_of_seed(arm.seeds.front()));
  try {
    Recipe recipe = load(sets);
    check_recipe(recipe);
    require_steady_score(recipe);
    return recipe;
  } catch (const Error& error) {
    throw Error(arm.is_base() ? fmt::format("the base: {}", error.what())
                              : fmt::format("arm \"{}\": {}", arm.name, error.what()));
  }
}

void set_steps(PlannedArm& arm, const std::vector<std::string>& sets, int64_t steps,
               const RecipeLoader& load) {
  arm.steps = steps;
  arm.sets = sets;
  for (std::string& set : own_sets(steps)) arm.sets.push_back(std::move(set));
  arm.recipe = load_arm(load, arm);
  arm.tokens = count_tokens_read(arm.recipe);
}

}  // namespace

int64_t count_tokens_read(const Recipe& recipe) {
  const TrainConfig& train = recipe.train;
  Phases phases(recipe.model, train);
  PhaseSteps steps = phases.steps();
  if (steps.bags_ended < 0) steps.bags_ended = first_step_at(train.bag_fraction, train.max_steps);
  phases.set_steps(steps);
  return phases.windows_used(train.max_steps, train.batch_tokens / train.seq_len) * train.seq_len;
}

bool is_same_training(const Recipe& a, const Recipe& b) {
  Recipe same_seed = a;
  same_seed.train.seed = b.train.seed;
  return list_identity(same_seed, Affects::kTraining) == list_identity(b, Affects::kTraining);
}

MeasuredSteps settle_steps(int64_t base_steps, std::vector<double> round_ratios) {
  PG_CHECK(!round_ratios.empty(), "a measured cost has a round");
  MeasuredSteps measured;
  measured.round_ratios = round_ratios;
  std::ranges::sort(round_ratios);
  const size_t half = round_ratios.size() / 2;
  measured.ratio = round_ratios.size() % 2 == 1 ? round_ratios[half]
                                                : (round_ratios[half - 1] + round_ratios[half]) / 2;
  const bool is_as_base = round_ratios.front() <= 1 && round_ratios.back() >= 1;
  const double steps = std::round(static_cast<double>(base_steps) / measured.ratio);
  measured.steps =
      is_as_base ? base_steps : std::clamp<int64_t>(static_cast<int64_t>(steps), 1, kMostSteps);
  return measured;
}

std::vector<PlannedArm> plan_suite(const AblationSuite& suite, const RecipeLoader& load,
                                   const StepTable& measured) {
  std::vector<PlannedArm> plan;
  PlannedArm& base = plan.emplace_back();
  base.name = kBaseName;
  base.seeds = suite.base_seeds;
  set_steps(base, suite.sets, suite.steps, load);
  const int64_t base_tokens = base.tokens;
  for (const AblationArm& arm : suite.arms) {
    PlannedArm& planned = plan.emplace_back();
    planned.name = arm.name;
    planned.arm = &arm;
    planned.seeds = suite.seeds;
    std::vector<std::string> sets = suite.sets;
    sets.insert(sets.end(), arm.sets.begin(), arm.sets.end());
    set_steps(planned, sets, suite.steps, load);
    if (suite.equal == EqualBy::kTokens) {
      set_steps(planned, sets, steps_of_equal_tokens(planned.recipe, base_tokens), load);
    }
    if (suite.equal == EqualBy::kCost && !is_same_training(planned.recipe, plan.front().recipe)) {
      const auto found = measured.find(arm.name);
      if (found != measured.end()) {
        set_steps(planned, sets, found->second.steps, load);
      } else {
        planned.steps = planned.tokens = 0;
      }
    }
  }
  return plan;
}

std::string find_arm_problem(const AblationSuite& suite, const AblationArm* arm,
                             const StepTable& measured, const Recipe& base, const Recipe& run) {
  const std::vector<std::string> sets = arm == nullptr ? std::vector<std::string>() : arm->sets;
  Recipe asked = run;
  for (const std::string& set : sets) apply_override(asked, set);
  asked.train.max_steps = suite.steps;
  if (arm != nullptr && suite.equal == EqualBy::kTokens) {
    asked.train.max_steps = steps_of_equal_tokens(asked, count_tokens_read(base));
  }
  if (arm != nullptr && suite.equal == EqualBy::kCost && measured.contains(arm->name)) {
    asked.train.max_steps = measured.at(arm->name).steps;
  }
  if (const std::string difference = describe_difference(run, asked); !difference.empty()) {
    return fmt::format("{} as the suite has it", difference);
  }
  // What is shown, and where files lie, may change from part to part of a suite.
  constexpr Affects kAll = Affects::kTraining | Affects::kPacking | Affects::kScoring;
  const auto ours = list_identifying(run, kAll), theirs = list_identifying(base, kAll);
  for (size_t i = 0; i < ours.size(); ++i) {
    const auto& [key, value] = ours[i];
    if (value == theirs[i].second || is_key_of_suite(key)) continue;
    bool is_meant = key == "model.rope_context";  // follows from train.seq_len
    for (const std::string& set : sets) is_meant |= set.substr(0, set.find('=')) == key;
    if (!is_meant) return fmt::format("{} is {}, which the suite does not ask for", key, value);
  }
  return "";
}

StepTable read_step_table(const std::filesystem::path& file) {
  StepTable table;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return table;
  try {
    const OrderedJson json = OrderedJson::parse(read_text_file(file));
    for (const auto& [name, entry] : json.at("arms").items()) {
      MeasuredSteps steps;
      steps.steps = entry.at("steps").get<int64_t>();
      steps.ratio = entry.at("step_time_ratio").get<double>();
      steps.round_ratios = entry.at("round_ratios").get<std::vector<double>>();
      if (steps.steps < 1 || steps.steps > kMostSteps) throw Error("a step count out of range");
      table[name] = std::move(steps);
    }
  } catch (const std::exception& error) {
    throw Error(fmt::format(
        "\"{}\" is damaged: {}; it holds the step counts that were measured once: bring it back, "
        "or begin the suite anew with --fresh",
        file.string(), error.what()));
  }
  return table;
}

std::string write_step_table(const AblationSuite& suite, const StepTable& table) {
  OrderedJson json;
  json["base_steps"] = suite.steps;
  json["rehearsal_steps"] = suite.rehearsal_steps;
  json["arms"] = OrderedJson::object();
  for (const auto& [name, measured] : table) {
    json["arms"][name] = {{"steps", measured.steps},
                          {"step_time_ratio", measured.ratio},
                          {"round_ratios", measured.round_ratios}};
  }
  return json.dump(2) + "\n";
}

}  // namespace pg
