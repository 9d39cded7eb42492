// Training windows in the order a loader gives them. Window `index` is a pure function of (loader,
// seed, stream size, seq_len, index): the same on every machine, thread and rank count, and a
// resumed run goes on by index alone.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/data/data_config.h"
#include "src/data/token_file.h"
#include "src/train/packed_spans.h"

namespace pg {

class Batches {
 public:
  // The stream must outlive this; of its last `held_out` tokens no window has any. Throws Error when
  // the rest is shorter than seq_len + 1 tokens.
  Batches(const TokenStream& stream, Loader loader, uint64_t seed, int64_t seq_len,
          int64_t held_out = 0);
  // The same order of windows of another length, each followed by `ahead` >= 1 tokens.
  Batches with_windows(int64_t seq_len, int64_t ahead) const;
  // Of the same text: windows that are the spans of packed training, `of_step` of them a step.
  Batches with_spans(int64_t tokens, int64_t of_step) const;

  // First token of window `index` >= 0.
  int64_t window_start(int64_t index) const;
  int64_t windows_per_epoch() const { return windows_; }
  int64_t seq_len() const { return seq_len_; }
  Loader loader() const { return loader_; }
  int64_t held_out() const;  // tokens that no window reads
  std::vector<int32_t> read_held_out() const;

  // Fills tokens [count, seq_len + ahead] with windows first_index ... and what follows each.
  void read_whole(int64_t first_index, int64_t count, std::span<int32_t> tokens) const;
  // Fills ids and targets, both [count, seq_len], with windows first_index ... : targets are the
  // ids one further on.
  void read(int64_t first_index, int64_t count, std::span<int32_t> ids,
            std::span<int32_t> targets) const;

 private:
  Batches(const TokenStream& stream, int64_t tokens, Loader loader, uint64_t seed, int64_t seq_len,
          int64_t ahead);

  const TokenStream* stream_;
  int64_t tokens_;  // of the stream, counted from its first
  Loader loader_;
  uint64_t seed_;
  int64_t seq_len_, ahead_;
  int64_t windows_;
  std::optional<PackedSpans> spans_;
};

}  // namespace pg
