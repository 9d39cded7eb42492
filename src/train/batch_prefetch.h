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
#include "src/train/complement_weights.h"
#include "src/train/loss_targets.h"

namespace pg {

struct MicroBatch {
  std::vector<int32_t> ids;      // [rows, seq_len, s]
  std::vector<int32_t> targets;  // [rows, seq_len, n]
  std::vector<float> weights;    // [rows, seq_len] of the losses; empty: all 1
  std::vector<int32_t>
      starts;  // [rows, seq_len] of packed rows: list_sequence_starts(); else empty
  bool has_cut_documents = false;
};

class BatchPrefetch {
 public:
  // first_window(k): the first window of the k-th micro-batch from here on. With bags of s > 1 tokens
  // batches are with_windows(s seq_len, s). Batches and targets must
  // outlive this. Where the system refuses a thread, next() reads.
  // `complement`, where there is one, weighs the losses; windows_of_step: of all ranks. Of spans, a row
  // each, the sequences have at most `longest_sequence` tokens; 0: rows are no spans.
  BatchPrefetch(const Batches& batches, const LossTargets& targets, int64_t rows,
                std::function<int64_t(int64_t)> first_window, int64_t bag = 1,
                ComplementWeights* complement = nullptr, int64_t windows_of_step = 1,
                int64_t longest_sequence = 0);

  // The next micro-batch, valid until the next call. Throws what reading it threw; it is then read
  // anew at the next call.
  const MicroBatch& next();

 private:
  void read();  // the micro-batch `number_` into the slot that next() gives then

  const Batches& batches_;
  const LossTargets& loss_targets_;
  int64_t rows_, bag_;
  std::function<int64_t(int64_t)> first_window_;
  ComplementWeights* complement_;
  int64_t windows_of_step_, longest_sequence_;
  std::array<MicroBatch, 2> slots_;
  // [rows, seq_len], where it is not all of the targets; of bags [rows, s (seq_len + 1)]
  std::vector<int32_t> next_;
  int64_t number_ = 0;
  bool has_read_ahead_ = false;
  std::optional<BackgroundWorker> worker_;
};

}  // namespace pg
