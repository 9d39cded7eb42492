// Small steps of `train_gpt run` that are not a stage of their own: its text, checks before training
// starts, the facts that logs and records state, and what training is told of the rest.
#pragma once
#include <string>

#include "harness/command/cli.h"
#include "harness/command/interrupt.h"
#include "harness/command/rank_scoring.h"
#include "harness/exchange/weights_file.h"
#include "harness/recipe/recipe.h"
#include "harness/record/run_folder.h"
#include "harness/record/run_log.h"
#include "quant/method/pack_estimate.h"
#include "src/data/corpus/shard_checks.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/device/comm/local_ranks.h"
#include "src/device/device.h"
#include "src/train/batches.h"
#include "src/train/trainer.h"

namespace pg {

// The text of a run. Throws Error when the tokenizer's vocabulary or the shards are not those of
// the recipe's model, and for a fault of the data unless data.force.
struct RunText {
  explicit RunText(const Recipe& recipe);
  RunText(const RunText&) = delete;  // batches points into it
  RunText& operator=(const RunText&) = delete;
  const ByteTable& bytes() const { return tokenizer.byte_table(); }

  Tokenizer tokenizer;
  DataFaults faults;             // that data.force passes over
  bool is_val_in_train = false;  // one of them
  TokenStream train_tokens, val_tokens;
  Batches batches;  // of train_tokens
};

// Throws Error when no model of this shape can fit under the cap. Gives a warning when it is
// unlikely to, else "".
std::string check_forecast(const Recipe& recipe, const PackForecast& forecast);

// The folder that was asked for or the recipe's default.
RunFolder open_output(const RunOptions& options, const Recipe& recipe);

RunFacts collect_facts(const Recipe& recipe, const RunText& text, const LocalRanks& ranks,
                       const Device& device, const DevicePeak& peak);

// Shards of the recipe's vocabulary, by a path or glob of the recipe.
TokenStream open_shards(const std::string& shards, const Recipe& recipe);

// The training text in the order that the recipe's loader gives it. `tokens` must outlive it.
Batches order_batches(const Recipe& recipe, const TokenStream& tokens);

// What of the training budget comes after training, in seconds as rehearsed here before the clock
// starts: choosing an average, calibration; 0 without a budget.
double rehearse_run(const Recipe& recipe, const RunText& text, Device& device, Clock& clock,
                    RunLog& log);

// Trains with all that the trainer may not know of: validation, what the weights will pack to, the
// checkpoint's place, Ctrl-C; `rest_s`: what comes after it, as rehearsed.
TrainResult train_weights(const RunOptions& options, const Recipe& recipe, const RunText& text,
                          const RunFolder& folder, LocalRanks& ranks, const RankScoring& scoring,
                          Device& device, const DevicePeak& peak, double rest_s, Clock& clock,
                          RunLog& log);

// Where a training keeps several averages: the one that is packed, on all ranks. Of rank 0.
void choose_average(const Recipe& recipe, const RunText& text, LocalRanks& ranks, Device& device,
                    Clock& clock, RunLog& log, TrainResult& trained);

// Throws Error when not one step was done within the budget: initial weights make no record.
void check_trained(const TrainResult& trained, const TrainConfig& train);

// Throws Interrupted when a signal ended training: its checkpoint is kept, to go on.
void check_whole(const TrainResult& trained, const RunFolder& folder);

// Writes final_model.safetensors, the weights before quantising; only warns when that fails.
void keep_weights(const RunFolder& folder, const WeightsFile& weights, RunLog& log);

// Ctrl-C after training: the rest of a run asks between pieces of its work.
class RestOfRun {
 public:
  RestOfRun(const TrainResult& trained, const RunFolder& folder);
  // Throws Interrupted, which says what is kept, unless the signal is the one that ended training.
  void end_if_asked() const;
  // Gives work(). An Error of it, of a shard that cannot be read any more, says what is kept.
  template <class Work>
  auto during(Work&& work) const {
    try {
      return work();
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      throw Error(error.what() + folder_.describe_kept());
    }
  }

 private:
  bool was_asked_;
  RunFolder folder_;
};

// Windows that do not overlap: what a loss in training and the lines before the final one are
// measured on.
EvalConfig without_overlap(EvalConfig eval);

}  // namespace pg
