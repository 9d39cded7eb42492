#include "src/train/complement_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/error.h"

namespace pg {
namespace {

constexpr int64_t kMaxVocab = 16384;  // counts of 1 GiB
constexpr double kLeast = 0.1;

}  // namespace

ComplementWeights::ComplementWeights(const Batches& batches, int64_t vocab, double alpha,
                                     int64_t windows)
    : batches_(batches), vocab_(vocab), alpha_(alpha), windows_(windows) {
  if (vocab > kMaxVocab) {
    throw Error(
        fmt::format("train.complement_alpha counts pairs of tokens, and of model.vocab_size \"{}\" "
                    "there are too "
                    "many; give 0, or a vocabulary of at most {}",
                    vocab, kMaxVocab));
  }
  pairs_.resize(static_cast<size_t>(vocab * vocab));
  totals_.resize(static_cast<size_t>(vocab));
  ids_.resize(static_cast<size_t>(windows * batches.seq_len()));
  next_.resize(ids_.size());
}

void ComplementWeights::advance_to(int64_t step) {
  for (; step_ < step; ++step_) {
    batches_.read(step_ * windows_, windows_, ids_, next_);  // may throw: nothing is counted then
    for (size_t i = 0; i < ids_.size(); ++i) {
      ++pairs_[static_cast<size_t>(ids_[i] * vocab_ + next_[i])];
      ++totals_[static_cast<size_t>(ids_[i])];
    }
  }
}

void ComplementWeights::weigh(std::span<const int32_t> ids, std::span<const int32_t> next,
                              std::span<float> weights) const {
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto pair = static_cast<double>(pairs_[static_cast<size_t>(ids[i] * vocab_ + next[i])]);
    const auto total = static_cast<double>(totals_[static_cast<size_t>(ids[i])]);
    weights[i] = static_cast<float>(std::max(1.0 - alpha_ * pair / (total + 1.0), kLeast));
  }
}

}  // namespace pg
