// `train_gpt replay`: a record's run again, by its tape instead of the clock, and whether its artifact and its score
// come out; of a suite of ablations each of its runs.
#include <fmt/format.h>

#include "eval/score.h"
#include "harness/ablate/ablation_suite.h"
#include "harness/command/artifact_file.h"
#include "harness/command/choose_average.h"
#include "harness/command/commands.h"
#include "harness/command/final_score.h"
#include "harness/command/interrupt.h"
#include "harness/command/pack_steps.h"
#include "harness/command/rank_steps.h"
#include "harness/command/record_file.h"
#include "harness/command/run_steps.h"
#include "harness/command/suite_runs.h"
#include "harness/record/code_features.h"
#include "harness/record/progress_line.h"
#include "harness/record/replay_report.h"
#include "harness/record/run_folder.h"
#include "harness/record/tape_end.h"
#include "harness/record/tape_log.h"
#include "quant/format/artifact_format.h"
#include "quant/method/seal.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

struct ReplayWords {
  fs::path record, data;  // data: empty for where the recipe says
  std::vector<std::string> sets, only;
  int64_t ranks = 0;
};

std::vector<Option> list_options(ReplayWords& w) {
  return {
      {.name = "record",
       .value = &w.record,
       .help = "folder of a record, or of a suite of ablations",
       .is_required = true},
      {.name = "--data",
       .value = &w.data,
       .help = "folder with the shards and the tokenizer, under the names that the recipe has"},
      {.name = "--only",
       .value = &w.only,
       .help = "of a suite: the runs of this arm, or of base, alone; repeatable"},
      set_option(w.sets),
      {.name = "--ranks",
       .value = &w.ranks,
       .help = "ranks that train together in this process; the bytes do not depend on them",
       .range = OptionRange{1, 4096}},
  };
}

Tape open_tape(const fs::path& record) {
  const fs::path file = find_record_file(record, "tape.jsonl");
  Result<Tape> tape = read_tape(read_text_file(file));
  if (!tape.ok()) throw Error(fmt::format("\"{}\": {}", file.string(), tape.error()));
  if (tape.value().format != kTapeFormat) {
    throw Error(fmt::format(
        "\"{}\" is a tape of format {}, which does not say what each step was decided by; "
        "a run of this program writes format {}",
        file.string(), tape.value().format, kTapeFormat));
  }
  if (!tape.value().end) {
    throw Error(fmt::format(
        "\"{}\" has no closing line: the run has not ended; the same train_gpt run goes on with it",
        file.string()));
  }
  return std::move(tape.value());
}

// The record's recipe, with the data where they are now. Variables of the environment do not count: what is replayed
// is what the record says.
Recipe read_record_recipe(const ReplayWords& words) {
  Recipe recipe;
  const fs::path file = find_record_file(words.record, "recipe.toml");
  apply_toml(recipe, read_text_file(file), file.string());
  if (!words.data.empty()) {
    for (std::string* path :
         {&recipe.data.train_shards, &recipe.data.val_shards, &recipe.data.tokenizer}) {
      *path = (words.data / fs::path(*path).filename()).string();
    }
  }
  for (const std::string& set : words.sets) {
    if (!set.starts_with("data.") && !set.starts_with("track.device=")) {
      throw Error(fmt::format(
          "replay: --set {}: only where the data lie and track.device may be other than in the "
          "record",
          set));
    }
    apply_override(recipe, set);
  }
  recipe.train.val_every = 0;  // shows, and takes time
  check_recipe(recipe);
  return recipe;
}

TapePart identify_now(const Recipe& recipe, const RunFacts& facts) {
  JsonObject start;
  start.add("event", "start").add("tape_format", kTapeFormat);
  describe_start(recipe, facts, start);
  TapeChain chain;
  return read_tape(chain.link(start.line()) + "\n").value().parts.front();
}

void require_same_data(const TapePart& then, const TapePart& now) {
  for (const auto& [key, what] : {std::pair{"tokenizer_sha256", "tokenizer"},
                                  {"train_sha256", "training shards"},
                                  {"val_sha256", "validation shards"}}) {
    const auto a = then.identity.find(key), b = now.identity.find(key);
    if (a != then.identity.end() && b != now.identity.end() && a->second == b->second) continue;
    throw Error(fmt::format(
        "replay: the {} are not those of the record; give their folder with --data", what));
  }
}

// Shows the steps and compares their losses with the tape's.
class ReplayObserver final : public TrainObserver {
 public:
  ReplayObserver(const Tape& tape, ProgressLine& progress) : check_(tape), progress_(progress) {}
  void on_step(const StepReport& report) override {
    check_.add(report.step, report.loss_nats);
    progress_.show(format_progress(report, last_step_), report.log);
  }
  void on_validation(int64_t, double, double, double) override {}
  void on_note(const std::string& line) override { progress_.print(escape_terminal(line)); }
  void set_last_step(int64_t step) { last_step_ = step; }
  const StepCheck& check() const { return check_; }

 private:
  StepCheck check_;
  ProgressLine& progress_;
  int64_t last_step_ = 0;
};

// The code that shared the cap with the record's artifact is the record's own, not that of today; of the
// coders that the recipe may have chosen from it counts for the one that it took.
CodeSizes read_code_sizes(const fs::path& record) {
  return static_cast<int64_t>(fs::file_size(find_record_file(record, RunFolder::kCodeName)));
}
CoderChoice read_coder(const fs::path& artifact) {
  const Bytes file = read_file(artifact);
  ByteReader reader(file);
  // It was unpacked, so it has one; the choice of each coder has its number.
  return static_cast<CoderChoice>(parse_header(reader).value().coder);
}

class Replay {
 public:
  Replay(const ReplayWords& words, Clock& clock)
      : words_(words),
        clock_(clock),
        tape_(open_tape(words.record)),
        recipe_(read_record_recipe(words)),
        then_(unpack_file(find_record_file(words.record, tape_.end->artifact))),
        progress_(ProgressLine::for_stream(stderr)),
        code_bytes_(read_code_sizes(words.record)) {
    const ProbeResult bound = probe_tape(words.record, then_.artifact_sha256());
    if (bound.verdict != Verdict::kPass) {
      throw Error(fmt::format("replay: the record is not what its tape binds: {}", bound.reason));
    }
  }

  // 0 when artifact and score came out again.
  int run() {
    LocalRanks ranks =
        join_ranks(words_.ranks, [&](int count) { check_batches(recipe_.train, count); });
    if (!ranks.has_first() || !ranks.are_threads()) {
      throw Error(
          "replay: started on several processes; start it once, with --ranks for ranks in this "
          "process");
    }
    const auto device = make_device(recipe_.track.device);
    const DevicePeak peak = device->measure_peak();
    const RunText text(recipe_);
    const TapePart now = identify_now(recipe_, collect_facts(recipe_, text, ranks, *device, peak));
    require_same_data(tape_.parts.back(), now);
    // What computed the weights may have changed from part to part of a run that was resumed.
    for (const TapePart& part : tape_.parts) {
      for (IdentityChange& change :
           list_identity_changes(part, now, device->name() == kExactDevice)) {
        changes_.push_back(std::move(change));
      }
    }
    watch_interrupts();
    announce_interrupt("the replay ends after this step");
    TrainResult trained = train_again(ranks, text, *device);
    const Bytes artifact = pack_again(trained, text, *device);
    const Result<UnpackedModel> unpacked = unpack(artifact);
    if (!unpacked.ok()) throw Error(unpacked.error());
    const bool is_same = unpacked.value().artifact_sha256() == then_.artifact_sha256();
    report_weights(is_same, unpacked.value(), trained.steps);
    const bool is_scored = score_again(ranks, text, is_same ? nullptr : &unpacked.value());
    progress_.finish();
    ranks.leave();
    fmt::print("{}\n", is_same && is_scored ? "replayed: artifact and score are the record's"
                                            : "not replayed");
    return is_same && is_scored ? 0 : 1;
  }

 private:
  TrainResult train_again(LocalRanks& ranks, const RunText& text, Device& device) {
    ReplayObserver observer(tape_, progress_);
    observer.set_last_step(std::ssize(tape_.steps));
    TrainSetup setup;
    setup.device = &device;
    setup.clock = &clock_;
    setup.observer = &observer;
    setup.stop_requested = is_interrupt_requested;
    for (const TapeStep& step : tape_.steps) setup.recorded.push_back({step.decided_s, step.end_s});
    const RankScoring scoring(ranks, recipe_.track.device, text.val_tokens,
                              {&device, &text.bytes(), &clock_}, recipe_.track.exchange);
    TrainResult trained = train_on_ranks(
        ranks, recipe_,
        {text.train_tokens, text.val_tokens, text.batches, list_token_prefixes(recipe_)}, scoring,
        setup);
    if (trained.stop_reason == StopReason::kInterrupted) throw Interrupted("replay: interrupted");
    first_step_ = observer.check().first_change();
    compared_steps_ = observer.check().compared();
    if (!trained.others.empty()) {
      take_average(trained, best_trial(try_averages(
                                {recipe_, text.bytes(), text.batches, device, clock_, code_bytes_},
                                trained, show_work())));
    }
    return trained;
  }

  Bytes pack_again(const TrainResult& trained, const RunText& text, Device& device) {
    Recipe recipe = recipe_;
    recipe.quant.coder = read_coder(words_.record / tape_.end->artifact);
    const Calibration calibration =
        calibrate_weights(recipe, trained.exported, text.batches, device, show_work());
    const QuantResult quantized = quantize_weights(
        recipe, trained.exported, text.tokenizer.sha256(), calibration, code_bytes_, show_work());
    return seal(quantized.model, recipe.quant, code_bytes_, show_work()).bytes;
  }

  void report_weights(bool is_same, const UnpackedModel& now, int64_t steps) {
    progress_.finish();
    fmt::print("steps     {} of {}{}\n", steps, tape_.end->steps,
               compared_steps_ > 0 ? fmt::format(", the losses of {} compared", compared_steps_)
                                   : ", the tape does not say their losses");
    if (first_step_) {
      fmt::print("          the first that differs is step {}: loss {} now, {} then\n",
                 first_step_->step, first_step_->now, first_step_->then);
    }
    fmt::print("artifact  {}\n",
               is_same ? "the same bytes, SHA-256 " + hex(then_.artifact_sha256()) : "other bytes");
    if (is_same) return;
    const auto change = find_tensor_change(then_.tensors(), now.tensors());
    if (change) {
      fmt::print(
          "          the first tensor that differs is {}: {} of {} weights; the largest difference "
          "of all is {:.3g}\n",
          change->name, format_thousands(change->changed), format_thousands(change->values),
          change->largest);
    } else {
      fmt::print("          every weight is the same: the bytes differ by how they are written\n");
    }
    explain();
  }

  void explain() {
    bool may_differ = false;
    for (const IdentityChange& change : changes_) {
      if (!change.decides) continue;
      may_differ = true;
      fmt::print("          {} is \"{}\", was \"{}\"\n", change.key, escape_terminal(change.now),
                 escape_terminal(change.then));
    }
    fmt::print("          {}\n",
               may_differ
                   ? "so the same bytes were not to be expected; track.device = \"cpu:exact\" "
                     "gives them everywhere"
                   : "nothing of what computed has changed: this is a fault of the program "
                     "or of the machine");
  }

  // The record's artifact has its score on every machine. `other`: what the replay packed instead.
  bool score_again(LocalRanks& ranks, const RunText& text, const UnpackedModel* other) {
    const auto device = make_device(kExactDevice);
    const RankScoring exact(ranks, std::string(kExactDevice), text.val_tokens,
                            {device.get(), &text.bytes(), &clock_});
    const auto show = [&](const EvalProgress& progress) {
      if (is_interrupt_requested()) throw Interrupted("replay: interrupted");
      progress_.show(format_progress(progress), false);
    };
    const int64_t tokens = tape_.end->coded_tokens + 1;
    if (tape_.end->coded_tokens == 0)
      throw Error("replay: the tape does not say how much of the text is coded");
    if (tokens > text.val_tokens.size())
      throw Error("replay: the coded text is longer than the validation text");
    const auto score = [&](const UnpackedModel& model) {
      return *score_coded(recipe_, model, text.val_tokens, tokens, exact, show);
    };
    const FinalScore then = score(then_);
    progress_.finish();
    const bool is_same = then.file == read_file(words_.record / "val.pgt");
    const char* what = tape_.end->is_exact ? "the whole text" : "its coded part";
    fmt::print("score     of the record's artifact, {}: {:.8f}, {}\n", what,
               then.line.bits_per_byte, is_same ? "the same file" : "another file than val.pgt");
    if (other != nullptr) {
      const FinalScore now = score(*other);
      progress_.finish();
      fmt::print("          of the replayed artifact: {:.8f}, {:+.8f}\n", now.line.bits_per_byte,
                 now.line.bits_per_byte - then.line.bits_per_byte);
    }
    return is_same;
  }

  WorkProgressFn show_work() {
    return [this](const std::string& work) {
      if (is_interrupt_requested()) throw Interrupted("replay: interrupted");
      progress_.show(work, false);
    };
  }

  const ReplayWords& words_;
  Clock& clock_;
  Tape tape_;
  Recipe recipe_;
  UnpackedModel then_;
  ProgressLine progress_;
  CodeSizes code_bytes_;
  std::vector<IdentityChange> changes_;
  std::optional<StepCheck::Change> first_step_;
  int64_t compared_steps_ = 0;
};

int replay_suite(const ReplayWords& words, Clock& clock) {
  const std::vector<fs::path> runs = list_suite_runs(words.record, words.only);
  size_t replayed = 0;
  for (const fs::path& run : runs) {
    fmt::print("{}\n", run.lexically_relative(words.record).string());
    ReplayWords one = words;
    one.record = run;
    if (Replay(one, clock).run() == 0) ++replayed;
  }
  fmt::print("{} of {} runs of the suite replayed\n", replayed, runs.size());
  return replayed == runs.size() ? 0 : 1;
}

int replay(const ReplayWords& words, Clock& clock) {
  std::error_code ignored;
  if (fs::exists(words.record / kSuiteName, ignored)) return replay_suite(words, clock);
  if (!words.only.empty()) {
    throw Error(fmt::format("replay: --only is for a suite, and there is no \"{}\"",
                            (words.record / kSuiteName).string()));
  }
  return Replay(words, clock).run();
}

}  // namespace

Command make_replay_command() {
  return make_command<ReplayWords>(
      "replay", "a record's run again, by its tape: the same artifact and score?", list_options,
      replay);
}

}  // namespace pg
