// The command line as data: what was asked, with every option typed. CLI11 stays behind this
// header.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "eval/generate.h"
#include "src/data/corpus.h"
#include "src/run/bench_train.h"
#include "src/run/recipe.h"

namespace pg {

struct RunOptions {
  std::filesystem::path recipe;
  std::filesystem::path out;      // empty: default_run_folder
  std::vector<std::string> sets;  // --set, --seed and --device as section.key=value
  bool fresh = false;
};

struct EvalOptions {
  std::filesystem::path artifact;
  std::filesystem::path recipe;   // may be empty
  std::vector<std::string> sets;  // --set, --data, --tokenizer and --device as section.key=value
  std::string val_shards, tokenizer;
};

struct SizeOptions {
  std::filesystem::path artifact;
  int64_t cap_bytes = 0;  // 0: the default of quant.cap_bytes
};

struct GenerateCommand {
  std::filesystem::path artifact;
  std::filesystem::path tokenizer;
  std::string prompt;
  std::string device = "cpu";
  GenerateOptions options;
};

struct TrainTokenizerOptions {
  std::filesystem::path input;
  std::filesystem::path out;
  int64_t vocab_size = 1024;
};

struct TokenizeCommand {
  TokenizeOptions options;
};

struct CorpusInfoCommand {
  CorpusInfoOptions options;
};

struct RecipeOptions {
  std::filesystem::path recipe;  // empty: the defaults
  std::vector<std::string> sets;
  bool help_keys = false;
};

struct DocsOpsCommand {};  // docs/ops.md on stdout

// --help was asked for, or the line was wrong: print the text and exit with the code.
struct UsageText {
  std::string text;
  int exit_code = 0;
};

using Command = std::variant<UsageText, RunOptions, EvalOptions, SizeOptions, GenerateCommand,
                             TrainTokenizerOptions, TokenizeCommand, CorpusInfoCommand,
                             RecipeOptions, BenchTrainOptions, DocsOpsCommand>;

// Never throws and never exits: a usage error comes back as UsageText with exit code 2.
Command parse_command_line(int argc, const char* const* argv);

}  // namespace pg
