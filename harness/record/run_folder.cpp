#include "harness/record/run_folder.h"

#include <fmt/format.h>

#include <system_error>
#include <vector>

#include "harness/recipe/recipe_identity.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

// Only files that a run writes; a folder given by mistake loses nothing else.
void remove_run_files(const RunFolder& folder, const Recipe& before) {
  const std::vector<fs::path> files = {
      folder.recipe(), folder.path / RunFolder::log_name(before.train.seed),
      folder.log(),    folder.events(),
      folder.tape(),   folder.checkpoint(),
      folder.plot(),   folder.submission(),
      folder.readme(), folder.artifact(before.quant.matrix_bits),
      folder.weights()};
  for (const fs::path& file : files) {
    std::error_code error;
    fs::remove(file, error);
    if (error) {
      throw Error(fmt::format("cannot remove \"{}\": {}; check its permissions", file.string(),
                              error.message()));
    }
  }
}

Recipe read_recipe_of_run(const RunFolder& folder) {
  Recipe recipe;
  apply_toml(recipe, read_text_file(folder.recipe()), folder.recipe().string());
  return recipe;
}

}  // namespace

fs::path RunFolder::artifact(int64_t matrix_bits) const {
  return path / fmt::format("final_model.int{}.bin", matrix_bits);
}

std::string RunFolder::log_name(int64_t seed) { return fmt::format("train_seed{}.log", seed); }

RunFolder open_run_folder(const fs::path& path, const Recipe& recipe, bool fresh) {
  RunFolder folder = {.path = path, .seed = recipe.train.seed};
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    throw Error(fmt::format("cannot create the output folder \"{}\": {}; choose another with --out",
                            path.string(), error.message()));
  }
  if (fresh) {
    const bool has_run = fs::exists(folder.recipe());
    remove_run_files(folder, has_run ? read_recipe_of_run(folder) : recipe);
  } else if (fs::exists(folder.submission())) {
    throw Error(
        fmt::format("the output folder holds a finished record: \"{}\"; choose another with "
                    "--out, or discard it with --fresh",
                    path.string()));
  } else if (fs::exists(folder.recipe())) {
    // What is shown and what comes after training may change between the parts of a run: one that
    // did not fit its cap is packed anew, not trained anew. Files are known by their content: a
    // checkpoint of other data is refused.
    const std::string difference = describe_difference(
        recipe, read_recipe_of_run(folder),
        [](const FieldInfo& info) { return is_identifying(info, Affects::kTraining); });
    if (!difference.empty()) {
      throw Error(
          fmt::format("the output folder holds a run of another recipe: \"{}\" ({}); choose "
                      "another with --out, or discard it with --fresh",
                      path.string(), difference));
    }
    folder.is_resumed = fs::exists(folder.checkpoint());
  }
  write_file_atomic(folder.recipe(), write_recipe(recipe));
  return folder;
}

fs::path default_run_folder(const Recipe& recipe) {
  return fs::path("runs") /
         fmt::format("{}_seed{}", make_slug(recipe.record.name), recipe.train.seed);
}

}  // namespace pg
