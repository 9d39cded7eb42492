#include "src/run/commands.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "eval/score.h"
#include "quant/artifact.h"
#include "src/base/error.h"
#include "src/run/docs_ops.h"
#include "src/run/progress_line.h"
#include "src/run/text_escape.h"
#include "src/run/text_format.h"

namespace pg {
namespace {

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

UnpackedModel unpack_file(const std::filesystem::path& path) {
  Result<UnpackedModel> unpacked = unpack(read_file(path));
  if (unpacked.ok()) return std::move(unpacked.value());
  throw Error(fmt::format("not a valid artifact: \"{}\" ({}); give a file that train_gpt run wrote",
                          path.string(), unpacked.error()));
}

CorpusProgress show_corpus_progress(ProgressLine& progress) {
  return [&progress](int64_t documents, int64_t text_bytes) {
    progress.show(fmt::format("{} documents  {:.1f} MB", format_thousands(documents),
                              static_cast<double>(text_bytes) / 1e6),
                  false);
  };
}

void print_split(const SplitSummary& s) {
  if (s.split.empty() || s.documents == 0) return;
  print(fmt::format("{:<8}{:>12} documents  {:>15} bytes  {:>14} tokens  {:.4f} bytes/token\n",
                    s.split, format_thousands(s.documents), format_thousands(s.target_bytes),
                    format_thousands(s.tokens), s.bytes_per_token()));
  if (s.normalised_documents > 0) {
    print(fmt::format("{:<8}{:>12} documents changed by the tokenizer's normalisation\n", "",
                      format_thousands(s.normalised_documents)));
  }
}

}  // namespace

const char* process_environment(const char* name) { return std::getenv(name); }

int eval_artifact(const EvalOptions& options, Clock& clock) {
  const Recipe recipe = load_recipe(options.recipe, options.sets, process_environment).recipe;
  if (recipe.data.val_shards.empty() || recipe.data.tokenizer.empty()) {
    throw Error("eval: no validation text or tokenizer; give --recipe, or --data and --tokenizer");
  }
  const UnpackedModel model = unpack_file(options.artifact);
  const Tokenizer tokenizer(recipe.data.tokenizer);
  check_tokenizer(model, tokenizer);
  check_tokenizer_of_shards(recipe.data.val_shards, tokenizer.sha256());
  const TokenStream val = TokenStream::open(recipe.data.val_shards, model.config().vocab_size);
  const auto device = make_device(recipe.track.device);
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const Score score =
      evaluate(model, tokenizer.byte_table(), val, recipe.eval, *device, clock,
               [&](const EvalProgress& p) { progress.show(format_progress(p), false); });
  progress.finish();
  print(fmt::format(
      "val_loss:{:.8f} val_bpb:{:.8f} tokens:{} bytes:{} documents:{} context:{} stride:{} "
      "eval_time:{:.0f}ms\n",
      score.loss_nats(), score.bits_per_byte(), score.tokens(), score.bytes(), score.documents(),
      recipe.eval.context, recipe.eval.stride, score.eval_s() * 1e3));
  return 0;
}

int print_size(const SizeOptions& options) {
  const Bytes bytes = read_file(options.artifact);
  const UnpackedModel model = unpack_file(options.artifact);
  const int64_t cap_bytes = options.cap_bytes > 0 ? options.cap_bytes : QuantConfig{}.cap_bytes;
  const auto model_bytes = static_cast<int64_t>(bytes.size());
  const int64_t code_bytes = counted_code_bytes();
  const int64_t total_bytes = model_bytes + code_bytes;
  int64_t params = 0;
  for (const HostTensor& tensor : model.tensors()) params += tensor.spec.elements();
  const auto row = [](const char* what, int64_t value) {
    print(fmt::format("{:<14}{:>15}\n", what, format_thousands(value)));
  };
  row("model bytes", model_bytes);
  row("code bytes", code_bytes);
  row("total bytes", total_bytes);
  row("cap bytes", cap_bytes);
  row("left", cap_bytes - total_bytes);
  row("parameters", params);
  print(fmt::format("{:<14}{:>15.3f}\n", "bits/weight",
                    8.0 * static_cast<double>(model_bytes) / static_cast<double>(params)));
  return total_bytes <= cap_bytes ? 0 : 1;
}

int generate_text(const GenerateCommand& command) {
  const UnpackedModel model = unpack_file(command.artifact);
  const Tokenizer tokenizer(command.tokenizer);
  check_tokenizer(model, tokenizer);
  const auto device = make_device(command.device);
  std::vector<int32_t> ids = tokenizer.encode_document(command.prompt);
  const std::vector<int32_t> prompt = ids;
  // A token may be part of a character: each time the whole text is decoded and what is new and
  // final is printed.
  std::string shown;
  generate(model, prompt, command.options, *device, [&](int32_t id) {
    ids.push_back(id);
    const std::string text = tokenizer.decode(ids);
    if (is_utf8(text) && text.starts_with(shown)) {
      print(text.substr(shown.size()));
      std::fflush(stdout);
      shown = text;
    }
    return true;
  });
  const std::string text = tokenizer.decode(ids);
  if (text.starts_with(shown)) print(text.substr(shown.size()));
  print("\n");
  return 0;
}

int train_tokenizer_model(const TrainTokenizerOptions& options) {
  train_tokenizer(options.input, options.vocab_size, options.out);
  const Tokenizer tokenizer(options.out);
  print(fmt::format("{}: {} tokens, sha256 {}\n", escape_terminal(options.out.string()),
                    tokenizer.vocab_size(), hex(tokenizer.sha256())));
  return 0;
}

int tokenize_text(const TokenizeCommand& command) {
  ProgressLine progress = ProgressLine::for_stream(stderr);
  TokenizeOptions options = command.options;
  options.progress = show_corpus_progress(progress);
  const TokenizeSummary summary = tokenize_corpus(options);
  progress.finish();
  for (const SplitSummary& split : summary.splits) print_split(split);
  for (const auto& shard : summary.shards) print(escape_terminal(shard.string()) + "\n");
  return 0;
}

int print_corpus_info(const CorpusInfoCommand& command) {
  ProgressLine progress = ProgressLine::for_stream(stderr);
  CorpusInfoOptions options = command.options;
  options.progress = show_corpus_progress(progress);
  const CorpusInfo info = corpus_info(options);
  progress.finish();
  print_split(info.train);
  print_split(info.val);
  if (info.val_shingles > 0) {
    print(fmt::format("overlap {:.4f}% of the {} runs of 13 words in val occur in train\n",
                      info.overlap() * 100, format_thousands(info.val_shingles)));
  }
  return 0;
}

int print_recipe(const RecipeOptions& options) {
  if (options.help_keys) {
    print(describe_recipe_keys());
    return 0;
  }
  const LoadedRecipe loaded = load_recipe(options.recipe, options.sets, process_environment);
  print(write_recipe(loaded.recipe, RecipeComments::kHelp));
  for (const RecipeOverride& o : loaded.overrides) {
    std::fputs(fmt::format("{} = {} from {}\n", o.key, escape_terminal(o.value), o.source).c_str(),
               stderr);
  }
  check_recipe(loaded.recipe);
  return 0;
}

int print_docs_ops() {
  print(write_docs_ops());
  return 0;
}

}  // namespace pg
