// `train_gpt import`: weights of another trainer as a weights file of ours, for pack, eval and the rest.
#include <fmt/format.h>

#include "harness/command/commands.h"
#include "harness/command/output_path.h"
#include "harness/exchange/weight_import.h"
#include "harness/exchange/weights_file.h"
#include "harness/recipe/recipe.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/tokenizer.h"
#include "src/model/model.h"
#include "src/text/file_kind.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct ImportWords {
  std::filesystem::path weights, tokenizer;
  std::filesystem::path out = "imported.safetensors";
  std::string map;
  std::vector<std::string> sets;
};

std::vector<Option> list_options(ImportWords& w) {
  return {
      {.name = "weights",
       .value = &w.weights,
       .help = ".safetensors of another trainer",
       .is_required = true},
      {.name = "--map",
       .value = &w.map,
       .help = "2026-03-17, 2026-03-22, 2026-03-23 or 2026-04-05, the records' scripts, or a .toml "
               "file; see docs/import.md",
       .is_required = true},
      {.name = "--tokenizer",
       .value = &w.tokenizer,
       .help = "SentencePiece model that the weights were trained with",
       .is_required = true},
      {.name = "--out", .value = &w.out, .help = "file to write", .shows_default = true},
      set_option(w.sets),
  };
}

ModelConfig read_model(const ImportWords& words, const WeightMap& map) {
  Recipe recipe;
  apply_toml(recipe, map.model, words.map);
  for (const std::string& set : words.sets) {
    if (!set.starts_with("model.")) {
      throw Error(
          fmt::format("import: --set {}: only keys of [model] say what the weights are", set));
    }
    apply_override(recipe, set);
  }
  if (const std::string problem = check_model_config(recipe.model); !problem.empty()) {
    throw Error(problem);
  }
  return recipe.model;
}

int import_weights(const ImportWords& words, Clock&) {
  prepare_output(words.out, {words.weights, words.tokenizer});
  const ModelConfig config = read_model(words, find_weight_map(words.map));
  const Tokenizer tokenizer(words.tokenizer);
  if (tokenizer.vocab_size() != config.vocab_size) {
    throw Error(
        fmt::format("the tokenizer \"{}\" has {} ids, the model {}; give the one that the "
                    "weights were trained with, or --set model.vocab_size",
                    words.tokenizer.string(), tokenizer.vocab_size(), config.vocab_size));
  }
  const Bytes file = read_file(words.weights);
  const std::string_view foreign = describe_foreign_file(file);
  Result<std::vector<HostTensor>> tensors =
      foreign.empty()
          ? import_tensors(file, config, find_weight_map(words.map))
          : Failure{fmt::format("it is {}; docs/import.md has the three lines of Python "
                                "that make safetensors of a checkpoint",
                                foreign)};
  if (!tensors.ok()) {
    throw Error(fmt::format("cannot import \"{}\": {}", words.weights.string(), tensors.error()));
  }
  std::FILE* const summary = summary_stream(words.out);  // before the file has another inode
  const int64_t bytes =
      write_weights_file(words.out, {config, tokenizer.sha256(), std::move(tensors.value())});
  fmt::print(summary, "{}: {} parameters, {} bytes\n", escape_terminal(words.out.string()),
             format_thousands(count_params(config)), format_thousands(bytes));
  return 0;
}

}  // namespace

Command make_import_command() {
  return make_command<ImportWords>("import", "another trainer's weights, to pack and score them",
                                   list_options, import_weights);
}

}  // namespace pg
