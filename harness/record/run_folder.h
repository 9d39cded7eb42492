// The output folder of one run, which becomes its record, and the rule for what may already lie in
// it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "harness/recipe/recipe.h"

namespace pg {

struct RunFolder {
  std::filesystem::path path;
  int64_t seed = 0;
  bool is_resumed = false;  // an unfinished run of the same recipe lies here

  std::filesystem::path recipe() const { return path / "recipe.toml"; }
  std::filesystem::path log() const { return path / log_name(seed); }
  std::filesystem::path events() const { return path / "run.jsonl"; }
  std::filesystem::path tape() const { return path / "tape.jsonl"; }
  std::filesystem::path checkpoint() const { return path / "checkpoint.bin"; }
  std::filesystem::path submission() const { return path / "submission.json"; }
  std::filesystem::path plot() const { return path / "loss.svg"; }
  std::filesystem::path readme() const { return path / "README.md"; }
  std::filesystem::path weights() const { return path / "final_model.safetensors"; }
  std::filesystem::path artifact(int64_t matrix_bits) const;

  static std::string log_name(int64_t seed);
};

// Creates the folder and writes the effective recipe into it. A folder with an unfinished run is
// resumed when every key that affects training is the same; one with another training or a finished
// record is refused, unless `fresh`, which removes that run's files.
RunFolder open_run_folder(const std::filesystem::path& path, const Recipe& recipe, bool fresh);

// "runs/<name of the record>_seed<seed>".
std::filesystem::path default_run_folder(const Recipe& recipe);

}  // namespace pg
