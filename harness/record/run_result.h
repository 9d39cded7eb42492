// What a run came to: what its record states. The run's log gathers it stage by stage.
#pragma once
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include "eval/score.h"
#include "harness/recipe/recipe.h"
#include "harness/record/loss_curve.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/train/trainer.h"

namespace pg {

// What a run works on and runs on.
struct RunFacts {
  int64_t params = 0;
  int64_t train_shards = 0, train_tokens = 0, val_tokens = 0;
  uint64_t train_fingerprint = 0, val_fingerprint = 0;
  std::vector<std::string> data_faults;  // that data.force passed over
  bool is_val_in_train = false;          // one of them
  bool is_val_part = false;              // the manifest of the validation shards lists more
  // Of each shard's file, in hex, in the order that they are read in.
  std::vector<std::string> train_sha256s, val_sha256s;
  std::string tokenizer_sha256;
  std::string program;                                      // compiler and build
  std::string hardware;                                     // processor, memory
  std::string device;                                       // name, threads, measured peak
  std::string device_name, instructions, device_libraries;  // that really compute
  int64_t threads = 1, ranks = 1;
};

// What is said where is_val_part.
inline constexpr const char* kScoredPartWarning =
    "the validation shards are a part of those that their manifest lists: the score is of that "
    "part";

// A score as logs and records state it. Outside tests only a Score becomes one: a number that came
// out of artifact bytes.
struct ScoreLine {
  double loss_nats = 0, bits_per_byte = 0, eval_s = 0;
  double budget_s = 0;  // eval.wallclock_s; 0: none
  int64_t tokens = 0, bytes = 0, documents = 0;

  ScoreLine() = default;
  ScoreLine(const Score& score);  // implicit: it is the same number
  bool is_over_budget() const { return budget_s > 0 && eval_s > budget_s; }
};

// The start of the validation text, or all of it, as it lies coded in val.pgt.
struct CodedPart {
  int64_t tokens = 0, bytes = 0;  // targets, and of text
  int64_t payload_bytes = 0;      // of the file, behind its header
  int64_t file_bytes = 0;
  double metered_bits = 0;  // of the distributions that it is coded with
  double fast_bits = 0;     // the same targets on the fast device, where it metered the whole text

  double bits() const { return 8.0 * static_cast<double>(payload_bytes); }
  double bits_per_byte() const { return bits() / static_cast<double>(bytes); }
  double metered_bits_per_byte() const { return metered_bits / static_cast<double>(bytes); }
  double fast_bits_per_byte() const { return fast_bits / static_cast<double>(bytes); }
  double loss_nats() const { return bits() * std::numbers::ln2 / static_cast<double>(tokens); }
};

// "evaluation took 612.0 s of 600.0 s ..."; for a score that is over its budget.
std::string describe_over_budget(const ScoreLine& score);

// Seconds by the wall clock; total_s counts from the start of the program to the record.
struct StageTimes {
  double first_step_s = 0;  // from program start to the end of the first step
  double train_s = 0;
  double reserve_s = 0;   // of the training budget, kept free for calibration; takes no time itself
  double diagnose_s = 0;  // losses before the score: of the weights, and without sliding
  double calibrate_s = 0;  // reads training text, so it counts as training
  double quantize_s = 0;
  double pack_s = 0;  // compress, check the round trip, write
  double eval_s = 0;
  double total_s = 0;
  // What counts against the training budget: all that reads training text.
  double budgeted_train_s() const { return train_s + calibrate_s; }
};

// What to say of training and calibration that took more than their budget, "" of others; names
// train.reserve_s where that is what kept too little free.
std::string describe_training_over_budget(const StageTimes& times, const TrainConfig& train);

// Of train.average = "best": an average, and its loss after quantisation on text held out of training.
struct AverageTrial {
  std::string averaging;
  double held_out_loss_nats = 0;
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
  std::vector<TensorAllocation> allocation;
  std::string artifact_name;
  std::string artifact_sha256;
  DiagnosticLoss pre_quant;  // exported weights before quantisation, windows that do not overlap
  ScoreLine roundtrip;       // artifact, windows that do not overlap
  ScoreLine score;           // artifact, as it says it is scored: the result
  CodedPart coded;           // the text in val.pgt
  bool is_exact() const { return coded.tokens == score.tokens; }  // and the file's length
  StageTimes times;
  LossCurve curve;
};

}  // namespace pg
