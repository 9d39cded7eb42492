// train_gpt: the whole job of parameter golf in one program. run() is the pipeline, top to bottom:
//
//   recipe -> forecast -> device -> tokens -> rehearse -> train -> quantise -> seal -> unpack
//     -> evaluate -> record
//
// Each include says what it gives. The other commands are in harness/command/, one file each.

// The includes stand in the order of the pipeline.
// clang-format off

// what to do
#include "harness/command/cli.h"    // run_command_line: argv -> run(); load_recipe_and_environment
#include "harness/recipe/recipe.h"  // Recipe, check_recipe: file < environment < --set

// whether it can fit, where it runs, on what
#include "quant/method/pack_estimate.h"       // forecast_pack: what the artifact will take
#include "harness/record/code_features.h"     // code_sizes: the sources that count beside it
#include "harness/command/rank_steps.h"       // join_ranks, follow_run: several ranks, one job
#include "src/device/registry/make_device.h"  // make_device: memory and the op table
#include "harness/command/run_steps.h"        // RunText: tokenizer, shards; rehearse, train

// weights
#include "src/train/trainer.h"              // TrainResult: averaged weights within the budget
#include "harness/command/pack_steps.h"     // calibrate_weights, quantize_weights: weights -> codes
#include "quant/method/seal.h"              // seal: codes -> artifact bytes under the cap
#include "harness/command/artifact_file.h"  // unpack_file: artifact -> all that is evaluated

// the score and the record
#include "harness/command/final_score.h"   // score_finally: UnpackedModel -> val.pgt, whose length is the score
#include "harness/command/rank_scoring.h"  // RankScoring: UnpackedModel -> Score on all ranks
#include "harness/record/run_folder.h"     // RunFolder: where the run's files lie, and writes
#include "harness/record/run_log.h"        // RunLog: log, JSON lines, tape; holds result and times
#include "harness/record/record.h"         // write_record: the result, for people and for programs

// the process
#include "harness/command/interrupt.h"         // watch_signals: Ctrl-C, before there are threads
#include "harness/command/standard_streams.h"  // finish_output: lost output is a failure

// small things
#include "src/base/clock.h"        // Clock: time is a parameter
#include "src/text/text_format.h"  // format_date
// clang-format on

#include <fmt/format.h>

#include <ctime>
#include <exception>

namespace pg {
namespace {

int run(const RunOptions& options, Clock& clock, double start_s) {
  const LoadedRecipe loaded = load_recipe_and_environment(options.recipe, options.sets);
  const Recipe& recipe = loaded.recipe;
  check_recipe(recipe);
  const CodeSizes code_bytes = code_sizes(recipe.model, recipe.scoring());
  const std::string warning = check_forecast(
      recipe, forecast_pack(recipe.model, recipe.quant, code_bytes));  // throws over the cap

  LocalRanks ranks =
      join_ranks(options.ranks, [&](int count) { check_batches(recipe.train, count); });
  if (!ranks.has_first()) return follow_run(ranks, recipe);
  const auto device = make_device(recipe.track.device);
  const DevicePeak peak = device->measure_peak();
  const RunText text(recipe);

  const RunFolder folder = open_output(options, recipe);
  RunLog log(recipe, folder, clock, start_s, ProgressLine::for_stream(stderr));
  log.write_head(collect_facts(recipe, text, ranks, *device, peak), loaded.overrides);
  if (!warning.empty()) log.warn(warning);

  const ByteTable& bytes = text.bytes();
  const RankScoring scoring(ranks, recipe.track.device, text.val_tokens,
                            {device.get(), &bytes, &clock});
  const double rest_s = rehearse_run(recipe, text, *device, clock, log);
  TrainResult trained = train_weights(options, recipe, text, folder, ranks, scoring, *device, peak,
                                      rest_s, clock, log);
  if (options.is_one_of_several) check_whole(trained, folder);
  log.write_trained(trained);
  choose_average(recipe, text, ranks, *device, clock, log, trained);
  keep_weights(folder, {recipe.model, text.tokenizer.sha256(), trained.exported}, log);
  const RestOfRun rest(trained, folder);  // Ctrl-C ends it, between two lines of progress
  const auto show = [&](const EvalProgress& progress) {
    rest.end_if_asked();
    log.show_progress(progress);
  };
  log.write_pre_quant(rest.during([&] {
    return *scoring.diagnose(recipe.model, trained.exported, without_overlap(recipe.eval), show);
  }));

  const auto show_work = [&](const std::string& work) {
    rest.end_if_asked();
    log.show_work(work);
  };
  const Calibration calibration =  // on training text
      calibrate_weights(recipe, trained.exported, text.batches, *device, show_work);
  log.note_calibrated();
  const QuantResult quantized = quantize_weights(recipe, trained.exported, text.tokenizer.sha256(),
                                                 calibration, code_bytes, show_work);
  log.write_allocation(quantized.allocation);
  const SealedArtifact sealed =
      seal(quantized.model, recipe.quant, code_bytes, show_work);  // throws over the cap
  folder.write(folder.artifact(recipe.quant.matrix_bits), sealed.bytes);
  folder.write(folder.code(),
               code_bundle(code_features(recipe.model, recipe.scoring(), sealed.summary.coder)));
  log.write_packed(sealed.summary);

  const UnpackedModel shipped = unpack_file(folder.artifact(recipe.quant.matrix_bits));
  share_bytes(ranks, sealed.bytes);
  const auto score_with = [&](const ScoringConfig& config) {
    return rest.during([&] { return *scoring.evaluate(shipped, config, show); });
  };
  log.write_roundtrip(score_with({without_overlap(recipe.eval)}));
  const auto exact_device = make_device(kExactDevice);
  const RankScoring exact(ranks, std::string(kExactDevice), text.val_tokens,
                          {exact_device.get(), &bytes, &clock});
  const FinalScore final_score = rest.during([&] {
    return *score_finally(ranks, recipe, shipped, text.val_tokens, exact, scoring, show);
  });
  ranks.leave();
  folder.write(folder.coded_text(), final_score.file);
  log.write_final(final_score.line, final_score.coded);

  write_record(folder, log.finish(shipped.artifact_sha256(), format_date(std::time(nullptr))));
  fmt::print("val_bpb {:.8f}\nartifact_bytes {}\nrecord {}\n", final_score.line.bits_per_byte,
             sealed.summary.total_bytes, folder.shown);
  return 0;
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  pg::open_standard_streams();
  pg::report_uncaught_failures();
  pg::watch_signals();
  pg::SteadyClock clock;
  const double start_s = clock.now_s();
  const auto run = [start_s](const pg::RunOptions& options, pg::Clock& run_clock) {
    return pg::run(options, run_clock, options.start_s.value_or(start_s));
  };
  try {
    return pg::finish_output(pg::run_command_line(argc, argv, clock, run));
  } catch (const std::exception& error) {
    return pg::report_failure(error);
  }
}
