// What a run leaves behind while it goes: the community's log (train_seed<seed>.log), one JSON
// object a line for machines (run.jsonl), the tape of decisions (tape.jsonl), and the progress line
// on stderr.
//
// The log's lines are exactly those of the public train_gpt.py scripts, because people's tools read
// them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"
#include "harness/record/append_file.h"
#include "harness/record/loss_curve.h"
#include "harness/record/progress_line.h"
#include "harness/record/run_folder.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/base/clock.h"
#include "src/text/json_object.h"
#include "src/train/trainer.h"

namespace pg {

// Facts that the log's head states beside the recipe.
struct RunFacts {
  int64_t params = 0;
  int64_t train_shards = 0, train_tokens = 0, val_tokens = 0;
  uint64_t train_fingerprint = 0, val_fingerprint = 0;
  std::string tokenizer_sha256;
  std::string program;   // compiler and build
  std::string hardware;  // processor, memory
  std::string device;    // name, threads, measured peak
  int64_t threads = 1;
};

// A score as the log prints it.
struct ScoreLine {
  double loss_nats = 0, bits_per_byte = 0, eval_s = 0;
};

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
  // Peak memory and why training ended; the trainer itself notes the wall-clock stop and the
  // averaging.
  void write_trained(const TrainResult& result);
  void write_pre_quant(const ScoreLine& score);
  void write_allocation(const std::vector<TensorLedger>& ledger);
  void write_packed(const PackSummary& pack, int64_t raw_bytes);
  void write_roundtrip(const ScoreLine& score);
  // The final score: the sliding-window lines and the line that some parsers only read.
  void write_final(const ScoreLine& score, int64_t stride);

  void warn(const std::string& message);
  void show_progress(const std::string& text) { progress_.show(text, false); }

  const LossCurve& curve() const { return curve_; }
  double first_step_s() const {
    return first_step_s_;
  }  // from program start to the end of the first step

 private:
  void write_line(const std::string& line);  // log and stderr
  void write_event(const JsonObject& event) { events_.write_line(event.line()); }
  void warn_over_cap(const StepReport& report);
  std::string step_prefix(int64_t step) const;
  std::string time_suffix(int64_t step, double train_s) const;

  const Recipe* recipe_;
  Clock* clock_;
  double process_start_s_;
  double first_step_s_ = 0;
  bool is_resumed_;
  bool has_warned_over_cap_ = false;
  ProgressLine progress_;
  AppendFile log_, events_, tape_;
  LossCurve curve_;
};

}  // namespace pg
