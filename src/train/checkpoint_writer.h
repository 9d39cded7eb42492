// Writes checkpoints beside the training: it waits for one copy of its state, not for the disk.
#pragma once
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "src/train/background_worker.h"
#include "src/train/checkpoint.h"

namespace pg {

class CheckpointWriter {
 public:
  CheckpointWriter(std::filesystem::path file, const CheckpointSizes& sizes);

  // fill(image) copies the state into the image, on this thread; what follows runs beside it. Waits
  // for the checkpoint before. Memory for the image is taken at the first one; throws bad_alloc.
  void start(int64_t step, const std::function<void(CheckpointImage&)>& fill);
  bool is_idle() const { return !worker_ || worker_->is_idle(); }
  // Why the checkpoint of an earlier start() was not written, as a note, once; empty: it was, or it
  // is still being written, and a later call tells.
  std::string take_failure();
  void wait();

 private:
  void write();

  std::filesystem::path file_;
  CheckpointSizes sizes_;
  std::optional<CheckpointImage> image_;
  int64_t step_ = 0;
  std::string failure_;
  bool is_started_ = false;
  std::optional<BackgroundWorker> worker_;  // last: it uses the above
};

}  // namespace pg
