#include "harness/command/suite_runs.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/ablate/ablation_plan.h"
#include "harness/command/record_file.h"
#include "src/base/bytes.h"
#include "src/base/error.h"

namespace pg {

namespace fs = std::filesystem;

std::vector<fs::path> list_suite_runs(const fs::path& folder,
                                      const std::vector<std::string>& only) {
  const fs::path file = find_record_file(folder, kSuiteName);
  const AblationSuite suite = read_suite(read_text_file(file), file.string());
  const auto read = [](const fs::path& recipe_file) {
    Recipe recipe;
    apply_toml(recipe, read_text_file(recipe_file), recipe_file.string());
    return recipe;
  };
  const Recipe base = read(find_record_file(folder, "recipe.toml"));
  std::error_code ignored;
  const bool is_measured = fs::exists(fs::symlink_status(folder / "steps.json", ignored));
  const StepTable measured =
      is_measured ? read_step_table(find_record_file(folder, "steps.json")) : StepTable();
  std::vector<fs::path> runs;
  const auto add = [&](const std::string& name, const AblationArm* arm,
                       const std::vector<int64_t>& seeds) {
    if (!only.empty() && std::ranges::count(only, name) == 0) return;
    for (const int64_t seed : seeds) {
      const fs::path run = arm_folder(folder, name, seed);
      if (!is_plain_folder(folder / name) || !is_plain_folder(run)) continue;
      if (!fs::exists(run / "submission.json", ignored)) continue;
      const std::string problem =
          find_arm_problem(suite, arm, measured, base, read(find_record_file(run, "recipe.toml")));
      if (!problem.empty()) {
        throw Error(fmt::format("replay: \"{}\" is not arm \"{}\" of the suite: {}", run.string(),
                                name, problem));
      }
      runs.push_back(run);
    }
  };
  for (const std::string& name : only) {
    if (name == kBaseName || suite.find_arm(name) != nullptr) continue;
    throw Error(fmt::format("replay: --only {}: the suite has no such arm", name));
  }
  add(std::string(kBaseName), nullptr, suite.base_seeds);
  for (const AblationArm& arm : suite.arms) add(arm.name, &arm, suite.seeds);
  if (runs.empty()) {
    throw Error(fmt::format("replay: no finished run of the suite in \"{}\" is asked for",
                            folder.string()));
  }
  return runs;
}

}  // namespace pg
