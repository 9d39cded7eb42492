// Windows of one kind on their way through the model: a static plan, the windows of the open chunk
// in order, and the distributions of the batch that ran last.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/mix/token_mixer.h"
#include "eval/score/window_schedule.h"
#include "src/model/model.h"
#include "src/plan/weights.h"

namespace pg {

class WindowLane {
 public:
  // `rows` windows a batch; of each only the last `positions` of `context` can be scored.
  WindowLane(const ModelConfig& model, Weights& weights, int64_t rows, int64_t context,
             int64_t positions);

  void clear();
  // Gives the window's number within the lane.
  int64_t add(const EvalWindow& window);
  // The distribution of a target of window `number`; runs its batch unless that ran last. `known`:
  // the stream's tokens, up to those before the target at least. Of the batch, distributions of
  // earlier targets are not kept.
  NetworkDistribution predict(int64_t number, int64_t target, std::span<const int32_t> known);
  int64_t windows_run() const { return windows_run_; }

 private:
  void run_batch(int64_t batch, int64_t target, std::span<const int32_t> known);
  void read_inputs(const EvalWindow& window, std::span<const int32_t> known,
                   std::span<int32_t> ids) const;

  int64_t vocab_, rows_, context_, positions_;
  ModelPlan plan_;
  std::vector<EvalWindow> windows_;  // of the open chunk
  std::vector<int32_t> ids_;         // [rows, context]
  int64_t ready_batch_ = -1, ready_from_ = 0;
  std::vector<int64_t> first_rows_;  // [rows] of the window's first kept target
  std::vector<float> log_probs_;     // [kept targets, vocab]
  std::vector<float> entropies_;     // [kept targets] nats
  int64_t windows_run_ = 0;
};

}  // namespace pg
