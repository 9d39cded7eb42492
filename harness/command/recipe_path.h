// Opening what a path of a recipe names: a relative one is taken from the folder the program was
// started in, not from the recipe's, and a message about it says so.
#pragma once
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "src/base/error.h"

namespace pg {

// The recipe that a user named: a file, or a folder that has one.
inline std::filesystem::path find_recipe_file(const std::filesystem::path& named) {
  std::error_code ignored;
  return std::filesystem::is_directory(named, ignored) ? named / "recipe.toml" : named;
}

// open(path). An Error about a relative path that is no file (a pattern is none) also says what it
// is relative to.
template <class Open>
auto open_recipe_path(const std::string& path, Open&& open) {
  try {
    return std::forward<Open>(open)(path);
  } catch (const Error& error) {
    std::error_code ignored;
    if (std::filesystem::path(path).is_absolute() || std::filesystem::exists(path, ignored)) throw;
    const std::string folder = std::filesystem::current_path(ignored).string();
    throw Error(std::string(error.what()) + "; \"" + path +
                "\" is relative to the working directory" +
                (folder.empty() ? ", which is gone" : " \"" + folder + "\""));
  }
}

}  // namespace pg
