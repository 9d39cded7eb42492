// A run or record folder as a report shows it: whatever of it is there. The folder may be a stranger's: nothing outside
// it is opened, and what cannot be read is a remark.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/recipe/recipe.h"
#include "harness/record/run_events.h"
#include "harness/statistics/run_set.h"

namespace pg {

struct RunStory {
  std::string name;  // of the record, and of its folder where the record says none
  std::optional<Recipe> recipe;
  RunEvents events;
  std::optional<RunSet> result;                            // of submission.json: one seed
  std::vector<std::pair<std::string, std::string>> facts;  // "hardware", "AMD EPYC ..."
  std::vector<std::pair<std::string, double>> times_s;     // the ledger of time
  int64_t model_bytes = 0, code_bytes = 0, cap_bytes = 0;  // 0: not said
  std::vector<std::string> remarks;
};

// Each of the records in `folder`: its own, or those of the seeds that `train_gpt seeds` made in it. Throws Error for a
// folder that holds nothing of a run.
std::vector<RunStory> read_run_stories(const std::filesystem::path& folder);

}  // namespace pg
