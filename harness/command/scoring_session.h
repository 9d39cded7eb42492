// Everything that scoring an artifact takes, opened and checked once, for the commands that score:
// eval, audit, encode.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/command/command.h"
#include "harness/recipe/recipe.h"
#include "quant/format/unpack.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/device/device.h"

namespace pg {

// The words that these commands share.
struct ScoringWords {
  std::filesystem::path artifact;
  std::filesystem::path recipe;  // may be empty
  std::vector<std::string> sets;
  std::string val_shards, tokenizer;  // each short for a --set; empty: not given
  std::string device;                 // empty: exact arithmetic
  bool is_fast = false;               // on the recipe's device instead
  bool needs_own_scoring = false;     // keys given by hand are refused
};
// With them `own`, the command's own options, before --device and --set.
std::vector<Option> list_scoring_options(ScoringWords& words, const std::vector<Option>& own);

// An artifact, the tokenizer that it was trained with, and where it runs.
struct OpenedModel {
  UnpackedModel model;
  Tokenizer tokenizer;
  std::unique_ptr<Device> device;
};
// Throws Error when the tokenizer is not the artifact's.
OpenedModel open_model(const std::filesystem::path& artifact,
                       const std::filesystem::path& tokenizer, const std::string& device);

struct ScoringSession {
  UnpackedModel model;
  Tokenizer tokenizer;
  std::unique_ptr<Device> device;
  // [eval], [ttt] and [mix] as the artifact has them, but for keys given by hand.
  Recipe recipe;
  std::optional<TokenStream> val;  // with SessionText::kShards
  std::string foreign_scoring;  // a key that is not the artifact's own: "eval.stride is 8, was 64"
  // [ttt] as the recipe file and keys by hand have it, where there is a file: of what is no score.
  TttConfig diagnosed_ttt;
};

enum class SessionText : uint8_t {
  kShards,  // the validation text in shards
  kOther,   // the command has its own
};
// `missing`: the error where the tokenizer or the shards are not given, "eval: no ...; give ...".
ScoringSession open_scoring_session(const ScoringWords& words, SessionText text,
                                    const char* missing);

}  // namespace pg
