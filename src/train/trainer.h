// The wall-clock-capped trainer: batches in, exported weights out. Every decision that depends on
// time is made from one elapsed value per step and reported, so that it can be recorded and
// replayed.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/device/comm/comm.h"
#include "src/device/device.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"
#include "src/train/batches.h"
#include "src/train/late_qat.h"
#include "src/train/train_config.h"

namespace pg {

struct StepReport {
  int64_t step = 0;      // steps done, this one included
  double loss_nats = 0;  // mean over the batch
  double grad_norm = 0;  // before clipping
  double lr_multiplier = 1;
  double decay_multiplier = 1;  // of the matrices' weight decay
  double decided_s = 0;         // the times that the multipliers were chosen by: of the decision,
  double end_s = 0;             // and of the end of training as it looked then; 0 without a cap
  int64_t swa_snapshots = 0;    // in the average behind this step
  int64_t next_window = 0;      // windows of seq_len tokens whose text is used up
  double step_s = 0;            // this step
  double train_s = 0;           // since training began, earlier runs of a resumed training included
  double tokens_per_s = 0;      // of this step
  double speed_of_light = 0;    // flops of the step over the device's measured peak, 0..1
  double time_left_s = 0;       // to the end of training; 0 when there is no cap
  int64_t projected_bytes = 0;  // of the artifact, as priced last; 0 before the first answer
  bool log = false;             // on the log grid: first ten steps, every log_every, the last
};

// Hears of everything that happens; the run's log is one.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_step(const StepReport& report) = 0;
  virtual void on_validation(int64_t step, double train_s, double loss_nats,
                             double bits_per_byte) = 0;
  virtual void on_note(
      const std::string& line) = 0;  // one line in the community's format, e.g. "swa:start step:12"
};

struct ValidationScore {
  double loss_nats = 0, bits_per_byte = 0;
};

// What a step of an earlier run was decided by.
struct RecordedDecision {
  double decided_s = 0, end_s = 0;  // as StepReport's
};

struct TrainSetup {
  ModelConfig model;
  TrainConfig train;
  OptimizerConfig optimizer;
  Device* device = nullptr;
  Comm* comm = nullptr;  // null: this is the only rank
  const Batches* batches = nullptr;
  std::vector<int32_t> prefix_of;  // [vocab], LossTargets'; where train.prefix_weight asks for it
  RoundWeights round_weights;      // where train.late_qat_lr asks for it
  // Called on every rank, or on none, with the same weights; rank 0's answer counts. May be empty.
  std::function<ValidationScore(const std::vector<HostTensor>&)> validate;
  // From here on: of rank 0, whose clock is the only one; the others need none of it.
  Clock* clock = nullptr;
  TrainObserver* observer = nullptr;
  // Where the checkpoint lies; empty: none is written. A checkpoint found there is resumed from
  // when it fits.
  std::filesystem::path checkpoint_file;
  // Of the keys and the data that decide what is computed; a checkpoint of another is refused.
  uint64_t identity = 0;
  // What comes after training and counts against its budget, in seconds as rehearsed.
  double rest_s = 0;
  double peak_flops_per_s = 0;  // as measured so far, for speed_of_light; 0: not shown
  // Prices the artifact of these weights, on a thread in the background; may throw, may be empty.
  std::function<int64_t(const std::vector<HostTensor>&)> project_bytes;
  std::function<bool()> stop_requested;  // Ctrl-C; may be empty
  // One a step: training does what these say instead of asking its clock, and ends behind the last.
  std::vector<RecordedDecision> recorded;  // may be empty
};

enum class StopReason : uint8_t { kWallclock, kMaxSteps, kInterrupted };

struct AveragedWeights {
  std::string averaging;             // what they are: "none", "ema 0.997", "swa of 31"
  std::vector<HostTensor> exported;  // of the parameters that an artifact has
};

struct TrainResult {
  int64_t steps = 0;
  int64_t tokens = 0;
  double train_s = 0;
  double reserve_s = 0;  // of the budget, kept free for what comes after
  double last_loss_nats = 0;
  StopReason stop_reason = StopReason::kMaxSteps;
  std::string averaging;                // what `exported` is: "none", "ema 0.997", "swa of 31"
  std::vector<HostTensor> exported;     // the averaged weights, which are packed
  std::vector<AveragedWeights> others;  // of train.average = "best", to choose from as well
};

// Throws Error, naming the keys, where a step cannot be cut into micro-batches and leaves, or these
// among so many ranks.
void check_batches(const TrainConfig& train, int64_t ranks);

// Trains on this rank; every rank calls it, with the same model, batches and settings, and gets the
// same steps and weights. Throws Error on a recipe that does not fit the model or the ranks, and on
// a non-finite loss, naming the tensor; the last good checkpoint stays. Of any other failure in a
// step or in what is told of it the last whole step is kept in the checkpoint first, where this is
// the only rank.
TrainResult train(const TrainSetup& setup);

}  // namespace pg
