// A training state on disk, written whole or not at all. Layout (little endian): magic, version,
// identity, counters, flat f32 arrays with their lengths - of those that some techniques need none where
// they are off -, SHA-256 of all before it.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "src/base/bytes.h"
#include "src/plan/param_spec.h"
#include "src/train/train_config.h"

namespace pg {

// Steps that were done when a phase of training changed; -1: it has not yet. See phases.h.
struct PhaseSteps {
  int64_t bags_ended = -1, loops_began = -1;
  double bags_ended_s = 0;   // seconds of training then
  int64_t length_stage = 0;  // of train.seq_len_growth
};

struct CheckpointHead {
  // Of everything that must be the same to go on: the keys that affect training, and the data.
  uint64_t identity = 0;
  int64_t steps = 0;
  double train_s = 0;
  double last_loss_nats = 0;
  int64_t average_progress = 0;      // Averager::progress()
  std::vector<double> step_times_s;  // the stop predictor's, at most kStepTimes
  PhaseSteps phases;                 // where training has some
};
inline constexpr size_t kStepTimes = 16;

// The arrays, in the order of memory (weight_layout.h).
enum class CheckpointArray : uint8_t {
  kMasters,
  kFirstMoments,
  kSecondMoments,
  kAverage,
  kNeuronMoments,  // from here on: of a technique, empty where that is off
  kVelocity,
  kSnapshots
};
inline constexpr size_t kPlainArrays = 4, kCheckpointArrays = 7;

struct Checkpoint {
  CheckpointHead head;
  std::array<std::vector<float>, kCheckpointArrays> arrays;
  const std::vector<float>& array(CheckpointArray which) const {
    return arrays[static_cast<size_t>(which)];
  }
};

// Elements of each array.
struct CheckpointSizes : std::array<size_t, kCheckpointArrays> {
  bool has_phases = false, has_length_stages = false;
};
CheckpointSizes checkpoint_sizes(const std::vector<ParamSpec>& specs, const TrainConfig& train,
                                 const OptimizerConfig& optimizer);
int64_t checkpoint_bytes(const CheckpointSizes& sizes);  // of the file

// A checkpoint as its file will be: the arrays are copied straight to their places, so that training
// waits for one copy, and the rest can be done beside it.
class CheckpointImage {
 public:
  explicit CheckpointImage(const CheckpointSizes& sizes);

  void set_head(const CheckpointHead& head);
  uint8_t* array(CheckpointArray which) { return bytes_.data() + begins_[index(which)]; }
  size_t array_bytes(CheckpointArray which) const { return sizes_[index(which)] * sizeof(float); }
  // Throws Error when it cannot be written; the previous checkpoint then still stands.
  void write(const std::filesystem::path& file);

 private:
  static size_t index(CheckpointArray which) { return static_cast<size_t>(which); }

  CheckpointSizes sizes_;
  std::array<size_t, kCheckpointArrays> begins_ = {};
  Bytes bytes_;
};

// Empty when there is no file. Throws Error when it is damaged or of another identity, saying what
// to do.
std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& file, uint64_t identity);
// The steps of a checkpoint from its first bytes alone, unchecked; empty when there is no file or
// it is none of this program.
std::optional<int64_t> peek_checkpoint_steps(const std::filesystem::path& file);

}  // namespace pg
