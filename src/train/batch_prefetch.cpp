#include "src/train/batch_prefetch.h"

#include <exception>
#include <system_error>
#include <utility>

#include "src/base/check.h"

namespace pg {

BatchPrefetch::BatchPrefetch(const Batches& batches, const LossTargets& targets, int64_t rows,
                             std::function<int64_t(int64_t)> first_window, int64_t bag,
                             ComplementWeights* complement, int64_t windows_of_step,
                             int64_t longest_sequence)
    : batches_(batches),
      loss_targets_(targets),
      rows_(rows),
      bag_(bag),
      first_window_(std::move(first_window)),
      complement_(complement),
      windows_of_step_(windows_of_step),
      longest_sequence_(longest_sequence) {
  PG_CHECK(longest_sequence == 0 || rows == 1, "a micro-batch is one span");
  const auto tokens = static_cast<size_t>(rows * batches.seq_len());
  const size_t positions = tokens / static_cast<size_t>(bag);
  for (MicroBatch& slot : slots_) {
    slot.ids.resize(tokens);
    slot.targets.resize(positions * static_cast<size_t>(targets.count()));
    if (complement != nullptr) slot.weights.resize(tokens);
    if (longest_sequence > 0) slot.starts.resize(tokens);
  }
  if (targets.count() > 1) next_.resize(tokens);
  if (bag > 1) next_.resize(tokens + static_cast<size_t>(rows * bag));
  try {
    worker_.emplace([this] { read(); }, BackgroundWorker::Priority::kNormal);
  } catch (const std::system_error&) {  // a limit on threads: slower, and nothing else
  }
}

const MicroBatch& BatchPrefetch::next() {
  if (!std::exchange(has_read_ahead_, false)) {
    read();
  } else {
    worker_->wait();
    if (const std::exception_ptr failure = worker_->take_failure()) {
      std::rethrow_exception(failure);
    }
  }
  const MicroBatch& batch = slots_[static_cast<size_t>(number_ % 2)];
  ++number_;
  if (worker_) {
    has_read_ahead_ = true;
    worker_->start();
  }
  return batch;
}

void BatchPrefetch::read() {
  MicroBatch& slot = slots_[static_cast<size_t>(number_ % 2)];
  if (bag_ > 1) {
    batches_.read_whole(first_window_(number_), rows_, next_);
    loss_targets_.fill_bags(next_, batches_.seq_len(), slot.ids, slot.targets);
    return;
  }
  const std::span<int32_t> next = next_.empty() ? slot.targets : next_;
  const int64_t window = first_window_(number_);
  batches_.read(window, rows_, slot.ids, next);
  if (longest_sequence_ > 0) {
    slot.has_cut_documents = list_sequence_starts(slot.ids, longest_sequence_, slot.starts);
  }
  if (complement_ != nullptr) {
    complement_->advance_to(window / windows_of_step_);
    complement_->weigh(slot.ids, next, slot.weights);
  }
  if (!next_.empty()) loss_targets_.fill(next, batches_.seq_len(), slot.targets);
}

}  // namespace pg
