#include "src/train/checkpoint_writer.h"

#include <fmt/format.h>

#include <new>
#include <system_error>
#include <utility>

namespace pg {

CheckpointWriter::CheckpointWriter(std::filesystem::path file, const CheckpointSizes& sizes)
    : file_(std::move(file)), sizes_(sizes) {
  try {
    worker_.emplace([this] { write(); }, BackgroundWorker::Priority::kPolite);
  } catch (const std::system_error&) {  // a limit on threads: start() writes
  }
}

void CheckpointWriter::start(int64_t step, const std::function<void(CheckpointImage&)>& fill) {
  wait();
  if (!image_) image_.emplace(sizes_);
  step_ = step;
  fill(*image_);
  is_started_ = true;
  worker_ ? worker_->start() : write();
}

std::string CheckpointWriter::take_failure() {
  if (!is_started_ || (worker_ && !worker_->is_idle())) return {};
  is_started_ = false;
  return std::exchange(failure_, {});
}

void CheckpointWriter::wait() {
  if (worker_) worker_->wait();
}

// A full disk or too little memory must not end a run whose weights are fine; the previous
// checkpoint still stands.
void CheckpointWriter::write() {
  try {
    image_->write(file_);
  } catch (const std::bad_alloc&) {
    failure_ = fmt::format("checkpoint:failed step:{} out of memory", step_);
  } catch (const std::exception& error) {
    failure_ = fmt::format("checkpoint:failed step:{} {}", step_, error.what());
  }
}

}  // namespace pg
