// The record of one recipe over several seeds: a folder with the record of each seed in it, and above them the
// table, its submission.json in the community's keys, and the logs under the names that are looked for.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"
#include "harness/record/run_folder.h"

namespace pg {

// The end of a message on a record that is not what was asked for.
inline constexpr const char* kTakeAnew = "run it again with --fresh, or take another folder";

// Where the record of a seed lies in the folder of a set.
std::filesystem::path seed_folder(const std::filesystem::path& set, int64_t seed);

// Whether a seed's folder holds the finished record of this recipe. Throws Error, naming the key, where it holds
// another recipe's, finished or not.
bool is_seed_finished(const std::filesystem::path& folder, const Recipe& recipe);

// From the finished records of the seeds, in their order: means, both conventions of the deviation, the
// largest artifact. Throws Error where one is damaged, has other keys or was made from other data than the first.
struct SeedSet {
  std::string submission_json;
  std::string table;  // Markdown: a row a seed, then mean and deviations
  std::string readme;
};
SeedSet describe_seed_set(const std::filesystem::path& set, const std::vector<int64_t>& seeds);

// The same of records wherever they lie.
struct SeedPlace {
  int64_t seed = 0;
  std::filesystem::path folder;
};
SeedSet describe_seeds(const std::vector<SeedPlace>& places);

// Writes recipe, logs, README.md and, last, submission.json into the set's own folder.
void write_seed_set(const RunFolder& set, const Recipe& recipe, const std::vector<int64_t>& seeds);

}  // namespace pg
