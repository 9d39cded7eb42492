// The record of a run: submission.json in the community's keys, README.md with the ledgers of time
// and bytes, the loss curve, and the artifact beside the logs that the run wrote. The same result
// always gives the same bytes; the date and every time are part of the result.
#pragma once
#include <cstdint>
#include <string>

#include "harness/recipe/recipe.h"
#include "harness/record/loss_curve.h"
#include "harness/record/run_folder.h"
#include "harness/record/run_log.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/train/trainer.h"

namespace pg {

// Seconds by the wall clock; total_s counts from the start of the program to the record.
struct TimeLedger {
  double first_step_s = 0;  // from program start to the end of the first step
  double train_s = 0;
  double diagnose_s =
      0;  // loss of the weights before quantisation, and without sliding; no part of the score
  double calibrate_s = 0;  // reads training text, so it counts as training
  double quantize_s = 0;
  double pack_s = 0;  // compress, check the round trip, write
  double eval_s = 0;
  double total_s = 0;
  // What counts against the training budget: all that reads training text.
  double budgeted_train_s() const { return train_s + calibrate_s; }
};

struct RunResult {
  Recipe recipe;
  std::string date;     // YYYY-MM-DD
  std::string command;  // that reproduces the run
  RunFacts facts;
  int64_t steps = 0;
  int64_t tokens = 0;  // trained on
  StopReason stop_reason = StopReason::kMaxSteps;
  std::string averaging;
  PackSummary pack;
  std::vector<TensorLedger> allocation;
  std::string artifact_name;
  std::string artifact_sha256;
  ScoreLine pre_quant;  // exported weights before quantisation, windows that do not overlap
  ScoreLine roundtrip;  // artifact, windows that do not overlap
  ScoreLine score;      // artifact, sliding windows: the result
  int64_t scored_tokens = 0, scored_bytes = 0, scored_documents = 0;
  TimeLedger times;
  LossCurve curve;
};

// Writes submission.json last: a folder that has it holds a whole record. Throws Error.
void write_record(const RunFolder& folder, const RunResult& result);

std::string write_submission_json(const RunResult& result);
std::string write_record_readme(const RunResult& result);  // record_readme.cpp

}  // namespace pg
