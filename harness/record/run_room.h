// Whether what a run will write has room, asked before hours of training.
#pragma once
#include <filesystem>
#include <string>

#include "harness/recipe/recipe.h"

namespace pg {

// Throws Error when the process may write no file of the checkpoint's size (ulimit -f). The
// checkpoint is the largest file: it holds the weights three or four times.
void check_file_limit(const Recipe& recipe);

// A warning when the disk of `folder` has not the room for the checkpoint, the next one that is
// written beside it, and the weights; empty when it has, or when it does not say.
std::string find_lack_of_room(const std::filesystem::path& folder, const Recipe& recipe);

}  // namespace pg
