#include "harness/record/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "harness/recipe/recipe_identity.h"
#include "harness/record/log_rewind.h"
#include "harness/record/progress_line.h"
#include "harness/record/run_files.h"
#include "harness/record/run_room.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/files/write_file.h"
#include "src/text/text_escape.h"
#include "src/train/checkpoint.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

fs::path make_absolute(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (!error) return absolute.has_filename() ? absolute : absolute.parent_path();  // "a/" is "a"
  throw Error(
      fmt::format("no working directory: {}; it may have been deleted, give --out an "
                  "absolute path",
                  error.message()));
}

// All that a run of this recipe will write.
std::vector<std::string> list_written_names(const RunFolder& folder, const Recipe& recipe) {
  std::vector<std::string> names = {".run_files"};
  for (const fs::path& file :
       {folder.recipe(), folder.log(), folder.events(), folder.tape(), folder.checkpoint(),
        folder.plot(), folder.submission(), folder.readme(),
        folder.artifact(recipe.quant.matrix_bits), folder.weights()}) {
    names.push_back(file.filename().string());
  }
  return names;
}

bool is_readable_recipe(const fs::path& file) {
  Recipe recipe;
  try {
    apply_toml(recipe, read_text_file(file), file.string());
  } catch (const Error&) {
    return false;
  }
  return true;
}

// Renames what is in the way of a run's file and gives its new name.
std::string set_aside(const fs::path& file) {
  std::error_code error;
  fs::path aside = file.string() + ".before";
  for (int n = 2; fs::exists(fs::symlink_status(aside, error)); ++n) {
    aside = file.string() + ".before" + std::to_string(n);
  }
  fs::rename(file, aside, error);
  if (error) {
    throw Error(
        fmt::format("cannot rename \"{}\": {}; move it away", file.string(), error.message()));
  }
  return aside.filename().string();
}

// A run's recipe that was damaged, or changed by something that knows other keys, must not keep
// --fresh from its work; it may still be of use to someone.
void set_recipe_aside(RunFolder& folder) {
  folder.remarks.push_back(
      fmt::format("the recipe that lay in the folder cannot be read; it is now \"{}\"",
                  set_aside(folder.recipe())));
}

// The folder was looked at when the run began. What came since is not lost, nor is the training.
void make_way_for(const RunFolder& folder, const std::string& name) {
  if (!RunFiles(folder.path).is_foreign(name)) return;
  const std::string aside = set_aside(folder.path / name);
  ProgressLine::for_stream(stderr).warn(fmt::format(
      "\"{}\" was put into the output folder, or changed, while the run was on; it is now \"{}\"",
      name, aside));
}

void make_way(RunFolder& folder, const RunFiles& files, const Recipe& recipe, bool fresh) {
  std::vector<std::string> foreign;
  bool has_broken_recipe = false;
  for (const std::string& name : list_written_names(folder, recipe)) {
    if (!files.is_foreign(name)) continue;
    if (fresh && files.has_run() && name == folder.recipe().filename() &&
        fs::is_regular_file(folder.recipe()) && !is_readable_recipe(folder.recipe())) {
      has_broken_recipe = true;
    } else {
      foreign.push_back(name);
    }
  }
  if (foreign.empty()) {
    if (has_broken_recipe) set_recipe_aside(folder);
    return;
  }
  throw Error(fmt::format(
      "the output folder holds what no run wrote, or what was changed since: {} in \"{}\"; choose "
      "another with --out, or move {} away",
      fmt::join(foreign, ", "), folder.shown, foreign.size() == 1 ? "it" : "them"));
}

// Through a link the run wrote the file behind it: the link stays.
void remove_file(const fs::path& file) {
  std::error_code error;
  const fs::path target = fs::canonical(file, error);
  if (!error) fs::remove(target, error);
  if (!error) return;
  throw Error(fmt::format("cannot remove \"{}\": {}; check its permissions", file.string(),
                          error.message()));
}

void remove_run_files(const RunFolder& folder, const RunFiles& files) {
  for (const std::string& name : files.find_own()) remove_file(folder.path / name);
  clear_run_files(folder.path);
}

Recipe read_recipe_of_run(const RunFolder& folder) {
  Recipe recipe;
  try {
    apply_toml(recipe, read_text_file(folder.recipe()), folder.recipe().string());
  } catch (const Error& error) {
    throw Error(
        fmt::format("cannot tell which run the output folder holds: {}; choose another "
                    "with --out, or discard the run with --fresh",
                    error.what()));
  }
  return recipe;
}

// What is shown and what comes after training may change between the parts of a run: one that did
// not fit its cap is packed anew, not trained anew. Files are known by their content: a checkpoint
// of other data is refused.
void check_same_training(const RunFolder& folder, const Recipe& recipe) {
  const std::string difference = describe_difference(
      recipe, read_recipe_of_run(folder),
      [](const FieldInfo& info) { return is_identifying(info, Affects::kTraining); });
  if (difference.empty()) return;
  throw Error(
      fmt::format("the output folder holds a run of another recipe: \"{}\" ({}); choose "
                  "another with --out, or discard it with --fresh",
                  folder.shown, difference));
}

[[noreturn]] void refuse_finished_record(const RunFolder& folder) {
  const std::vector<std::string> cut = cut_torn_ends(folder);
  throw Error(fmt::format(
      "the output folder holds a finished record: \"{}\"{}; choose another with --out, or discard "
      "it "
      "with --fresh",
      folder.shown,
      cut.empty()
          ? ""
          : fmt::format(", of which {} had a cut last line, now gone", fmt::join(cut, ", "))));
}

void resume_run(RunFolder& folder, const Recipe& recipe) {
  std::error_code ignored;
  if (fs::exists(folder.recipe(), ignored)) check_same_training(folder, recipe);
  const auto steps = peek_checkpoint_steps(folder.checkpoint());
  folder.is_resumed = steps.has_value();
  folder.resumed_steps = steps.value_or(0);
}

}  // namespace

fs::path RunFolder::artifact(int64_t matrix_bits) const {
  return path / fmt::format("final_model.int{}.bin", matrix_bits);
}

std::string RunFolder::log_name(int64_t seed) { return fmt::format("train_seed{}.log", seed); }

std::string RunFolder::describe_kept() const {
  const auto steps = peek_checkpoint_steps(checkpoint());
  if (!steps) return {};
  return fmt::format(
      "; the training up to step {} is kept in \"{}\": the same command again goes on from there",
      *steps, checkpoint().string());
}

void RunFolder::write(const fs::path& file, std::span<const uint8_t> bytes) const {
  try {
    make_way_for(*this, file.filename().string());
    list_run_file(path, file.filename().string(), sha256(bytes));
    write_file_atomic(file, bytes);
  } catch (const Error& error) {
    throw Error(error.what() + describe_kept());
  }
}

void RunFolder::write(const fs::path& file, std::string_view text) const {
  write(file, as_bytes(text));
}

RunFolder open_run_folder(const fs::path& path, const Recipe& recipe, bool fresh) {
  RunFolder folder = {
      .path = make_absolute(path), .shown = path.string(), .seed = recipe.train.seed};
  check_file_limit(recipe);
  folder.lock = lock_folder(folder.path, folder.shown);
  const RunFiles files(folder.path);
  std::error_code ignored;
  if (!fresh && fs::exists(folder.submission(), ignored) &&
      !files.is_foreign(folder.submission().filename().string())) {
    refuse_finished_record(folder);
  }
  make_way(folder, files, recipe, fresh);
  remove_stray_files(folder.path);
  if (fresh) {
    remove_run_files(folder, files);
  } else {
    resume_run(folder, recipe);
  }
  folder.write(folder.recipe(), write_recipe(recipe));
  for (const fs::path& log : {folder.log(), folder.events(), folder.tape()}) {
    list_growing_file(folder.path, log.filename().string());
  }
  const std::string lack_of_room = find_lack_of_room(folder.path, recipe);
  if (!lack_of_room.empty()) folder.remarks.push_back(lack_of_room);
  return folder;
}

fs::path default_run_folder(const Recipe& recipe) {
  return fs::path("runs") /
         fmt::format("{}_seed{}", make_slug(recipe.record.name), recipe.train.seed);
}

}  // namespace pg
