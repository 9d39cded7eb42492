// Windows of one kind on their way through the model: a static plan, the windows of the open chunk
// in order, and the distributions of the round that ran last. In a round every rank runs a batch,
// the first windows on rank 0.
//
// A decoder knows one token more with each target. Where a device's rows are independent, that costs
// the rows of the new tokens alone: a second plan keeps what they read of the window's other rows.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/mix/token_mixer.h"
#include "eval/score/window_schedule.h"
#include "eval/score/window_share.h"
#include "src/model/forward.h"
#include "src/model/model.h"
#include "src/plan/weights.h"

namespace pg {

class WindowLane {
 public:
  // `rows` windows a batch; of each only the last positions of `context` can be scored, as many as
  // the options say. `share` may be null: this is the only rank.
  WindowLane(const ModelConfig& model, Weights& weights, int64_t rows, int64_t context,
             const ForwardOptions& options, WindowShare* share);

  void clear();
  // <parts>
  void set_temperature(double temperature) { temperature_ = temperature; }
  // One token after another is decoded by that lane, whose windows may be longer.
  void decode_by(WindowLane& lane) { decoder_lane_ = &lane; }
  const ModelPlan& plan() const { return plan_; }
  // </parts>
  // The weights have changed.
  void forget_rows() { rows_known_ = 0; }
  // Gives the window's number within the lane.
  int64_t add(const EvalWindow& window);
  // <train_gpt>
  // The same of a text of its own, for predict_beside(), in a row of the round: not before those of
  // windows that are there.
  int64_t add(const EvalWindow& window, std::span<const int32_t> known, int64_t row);
  // The windows to come begin a round.
  void begin_round();
  // predict() where each window's targets and tokens are those of its own text, and all of a round's
  // distributions are kept.
  NetworkDistribution predict_beside(int64_t number, int64_t target);
  // </train_gpt>
  // The distribution of a target of window `number`, on rank 0; runs its round unless that ran last.
  // `known`: the stream's tokens, up to those before the target at least. Of the round,
  // distributions of earlier targets are not kept.
  NetworkDistribution predict(int64_t number, int64_t target, std::span<const int32_t> known);
  // Runs the round of window `number` unless it or a later one ran last: what a rank does that is
  // not asked for distributions.
  void run_until(int64_t number, std::span<const int32_t> known);
  int64_t windows_run() const { return windows_run_; }  // by all ranks

 private:
  struct Kept {
    int64_t first_row = 0;  // in log_probs_
    int64_t first_target = 0, targets = 0;
  };

  NetworkDistribution decode(const EvalWindow& window, std::span<const int32_t> known);
  NetworkDistribution distribution_at(size_t row) const;
  // <parts>
  void temper(int64_t first_row, int64_t rows);
  // </parts>
  int64_t round_windows() const { return rows_ * ranks_; }
  void run_round(int64_t round, int64_t target, std::span<const int32_t> known);
  void place_rows(std::span<const EvalWindow> windows, int64_t target);
  void run_batch(std::span<const EvalWindow> windows, std::span<const Kept> kept,
                 std::span<const int32_t> known);
  void read_inputs(const EvalWindow& window, std::span<const int32_t> known,
                   std::span<int32_t> ids) const;

  ModelConfig model_;
  Weights* weights_;
  int64_t vocab_, rows_, context_, positions_;
  WindowShare* share_;
  int64_t ranks_, rank_;
  ModelPlan plan_;
  std::vector<EvalWindow> windows_;  // of the open chunk
  // <train_gpt>
  std::vector<std::span<const int32_t>> texts_;  // of each window, or none
  size_t round_begin_ = 0;
  // </train_gpt>
  std::vector<int32_t> ids_;  // [rows, context]
  int64_t ready_round_ = -1, ready_from_ = 0;
  std::vector<Kept> kept_;            // [ranks * rows] of the round's windows
  std::vector<int64_t> rank_rows_;    // [ranks] kept targets of each
  std::vector<int64_t> rank_values_;  // [ranks] values of what is gathered
  std::vector<float>
      log_probs_;  // [kept targets, vocab]: rank 0 keeps the round's, others their own
  std::vector<float> entropies_;  // [kept targets] nats
  int64_t windows_run_ = 0;
  // <parts>
  double temperature_ = 1.0;
  WindowLane* decoder_lane_ = nullptr;  // null: this one
  // </parts>

  bool can_decode_;
  std::optional<ModelPlan> decoder_;  // made when first asked
  std::vector<int32_t> decoded_ids_;  // [context]; rows of the first rows_known_ have run
  int64_t rows_known_ = 0;
};

}  // namespace pg
