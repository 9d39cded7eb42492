// The output folder of one run, which becomes its record, and the rule for what may already lie in
// it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/recipe/recipe.h"
#include "harness/record/folder_lock.h"

namespace pg {

struct RunFolder {
  std::filesystem::path path = {};  // absolute: the working directory may go while the run is on
  std::string shown = {};           // as the user wrote it
  int64_t seed = 0;
  bool is_resumed = false;                // a checkpoint lies here
  int64_t resumed_steps = 0;              // of that checkpoint
  std::vector<std::string> remarks = {};  // on what was found here; the log warns of them
  // Shared, because the log has a copy of the folder: it is locked until the last of them goes.
  std::shared_ptr<const FolderLock> lock = {};

  static constexpr const char* kCheckpointName = "checkpoint.bin";
  static constexpr const char* kCodeName = "code.zpaq";
  std::filesystem::path recipe() const { return path / "recipe.toml"; }
  std::filesystem::path log() const { return path / log_name(seed); }
  std::filesystem::path events() const { return path / "run.jsonl"; }
  std::filesystem::path tape() const { return path / "tape.jsonl"; }
  std::filesystem::path checkpoint() const { return path / kCheckpointName; }
  std::filesystem::path submission() const { return path / "submission.json"; }
  std::filesystem::path plot() const { return path / "loss.svg"; }
  std::filesystem::path coded_text() const { return path / "val.pgt"; }
  // The counted sources, which alone build the program that scores and decodes.
  std::filesystem::path code() const { return path / kCodeName; }
  std::filesystem::path readme() const { return path / "README.md"; }
  std::filesystem::path weights() const { return path / "final_model.safetensors"; }
  std::filesystem::path artifact(int64_t matrix_bits) const;

  static std::string log_name(int64_t seed);

  // "; the training up to step 300 is kept in ..., ...": the end of an error's message; "" without.
  std::string describe_kept() const;

  // Writes one of these files whole and lists it as the run's. One of that name which came into the
  // folder while the run was on is renamed, with a warning on stderr. Throws Error that says what is kept
  // of the training and how to go on.
  void write(const std::filesystem::path& file, std::span<const uint8_t> bytes) const;
  void write(const std::filesystem::path& file, std::string_view text) const;
};

// Creates and locks the folder and writes the effective recipe into it. A folder with an unfinished
// run is resumed when every key that affects training is the same; one with another training or a
// finished record is refused, unless `fresh`, which removes that run's files. What no run wrote, or
// what was changed since, is never touched: a folder where it is in the way is refused; only a run's recipe that cannot be read
// is renamed by `fresh`.
RunFolder open_run_folder(const std::filesystem::path& path, const Recipe& recipe, bool fresh);

// "runs/<name of the record>_seed<seed>".
std::filesystem::path default_run_folder(const Recipe& recipe);

}  // namespace pg
