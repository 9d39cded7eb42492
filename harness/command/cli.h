// The command line as data: what was asked, with every option typed. CLI11 stays behind this
// header.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "eval/diagnosis/generate.h"
#include "harness/bench/bench_eval.h"
#include "harness/bench/bench_pack.h"
#include "harness/bench/bench_train.h"
#include "harness/command/coding_commands.h"
#include "harness/recipe/recipe.h"
#include "src/data/corpus/corpus.h"

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
  int64_t pretrain_epochs = 0;   // on the validation text: no score, a diagnosis
  bool published_mixer = false;  // PR #1033's n-gram cache: no score, a diagnosis
};

struct AuditCommand {
  std::filesystem::path artifact;
  std::filesystem::path recipe;   // may be empty
  std::vector<std::string> sets;  // --set, --data, --tokenizer and --device as section.key=value
  std::string val_shards, tokenizer;
  std::string train_shards;   // empty: no search for val text in them
  std::filesystem::path out;  // folder for the certificate; empty: none is written
  int64_t tokens = 0;         // of val that the probes run on; 0: a window and 16 strides
};

struct SizeOptions {
  std::filesystem::path artifact;
  std::vector<int64_t> caps_bytes;  // empty: 1,000,000 and the default of quant.cap_bytes
  bool tensors = false;             // a table of them too
};

struct ExportOptions {
  std::filesystem::path artifact;
  std::filesystem::path out;
};

struct PackOptions {
  std::filesystem::path weights;  // .safetensors that a run wrote
  std::filesystem::path recipe;
  std::filesystem::path out;
  std::vector<std::string> sets;
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

using Command =
    std::variant<UsageText, RunOptions, EvalOptions, AuditCommand, SizeOptions, ExportOptions,
                 PackOptions, GenerateCommand, TrainTokenizerOptions, TokenizeCommand,
                 CorpusInfoCommand, RecipeOptions, BenchTrainOptions, BenchEvalOptions,
                 BenchPackOptions, EncodeCommand, DecodeCommand, DocsOpsCommand>;

// Never throws and never exits: a usage error comes back as UsageText with exit code 2.
Command parse_command_line(int argc, const char* const* argv);

}  // namespace pg
