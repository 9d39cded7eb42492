// What a run leaves behind while it goes: the community's log (train_seed<seed>.log), one JSON
// object a line for machines (run.jsonl), the tape of decisions (tape.jsonl), and the progress line
// on stderr. Beside them it gathers the run's result and times its stages: each write_... keeps what
// it is given and closes the lap of the stage that gave it.
//
// The log's lines are exactly those of the public train_gpt.py scripts, because people's tools read
// them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "eval/score.h"
#include "harness/recipe/recipe.h"
#include "harness/record/append_file.h"
#include "harness/record/progress_line.h"
#include "harness/record/run_folder.h"
#include "harness/record/run_result.h"
#include "harness/record/tape_log.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/base/clock.h"
#include "src/base/hash.h"
#include "src/text/json_object.h"
#include "src/train/trainer.h"

namespace pg {

class RunLog final : public TrainObserver {
 public:
  // `process_start_s` is the clock's time at the start of the program: time to first step counts
  // from there.
  RunLog(const Recipe& recipe, const RunFolder& folder, Clock& clock, double process_start_s,
         ProgressLine progress);
  RunLog(const RunLog&) = delete;  // its files report back to it
  RunLog& operator=(const RunLog&) = delete;

  void write_head(const RunFacts& facts, const std::vector<RecipeOverride>& overrides);
  void on_step(const StepReport& report) override;
  void on_validation(int64_t step, double train_s, double loss_nats, double bits_per_byte) override;
  void on_note(const std::string& line) override;

  // Before the first step: what choosing an average and calibration take here, and what it took to
  // find that out.
  void note_rehearsal(double choose_s, double calibrate_s, double rehearsal_s);
  // The stages, in this order. Peak memory and why training ended; the trainer itself notes the
  // wall-clock stop and the averaging.
  void write_trained(const TrainResult& trained);
  // Of train.average = "best": the averages that were tried, and the number of the one that is packed.
  void write_choice(const std::vector<AverageTrial>& trials, int64_t best);
  void write_pre_quant(const DiagnosticLoss& loss);
  void note_calibrated();
  void write_allocation(const std::vector<TensorAllocation>& allocation);
  void write_packed(const PackSummary& pack);
  void write_roundtrip(const ScoreLine& score);
  // The final score under its name (score_name.h), and the line that some parsers only read, which
  // is of a plain score always. Warns of one that took longer than its budget.
  void write_final(const ScoreLine& score, const CodedPart& coded);
  // The whole result, for write_record, and the last of the logs: they grow no more. `date`:
  // YYYY-MM-DD, unless the recipe gives one.
  const RunResult& finish(const Sha256& artifact_sha256, const std::string& date);

  void warn(const std::string& message);
  // Of data that turned out to be at fault during the run; the record states it.
  void add_data_fault(const std::string& fault);
  void show_work(const std::string& work) { progress_.show(work, false); }
  void show_progress(const EvalProgress& progress) { scoring_progress_.show(progress); }

 private:
  void write_line(const std::string& line);  // log and stderr
  void write_event(const JsonObject& event) { events_.write_line(event.line()); }
  // An event that a resumed run may be cut back to: says where the log stands.
  void write_place(JsonObject event) { write_event(event.add("log_bytes", log_.size_bytes())); }
  void write_history();
  void warn_over_cap(const StepReport& report);
  void forecast_eval(const StepReport& report);
  std::string step_prefix(int64_t step) const;
  std::string time_suffix(int64_t step, double train_s) const;

  // The stage that ends now: adds the time since the last one ended.
  void close_lap(double& stage_s);

  RunFolder folder_;
  Clock* clock_;
  double process_start_s_;
  double lap_start_s_ = 0;
  std::vector<std::string> gaps_;  // in the logs of a resumed run's earlier parts
  int64_t timed_steps_ = 0;
  double fastest_step_s_ = 0;
  bool has_warned_over_cap_ = false, has_failed_checkpoint_ = false;
  ProgressLine progress_;
  ScoringProgress scoring_progress_{progress_};
  AppendFile log_, events_;
  TapeLog tape_;
  RunResult result_;
};

}  // namespace pg
