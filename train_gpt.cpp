// train_gpt: the whole job of parameter golf in one program. run() is the pipeline, top to bottom:
//
//   recipe -> forecast -> device -> tokens -> train -> quantise -> seal -> unpack -> evaluate
//     -> record
//
// Each include says what it gives. The other commands are in harness/command/commands.cpp.

// clang-format off: the includes stand in the order of the pipeline

// what to do
#include "harness/bench/bench_eval.h"  // run_bench_eval: speed of scoring
#include "harness/bench/bench_pack.h"  // run_bench_pack: the weight coder beside general compressors
#include "harness/bench/bench_train.h"        // run_bench_train: speed beside the machine's peak
#include "harness/command/cli.h"              // parse_command_line: argv -> Command
#include "harness/command/coding_commands.h"  // encode, decode: the score as a file
#include "harness/command/commands.h"  // eval, audit, export, pack, generate, tokenizer, recipe, ...
#include "harness/command/run_steps.h"    // check_data, check_forecast, keep_weights, LapTimer
#include "harness/command/size_report.h"  // print_size: what an artifact takes of the cap
#include "harness/recipe/recipe.h"        // Recipe, load_recipe: file < environment < --set

// tokens: text -> ids, and how many bytes each id stands for
#include "src/data/batches.h"     // Batches: training windows in the loader's order
#include "src/data/token_file.h"  // TokenStream: memory-mapped shards
#include "src/data/tokenizer.h"   // Tokenizer, ByteTable

// where it runs
#include "src/base/clock.h"                   // Clock: time is a parameter
#include "src/device/registry/make_device.h"  // make_device: memory and the op table

// weights
#include "harness/command/pack_steps.h"  // calibrate_weights, quantize_weights
#include "quant/format/unpack.h"  // unpack: artifact bytes -> UnpackedModel, all that is evaluated
#include "quant/method/pack_estimate.h"  // forecast_pack, project_bytes: what it will take
#include "quant/method/quantize.h"       // quantize: weights -> codes
#include "quant/method/seal.h"           // seal: codes -> artifact bytes under the cap
#include "src/train/trainer.h"           // train: batches -> averaged weights within the budget

// the score and the record
#include "eval/score.h"                 // evaluate: UnpackedModel -> Score in bits per byte
#include "harness/command/interrupt.h"  // watch_interrupts: Ctrl-C ends training, not the run
#include "harness/record/record.h"      // RunResult, write_record
#include "harness/record/run_folder.h"  // open_run_folder: new, resumed or refused
#include "harness/record/run_log.h"     // RunLog: community log, JSON lines, tape, progress

// small things
#include "src/base/bytes.h"        // read_file, write_file_atomic
#include "src/base/error.h"        // Error: a user's mistake, caught once in main
#include "src/text/text_format.h"  // format_date
// clang-format on

#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <exception>
#include <variant>

namespace pg {
namespace {

TrainResult train_weights(const Recipe& recipe, const RunFolder& folder, const Batches& batches,
                          const TokenStream& train_tokens, const TokenStream& val_tokens,
                          const ByteTable& bytes, Device& device, const DevicePeak& peak,
                          Clock& clock, RunLog& log) {
  TrainSetup setup;
  setup.model = recipe.model;
  setup.train = recipe.train;
  setup.optimizer = recipe.optimizer;
  setup.device = &device;
  setup.batches = &batches;
  setup.clock = &clock;
  setup.observer = &log;
  setup.checkpoint_file = folder.checkpoint();
  setup.data_fingerprint = train_tokens.fingerprint();
  setup.peak_flops_per_s = peak.matmul_flops_per_s;
  setup.stop_requested = is_interrupt_requested;
  setup.validate = [&](const std::vector<HostTensor>& weights) {
    const DiagnosticLoss loss = diagnose_loss(recipe.model, weights, bytes, val_tokens,
                                              without_overlap(recipe.eval), device, clock);
    return ValidationScore{loss.diagnostic_loss_nats, loss.diagnostic_bits_per_byte};
  };
  setup.project_bytes = [&](const std::vector<HostTensor>& weights) {
    return project_bytes(weights, recipe.quant, counted_code_bytes());
  };
  return train(setup);
}

int run(const RunOptions& options, Clock& clock, double start_s) {
  const LoadedRecipe loaded = load_recipe(options.recipe, options.sets, process_environment);
  const Recipe& recipe = loaded.recipe;
  check_recipe(recipe);
  const int64_t code_bytes = counted_code_bytes();
  const std::string warning = check_forecast(
      recipe, forecast_pack(recipe.model, recipe.quant, code_bytes));  // throws over the cap
  const auto device = make_device(recipe.track.device);
  const DevicePeak peak = device->measure_peak();

  const Tokenizer tokenizer(recipe.data.tokenizer);
  check_data(recipe, tokenizer);
  const auto train_tokens = TokenStream::open(recipe.data.train_shards, recipe.model.vocab_size);
  const auto val_tokens = TokenStream::open(recipe.data.val_shards, recipe.model.vocab_size);
  const Batches batches(train_tokens, parse_loader(recipe.data.loader),
                        static_cast<uint64_t>(recipe.train.seed), recipe.train.seq_len);

  const auto folder = open_run_folder(
      options.out.empty() ? default_run_folder(recipe) : options.out, recipe, options.fresh);
  RunLog log(recipe, folder, clock, start_s, ProgressLine::for_stream(stderr));
  RunResult result;
  result.recipe = recipe;
  result.facts = collect_facts(recipe, tokenizer, train_tokens, val_tokens, *device, peak);
  log.write_head(result.facts, loaded.overrides);
  if (!warning.empty()) log.warn(warning);

  const TrainResult trained = train_weights(recipe, folder, batches, train_tokens, val_tokens,
                                            tokenizer.byte_table(), *device, peak, clock, log);
  log.write_trained(trained);

  LapTimer timer(clock);
  keep_weights(folder, {recipe.model, tokenizer.sha256(), trained.exported}, log);
  const DiagnosticLoss pre_quant =
      diagnose_loss(recipe.model, trained.exported, tokenizer.byte_table(), val_tokens,
                    without_overlap(recipe.eval), *device, clock);
  log.write_pre_quant(result.pre_quant = {pre_quant.diagnostic_loss_nats,
                                          pre_quant.diagnostic_bits_per_byte, pre_quant.eval_s});
  result.times.diagnose_s = timer.lap_s();

  const Calibration calibration =
      calibrate_weights(recipe, trained.exported, batches, *device);  // on training text
  result.times.calibrate_s = timer.lap_s();
  const QuantResult quantized =
      quantize_weights(recipe, trained.exported, tokenizer.sha256(), calibration, code_bytes);
  log.write_allocation(result.allocation = quantized.ledger);
  result.times.quantize_s = timer.lap_s();
  const SealedArtifact sealed =
      seal(quantized.model, recipe.quant, code_bytes);  // throws over the cap
  const auto artifact_file = folder.artifact(recipe.quant.matrix_bits);
  write_file_atomic(artifact_file, sealed.bytes);
  log.write_packed(result.pack = sealed.summary, result.facts.params * 4);
  result.times.pack_s = timer.lap_s();

  const Result<UnpackedModel> shipped = unpack(read_file(artifact_file));
  if (!shipped.ok()) throw Error("the artifact just written does not unpack: " + shipped.error());
  const auto score_with = [&](const ScoringConfig& scoring) {
    return evaluate(shipped.value(), tokenizer.byte_table(), val_tokens, scoring, *device, clock,
                    [&](const EvalProgress& p) { log.show_progress(format_progress(p)); });
  };
  const Score roundtrip = score_with(without_overlap(recipe.eval));
  log.write_roundtrip(result.roundtrip = to_score_line(roundtrip));
  result.times.diagnose_s += timer.lap_s();
  const Score score = score_with(recipe.scoring());
  log.write_final(result.score = to_score_line(score), recipe.eval.stride);
  if (score.is_over_budget()) log.warn(describe_over_budget(score));
  result.times.eval_s = timer.lap_s();

  fill_result(result, trained, score, log, folder);
  result.date = recipe.record.date.empty() ? format_date(std::time(nullptr)) : recipe.record.date;
  result.artifact_sha256 = hex(shipped.value().artifact_sha256());
  result.times.total_s = clock.now_s() - start_s;
  write_record(folder, result);
  fmt::print("val_bpb {:.8f}\nartifact_bytes {}\nrecord {}\n", score.bits_per_byte(),
             result.pack.total_bytes, folder.path.string());
  return 0;
}

// One call per command; a new alternative of Command does not compile without one here.
struct Dispatch {
  Clock& clock;
  double start_s;

  int operator()(const UsageText& usage) const {
    std::fputs(usage.text.c_str(), usage.exit_code == 0 ? stdout : stderr);
    return usage.exit_code;
  }
  int operator()(const RunOptions& options) const {
    watch_interrupts();
    return run(options, clock, start_s);
  }
  int operator()(const EvalOptions& options) const { return eval_artifact(options, clock); }
  int operator()(const AuditCommand& command) const { return audit_artifact(command); }
  int operator()(const SizeOptions& options) const { return print_size(options); }
  int operator()(const ExportOptions& options) const { return export_weights(options); }
  int operator()(const PackOptions& options) const { return pack_weights(options, clock); }
  int operator()(const EncodeCommand& command) const { return encode_file(command, clock); }
  int operator()(const DecodeCommand& command) const { return decode_file(command, clock); }
  int operator()(const GenerateCommand& command) const { return generate_text(command); }
  int operator()(const TrainTokenizerOptions& options) const {
    return train_tokenizer_model(options);
  }
  int operator()(const TokenizeCommand& command) const { return tokenize_text(command); }
  int operator()(const CorpusInfoCommand& command) const { return print_corpus_info(command); }
  int operator()(const RecipeOptions& options) const { return print_recipe(options); }
  int operator()(const BenchTrainOptions& options) const { return run_bench_train(options); }
  int operator()(const BenchEvalOptions& options) const { return run_bench_eval(options); }
  int operator()(const BenchPackOptions& options) const { return run_bench_pack(options); }
  int operator()(const DocsOpsCommand&) const { return print_docs_ops(); }
};

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  pg::SteadyClock clock;
  const double start_s = clock.now_s();
  try {
    return std::visit(pg::Dispatch{clock, start_s}, pg::parse_command_line(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_gpt: %s\n", error.what());
    return 1;
  }
}
