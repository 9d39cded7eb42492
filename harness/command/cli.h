// The program's command line, from argv to an exit code.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"
#include "src/base/clock.h"

namespace pg {

// load_recipe with the process's environment; warns of variables that look as if they were meant to
// be keys and are none.
LoadedRecipe load_recipe_and_environment(const std::filesystem::path& file,
                                         const std::vector<std::string>& sets);

struct RunOptions {
  std::filesystem::path recipe;
  std::filesystem::path out;      // empty: default_run_folder
  std::vector<std::string> sets;  // --set, --seed and --device as section.key=value
  int64_t ranks = 0;              // 0: as this process was started, else one
  bool fresh = false;             // an unfinished or finished run in the folder is discarded
  // An interrupt in training ends the run with its checkpoint, to go on later: a seed of a set is whole.
  bool is_one_of_several = false;
  std::optional<double> start_s = {};  // by the clock; empty: the start of the process
};
using RunFunction = std::function<int(const RunOptions& options, Clock& clock)>;

// Does what the line asks for and gives the exit code: 2 for a line that is wrong, else the
// command's own. `run` is the command of that name. Throws Error as the command does.
int run_command_line(int argc, const char* const* argv, Clock& clock, const RunFunction& run);

}  // namespace pg
