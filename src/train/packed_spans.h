// Text for packed training (data.loader = "packed"): a micro-batch is one span of text as it stands,
// in which every document is a sequence of its own; as the records from parameter-golf PR #1610 on
// read it (formulas.md 3.10).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "src/data/token_file.h"
#include "src/model/model_config.h"
#include "src/train/train_config.h"

namespace pg {

// The order of the spans: those of a step one behind another, step after step from the first BOS of a
// shard on. What is left of a shard when a whole step does not fit is passed over; behind the last
// shard the first one comes again.
class PackedSpans {
 public:
  // Spans of `tokens` inputs and the token that follows, `of_step` of them a step, in the first `end`
  // tokens of the stream. Throws Error where a shard has no BOS, or none has room for a step.
  PackedSpans(const TokenStream& stream, int64_t end, int64_t tokens, int64_t of_step);

  // First token of span `index` >= 0.
  int64_t start(int64_t index) const;
  int64_t per_epoch() const { return steps_ * of_step_; }

 private:
  struct Shard {
    int64_t begin = 0;         // of its first span, in the stream
    int64_t steps_before = 0;  // in the shards before
  };
  std::vector<Shard> shards_;  // those that have steps
  int64_t span_, of_step_, steps_ = 0;
};

// starts [ids]: where the sequence of each token of a span begins: at the span's first token, at each
// BOS, and where one would pass `longest` tokens. True where that cut a document.
bool list_sequence_starts(std::span<const int32_t> ids, int64_t longest, std::span<int32_t> starts);

// Throws Error where other keys contradict packed training.
void check_packing(const ModelConfig& model, const TrainConfig& train);

}  // namespace pg
