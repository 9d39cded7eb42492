#include "harness/command/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "eval/diagnosis/published_diagnosis.h"
#include "eval/score.h"
#include "harness/command/docs_ops.h"
#include "harness/command/pack_steps.h"
#include "harness/command/run_steps.h"
#include "harness/exchange/weights_file.h"
#include "harness/record/progress_line.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

CorpusProgress show_corpus_progress(ProgressLine& progress) {
  return [&progress](int64_t documents, int64_t text_bytes) {
    progress.show(fmt::format("{} documents  {:.1f} MB", format_thousands(documents),
                              static_cast<double>(text_bytes) / 1e6),
                  false);
  };
}

void print_contaminated(const ContaminatedLoss& loss) {
  print(fmt::format(
      "not a score: trained on the text it reports on: {:.8f} bits per byte after {} epochs "
      "(tokens:{} bytes:{} train_time:{:.0f}ms eval_time:{:.0f}ms)\n",
      loss.contaminated_bits_per_byte, loss.epochs, loss.tokens, loss.bytes, loss.train_s * 1e3,
      loss.eval_s * 1e3));
}

void print_published(const PublishedDiagnosis& d) {
  print(fmt::format("not a score: the published n-gram cache claims {:.4f} bits per byte\n",
                    d.claimed_bits_per_byte));
  print(fmt::format("its 'probabilities' sum to {:.1f} over the vocabulary, mean of {} targets\n",
                    d.sum_over_vocabulary, d.sampled_tokens));
  print(
      fmt::format("the same counts, normalised: {:.4f} bits per byte; the network alone: {:.4f}\n",
                  d.normalised_bits_per_byte, d.network_bits_per_byte));
  print(fmt::format(
      "on uniform random tokens it claims {:.3f} bits a token, {:.3f} in the last tenth, where any "
      "code needs 10 at 1024 tokens; sum {:.1f}; normalised {:.2f} +- {:.2f}\n",
      d.random.claimed_bits, d.random.claimed_bits_late, d.random.sum_over_vocabulary,
      d.random.normalised_bits, d.random.standard_error));
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

// An artifact knows the window it is to be scored with; a recipe or a key given by hand wins.
void take_scoring_form(const UnpackedModel& model, const EvalOptions& options,
                       const std::vector<RecipeOverride>& overrides, EvalConfig& eval) {
  const auto is_given = [&](const char* key) {
    return !options.recipe.empty() ||
           std::any_of(overrides.begin(), overrides.end(),
                       [&](const RecipeOverride& o) { return o.key == key; });
  };
  if (!is_given("eval.context")) eval.context = model.scoring().context;
  if (!is_given("eval.stride")) eval.stride = std::min(model.scoring().stride, eval.context);
}

}  // namespace

UnpackedModel unpack_file(const std::filesystem::path& path) {
  Result<UnpackedModel> unpacked = unpack(read_file(path));
  if (unpacked.ok()) return std::move(unpacked.value());
  throw Error(fmt::format("not a valid artifact: \"{}\" ({}); give a file that train_gpt run wrote",
                          path.string(), unpacked.error()));
}

const char* process_environment(const char* name) { return std::getenv(name); }

int eval_artifact(const EvalOptions& options, Clock& clock) {
  const LoadedRecipe loaded = load_recipe(options.recipe, options.sets, process_environment);
  Recipe recipe = loaded.recipe;
  if (recipe.data.val_shards.empty() || recipe.data.tokenizer.empty()) {
    throw Error("eval: no validation text or tokenizer; give --recipe, or --data and --tokenizer");
  }
  const UnpackedModel model = unpack_file(options.artifact);
  take_scoring_form(model, options, loaded.overrides, recipe.eval);
  const Tokenizer tokenizer(recipe.data.tokenizer);
  check_tokenizer(model, tokenizer);
  check_tokenizer_of_shards(recipe.data.val_shards, tokenizer.sha256());
  const TokenStream val = TokenStream::open(recipe.data.val_shards, model.config().vocab_size);
  const auto device = make_device(recipe.track.device);
  if (options.published_mixer) {
    print_published(
        diagnose_published_mixer(model, tokenizer.byte_table(), val, recipe.eval, *device));
    return 0;
  }
  if (options.pretrain_epochs > 0) {
    print_contaminated(diagnose_pretrained_on_val(model, tokenizer.byte_table(), val, recipe.eval,
                                                  recipe.ttt, options.pretrain_epochs, *device,
                                                  clock));
    return 0;
  }
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const Score score =
      evaluate(model, tokenizer.byte_table(), val, recipe.scoring(), *device, clock,
               [&](const EvalProgress& p) { progress.show(format_progress(p), false); });
  progress.finish();
  print(fmt::format(
      "val_loss:{:.8f} val_bpb:{:.8f} tokens:{} bytes:{} documents:{} context:{} stride:{} "
      "windows:{} eval_time:{:.0f}ms{}\n",
      score.loss_nats(), score.bits_per_byte(), score.tokens(), score.bytes(), score.documents(),
      recipe.eval.context, recipe.eval.stride, recipe.eval.windows, score.eval_s() * 1e3,
      score.is_over_budget() ? " OVER BUDGET" : ""));
  if (score.is_over_budget()) progress.warn(describe_over_budget(score));
  return 0;
}

int export_weights(const ExportOptions& options) {
  const UnpackedModel model = unpack_file(options.artifact);
  const int64_t bytes =
      write_weights_file(options.out, {model.config(), model.tokenizer_sha256(), model.tensors()});
  print(fmt::format("{}: {} tensors, {} parameters, {} bytes\n",
                    escape_terminal(options.out.string()), model.tensors().size(),
                    format_thousands(count_params(model.config())), format_thousands(bytes)));
  return 0;
}

int pack_weights(const PackOptions& options, Clock& clock) {
  Recipe recipe = load_recipe(options.recipe, options.sets, process_environment).recipe;
  Result<WeightsFile> file = read_weights_file(options.weights);
  if (!file.ok()) {
    throw Error(
        fmt::format("not a weights file: \"{}\" ({}); give the final_model.safetensors of a run",
                    options.weights.string(), file.error()));
  }
  const WeightsFile& weights = file.value();
  recipe.model = weights.config;
  check_recipe(recipe);
  const auto device = make_device(recipe.track.device);
  const double start_s = clock.now_s();
  Calibration calibration;
  if (needs_calibration(recipe.quant)) {
    check_tokenizer_of_shards(recipe.data.train_shards, weights.tokenizer_sha256);
    const auto tokens = TokenStream::open(recipe.data.train_shards, recipe.model.vocab_size);
    const Batches batches(tokens, parse_loader(recipe.data.loader),
                          static_cast<uint64_t>(recipe.train.seed), recipe.train.seq_len);
    calibration = calibrate_weights(recipe, weights.tensors, batches, *device);
  }
  const double calibrated_s = clock.now_s();
  const int64_t code_bytes = counted_code_bytes();
  const QuantResult quantized =
      quantize_weights(recipe, weights.tensors, weights.tokenizer_sha256, calibration, code_bytes);
  const double quantized_s = clock.now_s();
  const SealedArtifact sealed = seal(quantized.model, recipe.quant, code_bytes);
  write_file_atomic(options.out, sealed.bytes);
  const PackSummary& s = sealed.summary;
  print(format_allocation(quantized.ledger));
  print(fmt::format("calibrate {:.2f} s, quantise {:.2f} s, seal {:.2f} s\n",
                    calibrated_s - start_s, quantized_s - calibrated_s,
                    clock.now_s() - quantized_s));
  print(fmt::format("{}: {} bytes + code {} = {} of {}, {} left, {:.3f} bits/weight\n",
                    escape_terminal(options.out.string()), s.model_bytes, s.code_bytes,
                    s.total_bytes, s.cap_bytes, s.cap_bytes - s.total_bytes, s.bits_per_weight));
  return 0;
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
