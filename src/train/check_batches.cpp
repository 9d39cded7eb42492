// Whether a step can be cut into micro-batches and leaves, and these among ranks.
#include <fmt/format.h>

#include <bit>

#include "src/base/error.h"
#include "src/train/trainer.h"

namespace pg {

void check_batches(const TrainConfig& train, int64_t ranks) {
  if (train.micro_batch_tokens % train.seq_len != 0) {
    throw Error(
        fmt::format("train.micro_batch_tokens \"{}\" is not a multiple of train.seq_len \"{}\"",
                    train.micro_batch_tokens, train.seq_len));
  }
  if (train.batch_tokens % train.micro_batch_tokens != 0) {
    throw Error(fmt::format(
        "train.batch_tokens \"{}\" is not a multiple of train.micro_batch_tokens \"{}\"",
        train.batch_tokens, train.micro_batch_tokens));
  }
  const int64_t leaves = train.gradient_leaves;
  const int64_t micro_batches = train.batch_tokens / train.micro_batch_tokens;
  if (!std::has_single_bit(static_cast<uint64_t>(leaves)) || micro_batches % leaves != 0) {
    throw Error(
        fmt::format("train.gradient_leaves \"{}\" must be a power of two that divides the {} "
                    "micro-batches of a step (batch_tokens / micro_batch_tokens)",
                    leaves, micro_batches));
  }
  if (leaves % ranks != 0) {
    throw Error(fmt::format(
        "{} ranks do not divide train.gradient_leaves \"{}\"; use 1, 2, 4, ... ranks, at most {}, "
        "or more leaves",
        ranks, leaves, leaves));
  }
}

}  // namespace pg
