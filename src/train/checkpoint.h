// A training state on disk, written whole or not at all. Layout (little endian): magic, version,
// identity, counters, four flat f32 arrays with their lengths, SHA-256 of all before it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace pg {

struct Checkpoint {
  // Of everything that must be the same to go on: the keys that affect training, and the data.
  uint64_t identity = 0;
  int64_t steps = 0;
  double train_s = 0;
  double last_loss_nats = 0;
  int64_t swa_snapshots = 0;
  std::vector<float> masters;        // flat, in Weights order
  std::vector<float> optimizer;      // Optimizer::download_state
  std::vector<float> average;        // Averager::download_state
  std::vector<double> step_times_s;  // the stop predictor's recent steps
};

// Of the file, with all the step times that are kept. `average`: with Averager's state.
int64_t most_checkpoint_bytes(int64_t flat_elements, bool average);

// Throws Error when it cannot be written; the previous checkpoint then still stands.
void write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);
// Empty when there is no file. Throws Error when it is damaged or of another identity, saying what
// to do.
std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& file, uint64_t identity);
// The steps of a checkpoint from its first bytes alone, unchecked; empty when there is no file or
// it is none of this program.
std::optional<int64_t> peek_checkpoint_steps(const std::filesystem::path& file);

}  // namespace pg
