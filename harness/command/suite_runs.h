// The runs of a suite of ablations that lie in its folder, for who replays them.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace pg {

// The finished runs, in the suite's order; with `only` those of these arms or of the base. The folder may be a
// stranger's: no link leads out of it. Throws Error for a run that is not the arm that its folder says.
std::vector<std::filesystem::path> list_suite_runs(const std::filesystem::path& folder,
                                                   const std::vector<std::string>& only);

}  // namespace pg
