// `train_gpt pack`: weights that a run kept, quantised and sealed again without training.
#include <fmt/format.h>

#include "harness/command/commands.h"
#include "harness/command/output_path.h"
#include "harness/command/pack_steps.h"
#include "harness/command/recipe_path.h"
#include "harness/exchange/weights_file.h"
#include "harness/recipe/recipe.h"
#include "harness/record/code_features.h"
#include "harness/record/coder_table.h"
#include "harness/record/progress_line.h"
#include "quant/method/seal.h"
#include "src/base/error.h"
#include "src/data/corpus/open_data.h"
#include "src/data/corpus/shard_checks.h"
#include "src/device/registry/make_device.h"
#include "src/files/write_file.h"
#include "src/text/text_escape.h"
#include "src/train/batches.h"

namespace pg {
namespace {

struct PackWords {
  std::filesystem::path weights;  // .safetensors that a run wrote
  std::filesystem::path out;
  std::filesystem::path recipe;  // may be empty
  std::vector<std::string> sets;
};

std::vector<Option> list_options(PackWords& w) {
  return {
      {.name = "weights",
       .value = &w.weights,
       .help = "final_model.safetensors",
       .is_required = true},
      {.name = "out", .value = &w.out, .help = "artifact to write", .is_required = true},
      {.name = "--recipe", .value = &w.recipe, .help = "recipe with [quant] and the training text"},
      set_option(w.sets),
  };
}

int pack_weights(const PackWords& words, Clock& clock) {
  prepare_output(words.out, {words.weights, words.recipe});
  Recipe recipe = load_recipe_and_environment(words.recipe, words.sets).recipe;
  Result<WeightsFile> file = read_weights_file(words.weights);
  if (!file.ok()) {
    throw Error(
        fmt::format("not a weights file: \"{}\" ({}); give the final_model.safetensors of a run",
                    words.weights.string(), file.error()));
  }
  const WeightsFile& weights = file.value();
  recipe.model = weights.config;
  settle_rope_context(recipe);
  check_recipe(recipe);
  const auto device = make_device(recipe.track.device);
  const double start_s = clock.now_s();
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const auto show = [&](const std::string& work) { progress.show(work, false); };
  Calibration calibration;
  if (needs_calibration(recipe.quant)) {
    if (recipe.data.train_shards.empty()) {
      throw Error(
          "pack: no training text to calibrate on; give --recipe or --set data.train_shards=..., "
          "or quantise without: --set quant.rounding=nearest --set quant.scales=sdclip");
    }
    const auto tokens = open_recipe_path(recipe.data.train_shards, [&](const std::string& shards) {
      refuse_faults(find_shard_faults(shards, weights.tokenizer_sha256), recipe.data.force);
      return open_shard_files(shards, recipe.model.vocab_size);
    });
    const Batches batches(tokens, recipe.data.loader, static_cast<uint64_t>(recipe.train.seed),
                          recipe.train.seq_len);
    calibration = calibrate_weights(recipe, weights.tensors, batches, *device, show);
  }
  const double calibrated_s = clock.now_s();
  const CodeSizes code_bytes = code_sizes(recipe.model, recipe.scoring());
  const QuantResult quantized = quantize_weights(recipe, weights.tensors, weights.tokenizer_sha256,
                                                 calibration, code_bytes, show);
  const double quantized_s = clock.now_s();
  const SealedArtifact sealed = seal(quantized.model, recipe.quant, code_bytes, show);
  progress.finish();
  std::FILE* const summary = summary_stream(words.out);  // before the file has another inode
  write_file_atomic(words.out, sealed.bytes);
  const PackSummary& s = sealed.summary;
  fmt::print(summary, "{}", format_allocation(quantized.allocation));
  fmt::print(summary, "calibrate {:.2f} s, quantise {:.2f} s, seal {:.2f} s\n",
             calibrated_s - start_s, quantized_s - calibrated_s, clock.now_s() - quantized_s);
  for (const std::string& line : describe_coders(s.coders)) fmt::print(summary, "{}\n", line);
  fmt::print(summary, "{}: {} bytes + code {} = {} of {}, {} left, {:.3f} bits/weight\n",
             escape_terminal(words.out.string()), s.model_bytes, s.code_bytes, s.total_bytes,
             s.cap_bytes, s.cap_bytes - s.total_bytes, s.bits_per_weight);
  return 0;
}

}  // namespace

Command make_pack_command() {
  return make_command<PackWords>("pack", "quantise and seal weights that a run exported",
                                 list_options, pack_weights);
}

}  // namespace pg
