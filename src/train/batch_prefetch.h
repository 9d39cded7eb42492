// Reads the next micro-batch while the device computes on this one.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "src/train/background_worker.h"
#include "src/train/batches.h"

namespace pg {

struct MicroBatch {
  std::vector<int32_t> ids, targets;  // [rows, seq_len]
};

class BatchPrefetch {
 public:
  // first_window(k): the first window of the k-th micro-batch from here on. Batches must outlive
  // this. Where the system refuses a thread, next() reads.
  BatchPrefetch(const Batches& batches, int64_t rows, std::function<int64_t(int64_t)> first_window);

  // The next micro-batch, valid until the next call. Throws what reading it threw; it is then read
  // anew at the next call.
  const MicroBatch& next();

 private:
  void read();  // the micro-batch `number_` into the slot that next() gives then

  const Batches& batches_;
  int64_t rows_;
  std::function<int64_t(int64_t)> first_window_;
  std::array<MicroBatch, 2> slots_;
  int64_t number_ = 0;
  bool has_read_ahead_ = false;
  std::optional<BackgroundWorker> worker_;
};

}  // namespace pg
