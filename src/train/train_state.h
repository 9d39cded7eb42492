// The state of a training between its device and a checkpoint.
#pragma once
#include <filesystem>

#include "src/train/checkpoint.h"
#include "src/train/train_step.h"

namespace pg {

CheckpointSizes sizes_of_state(TrainStep& step);
// Waits for the device. The image is of sizes_of_state().
void download_state(TrainStep& step, CheckpointImage& image);
// Throws Error, naming the file, where the checkpoint is of another model.
void upload_state(TrainStep& step, const Checkpoint& checkpoint, const std::filesystem::path& file);
// Rank 0's state, on every rank, compute copies included.
void broadcast_state(TrainStep& step);

}  // namespace pg
