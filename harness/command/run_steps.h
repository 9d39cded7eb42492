// Small steps of `train_gpt run` that are not a stage of their own: checks before training starts,
// and the facts that logs and records state.
#pragma once
#include <string>

#include "eval/score.h"
#include "harness/exchange/weights_file.h"
#include "harness/recipe/recipe.h"
#include "harness/record/record.h"
#include "harness/record/run_folder.h"
#include "harness/record/run_log.h"
#include "quant/method/pack_estimate.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/device/device.h"
#include "src/train/trainer.h"

namespace pg {

// Throws Error when the tokenizer's vocabulary or the shards are not those of the recipe's model.
void check_data(const Recipe& recipe, const Tokenizer& tokenizer);

// Throws Error when no model of this shape can fit under the cap. Gives a warning when it is
// unlikely to, else "".
std::string check_forecast(const Recipe& recipe, const PackForecast& forecast);

RunFacts collect_facts(const Recipe& recipe, const Tokenizer& tokenizer, const TokenStream& train,
                       const TokenStream& val, const Device& device, const DevicePeak& peak);

ScoreLine to_score_line(const Score& score);

// Writes final_model.safetensors, the weights before quantising; only warns when that fails.
void keep_weights(const RunFolder& folder, const WeightsFile& weights, RunLog& log);

// "evaluation took 612.0 s of 600.0 s ..."; for a score that is over its budget.
std::string describe_over_budget(const Score& score);

// The parts of a result that training and the score give.
void fill_result(RunResult& result, const TrainResult& trained, const Score& score,
                 const RunLog& log, const RunFolder& folder);

// What does the same run again, from the folder that this one was started in.
std::string reproduce_command(const RunFolder& folder);

// Windows that do not overlap: what a loss in training and the lines before the final one are
// measured on.
EvalConfig without_overlap(EvalConfig eval);

// Time since the last call, for the ledger.
class LapTimer {
 public:
  explicit LapTimer(Clock& clock) : clock_(&clock), mark_s_(clock.now_s()) {}
  double lap_s();

 private:
  Clock* clock_;
  double mark_s_;
};

}  // namespace pg
