#include "harness/command/run_steps.h"

#include <fmt/format.h>

#include "eval/score.h"
#include "harness/command/choose_average.h"
#include "harness/command/data_checks.h"
#include "harness/command/interrupt.h"
#include "harness/command/pack_steps.h"
#include "harness/command/rank_steps.h"
#include "harness/command/recipe_path.h"
#include "harness/recipe/recipe_identity.h"
#include "harness/record/code_features.h"
#include "harness/record/machine.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/data/corpus/open_data.h"
#include "src/device/registry/make_device.h"
#include "src/files/file_sha256.h"
#include "src/model/model.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

// Checked before the shards are read, which takes longer.
Tokenizer open_tokenizer(const Recipe& recipe) {
  const DataConfig& data = recipe.data;
  const char* missing = data.tokenizer.empty()      ? "data.tokenizer"
                        : data.train_shards.empty() ? "data.train_shards"
                        : data.val_shards.empty()   ? "data.val_shards"
                                                    : nullptr;
  if (missing != nullptr) {
    throw Error(fmt::format("run: no {} given; set it in the recipe or with --set {}=...", missing,
                            missing));
  }
  Tokenizer tokenizer = open_recipe_path(data.tokenizer, open_tokenizer_file);
  if (tokenizer.vocab_size() != recipe.model.vocab_size) {
    throw Error(
        fmt::format("model.vocab_size is not the tokenizer's: \"{}\"; set it to {} or give "
                    "another data.tokenizer",
                    recipe.model.vocab_size, tokenizer.vocab_size()));
  }
  check_case_ops(recipe.eval, tokenizer);
  return tokenizer;
}

// "AVX-512 bf16" of "2 threads, AVX-512 bf16".
std::string behind_comma(const std::string& text) {
  const size_t comma = text.find(", ");
  return comma == std::string::npos ? text : text.substr(comma + 2);
}

// A fingerprint tells other text by chance alone; these bind it.
std::vector<std::string> hash_shards(const TokenStream& tokens) {
  std::vector<std::string> sha256s(tokens.paths().size());
  parallel_chunks(static_cast<int64_t>(sha256s.size()), [&](int64_t shard) {
    const auto i = static_cast<size_t>(shard);
    sha256s[i] = hex(sha256_file(tokens.paths()[i]));
  });
  return sha256s;
}

}  // namespace

TokenStream open_shards(const std::string& shards, const Recipe& recipe) {
  return open_recipe_path(shards, [&](const std::string& path) {
    return open_shard_files(path, recipe.model.vocab_size);
  });
}

Batches order_batches(const Recipe& recipe, const TokenStream& tokens) {
  return {tokens, recipe.data.loader, static_cast<uint64_t>(recipe.train.seed),
          recipe.train.seq_len, held_out_tokens(recipe.train)};
}

RunText::RunText(const Recipe& recipe)
    : tokenizer(open_tokenizer(recipe)),
      faults(check_run_files(recipe.data, tokenizer)),
      train_tokens(open_shards(recipe.data.train_shards, recipe)),
      val_tokens(open_shards(recipe.data.val_shards, recipe)),
      batches(order_batches(recipe, train_tokens)) {
  TokenFaults more = check_run_tokens(recipe.data, tokenizer, train_tokens, val_tokens);
  is_val_in_train = more.is_val_in_train;
  for (std::string& fault : more.faults) faults.push_back(std::move(fault));
}

std::string check_forecast(const Recipe& recipe, const PackForecast& forecast) {
  const int64_t cap_bytes = recipe.quant.cap_bytes;
  if (forecast.least_bytes > cap_bytes) {
    throw Error(fmt::format(
        "the artifact cannot fit: at least {} bytes, {} over the cap \"{}\"; make the model "
        "smaller "
        "or raise quant.cap_bytes",
        format_thousands(forecast.least_bytes), format_thousands(forecast.least_bytes - cap_bytes),
        format_thousands(cap_bytes)));
  }
  if (forecast.likely_bytes <= cap_bytes) return {};
  if (recipe.quant.fill_cap) {
    return fmt::format(
        "the cap leaves few bits for each weight: {} bytes would be 2.5 bits each, the cap is {}; "
        "below that quantisation costs much, a smaller model is likely better",
        format_thousands(forecast.likely_bytes), format_thousands(cap_bytes));
  }
  return fmt::format(
      "the artifact will likely take {} bytes, {} over the cap of {}; this is judged from "
      "shapes alone, the progress line shows the projection from the weights",
      format_thousands(forecast.likely_bytes), format_thousands(forecast.likely_bytes - cap_bytes),
      format_thousands(cap_bytes));
}

RunFolder open_output(const RunOptions& options, const Recipe& recipe) {
  announce_interrupt("the run ends before its first step");
  return open_run_folder(options.out.empty() ? default_run_folder(recipe) : options.out, recipe,
                         options.fresh);
}

RunFacts collect_facts(const Recipe& recipe, const RunText& text, const LocalRanks& ranks,
                       const Device& device, const DevicePeak& peak) {
  RunFacts facts;
  facts.ranks = ranks.ranks();
  facts.params = count_params(recipe.model);
  facts.train_shards = static_cast<int64_t>(text.train_tokens.paths().size());
  facts.train_tokens = text.train_tokens.size();
  facts.val_tokens = text.val_tokens.size();
  facts.train_fingerprint = text.train_tokens.fingerprint();
  facts.val_fingerprint = text.val_tokens.fingerprint();
  facts.data_faults = text.faults;
  facts.is_val_in_train = text.is_val_in_train;
  facts.is_val_part = is_part_of_manifest(text.val_tokens);
  facts.train_sha256s = hash_shards(text.train_tokens);
  facts.val_sha256s = hash_shards(text.val_tokens);
  facts.tokenizer_sha256 = hex(text.tokenizer.sha256());
  facts.program = describe_program();
  facts.hardware = describe_hardware();
  facts.device =
      fmt::format("{}: {}, matmul {:.0f} GFLOP/s, copy {:.1f} GB/s", device.name(),
                  peak.description, peak.matmul_flops_per_s / 1e9, peak.copy_bytes_per_s / 1e9);
  facts.device_name = device.name();
  facts.instructions = behind_comma(peak.description);
  facts.device_libraries = describe_device_libraries();
  facts.threads = thread_count();
  return facts;
}

void check_trained(const TrainResult& trained, const TrainConfig& train) {
  const bool has_clock = train.wallclock_s > 0;
  if (trained.steps > 1 ||
      (trained.steps == 1 && !(has_clock && trained.train_s > train.wallclock_s))) {
    return;
  }
  if (trained.stop_reason == StopReason::kInterrupted && trained.steps == 0) {
    throw Error(
        "no step was trained: the run was interrupted before its first; there is nothing to score "
        "and no record, start it again");
  }
  if (has_clock && trained.reserve_s >= train.wallclock_s) {
    throw Error(fmt::format(
        "calibration leaves no time to train: {:.3f} s are to be kept free for it on this machine, "
        "train.wallclock_s is \"{}\"; raise it or lower quant.calibration_tokens, and give --fresh",
        trained.reserve_s, train.wallclock_s));
  }
  throw Error(fmt::format(
      "no step was trained within the budget: train.wallclock_s is \"{}\" and one step took or "
      "would "
      "take longer ({:.3f} s so far); there is no record, raise train.wallclock_s and give --fresh",
      train.wallclock_s, trained.train_s));
}

double rehearse_run(const Recipe& recipe, const RunText& text, Device& device, Clock& clock,
                    RunLog& log) {
  if (recipe.train.wallclock_s == 0) return 0;
  const double begin_s = clock.now_s();
  const double choose_s = rehearse_choice({recipe, text.bytes(), text.batches, device, clock,
                                           code_sizes(recipe.model, recipe.scoring())});
  const double calibrate_s = rehearse_calibration(recipe, device, clock);
  if (choose_s + calibrate_s > 0) {
    log.note_rehearsal(choose_s, calibrate_s, clock.now_s() - begin_s);
  }
  return choose_s + calibrate_s;
}

TrainResult train_weights(const RunOptions& options, const Recipe& recipe, const RunText& text,
                          const RunFolder& folder, LocalRanks& ranks, const RankScoring& scoring,
                          Device& device, const DevicePeak& peak, double rest_s, Clock& clock,
                          RunLog& log) {
  TrainSetup setup;  // of rank 0
  setup.device = &device;
  setup.clock = &clock;
  setup.observer = &log;
  setup.checkpoint_file = folder.checkpoint();
  setup.identity = identify_training(recipe, text.train_tokens.fingerprint());
  // Ranks that are threads share what was measured for all.
  setup.peak_flops_per_s = peak.matmul_flops_per_s / (ranks.are_threads() ? ranks.ranks() : 1);
  setup.rest_s = rest_s;
  setup.stop_requested = is_interrupt_requested;
  announce_interrupt(options.is_one_of_several
                         ? "the runs end after this step; the same command goes on from there"
                     : ranks.are_threads()
                         ? "the run ends after this step and is packed and scored"
                         : "mpirun ends its job about a second after Ctrl-C and TERM; the last "
                           "checkpoint is kept; "
                           "kill -USR1 of mpirun ends the run after a step, packed and scored");
  setup.project_bytes = [&](const std::vector<HostTensor>& weights) {
    return project_bytes(weights, recipe.quant, code_sizes(recipe.model, recipe.scoring()));
  };
  const TrainResult trained = train_on_ranks(
      ranks, recipe,
      {text.train_tokens, text.val_tokens, text.batches, list_token_prefixes(recipe)}, scoring,
      setup);
  check_trained(trained, recipe.train);
  if (const auto changed = text.train_tokens.find_changed(); !changed.empty()) {
    log.add_data_fault(fmt::format(
        "a training shard was written to while it was trained on: \"{}\"; what was read is not "
        "what the record's fingerprint says",
        changed.string()));
  }
  return trained;
}

void choose_average(const Recipe& recipe, const RunText& text, LocalRanks& ranks, Device& device,
                    Clock& clock, RunLog& log, TrainResult& trained) {
  if (trained.others.empty()) return;
  const std::vector<AverageTrial> trials =
      try_averages({recipe, text.bytes(), text.batches, device, clock,
                    code_sizes(recipe.model, recipe.scoring())},
                   trained, [&](const std::string& work) { log.show_work(work); });
  const int64_t best = best_trial(trials);
  share_bytes(ranks, {static_cast<uint8_t>(best)});
  take_average(trained, best);
  log.write_choice(trials, best);
}

void check_whole(const TrainResult& trained, const RunFolder& folder) {
  if (trained.stop_reason != StopReason::kInterrupted) return;
  throw Interrupted("interrupted in training" + folder.describe_kept());
}

// A disk too full for these may still hold the artifact, which is several times smaller.
void keep_weights(const RunFolder& folder, const WeightsFile& weights, RunLog& log) {
  try {
    folder.write(folder.weights(), encode_weights_file(weights));
  } catch (const Error& error) {
    log.warn(error.what());
  }
}

RestOfRun::RestOfRun(const TrainResult& trained, const RunFolder& folder)
    : was_asked_(trained.stop_reason == StopReason::kInterrupted), folder_(folder) {
  announce_interrupt("packing and scoring end here, what is trained is kept");
}

void RestOfRun::end_if_asked() const {
  if (was_asked_ || !is_interrupt_requested()) return;
  throw Interrupted(fmt::format(
      "interrupted after training: no score and no record; the weights, the checkpoint and, once "
      "packed, the artifact are kept in \"{}\": the same command packs and scores them, train_gpt "
      "eval scores the artifact",
      escape_terminal(folder_.path.string())));
}

EvalConfig without_overlap(EvalConfig eval) {
  eval.stride = eval.context;
  return eval;
}

}  // namespace pg
