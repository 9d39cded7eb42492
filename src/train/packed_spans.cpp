#include "src/train/packed_spans.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/data/tokenizer.h"

namespace pg {
namespace {

// First BOS of [begin, end); `end` where there is none.
int64_t find_bos(const TokenStream& stream, int64_t begin, int64_t end) {
  constexpr int64_t kPiece = 4096;
  std::vector<int32_t> ids;
  for (int64_t at = begin; at < end; at += kPiece) {
    ids.resize(static_cast<size_t>(std::min(kPiece, end - at)));
    stream.read(at, ids);
    const auto bos = std::ranges::find(ids, kBosId);
    if (bos != ids.end()) return at + (bos - ids.begin());
  }
  return end;
}

}  // namespace

PackedSpans::PackedSpans(const TokenStream& stream, int64_t end, int64_t tokens, int64_t of_step)
    : span_(tokens + 1), of_step_(of_step) {
  PG_CHECK(tokens > 0 && of_step > 0, "a step has spans, and a span has tokens");
  int64_t shard_begin = 0, longest = 0;
  for (size_t i = 0; i < stream.paths().size(); ++i) {
    const int64_t whole_end = shard_begin + stream.shard_tokens(i);
    const int64_t shard_end = std::min(whole_end, end);
    const int64_t begin = find_bos(stream, shard_begin, shard_end);
    if (begin >= shard_end && shard_begin < shard_end && shard_end == whole_end) {
      throw Error(fmt::format(
          "data.loader \"packed\" begins with a document, but id {}, which begins one, is not in "
          "\"{}\"; make shards whose documents begin with it (\"train_gpt tokenize\" does), or "
          "take another loader",
          kBosId, stream.paths()[i].string()));
    }
    longest = std::max(longest, shard_end - begin);
    const int64_t steps = std::max<int64_t>(shard_end - begin, 0) / (span_ * of_step_);
    if (steps > 0) shards_.push_back({begin, steps_});
    steps_ += steps;
    shard_begin = whole_end;
  }
  if (steps_ > 0) return;
  throw Error(fmt::format(
      "data.loader \"packed\" reads {} tokens a step, train.batch_tokens and one more a "
      "micro-batch, and the longest shard has {} from its first document on; give larger shards, "
      "or a smaller train.batch_tokens",
      span_ * of_step_, longest));
}

int64_t PackedSpans::start(int64_t index) const {
  PG_CHECK(index >= 0, "spans count from 0");
  const int64_t step = index / of_step_ % steps_;
  const auto behind =
      std::upper_bound(shards_.begin(), shards_.end(), step,
                       [](int64_t at, const Shard& shard) { return at < shard.steps_before; });
  const Shard& shard = *(behind - 1);
  return shard.begin + ((step - shard.steps_before) * of_step_ + index % of_step_) * span_;
}

bool list_sequence_starts(std::span<const int32_t> ids, int64_t longest,
                          std::span<int32_t> starts) {
  PG_CHECK(starts.size() == ids.size() && longest > 0, "a start of each token");
  bool is_cut = false;
  size_t begin = 0;
  for (size_t t = 0; t < ids.size(); ++t) {
    const bool is_full = t - begin == static_cast<size_t>(longest);
    if (ids[t] == kBosId || is_full) {
      is_cut |= ids[t] != kBosId;
      begin = t;
    }
    starts[t] = static_cast<int32_t>(begin);
  }
  return is_cut;
}

void check_packing(const ModelConfig& model, const TrainConfig& train) {
  const std::pair<const char*, bool> whole_rows[] = {
      {"train.bag_inputs", train.bag_inputs && train.bag_targets > 1},
      {"model.memory_tokens", model.memory_tokens > 0},
      {"model.paired_heads_at", !model.paired_heads_at.empty()}};
  for (const auto& [key, is_on] : whole_rows) {
    if (!is_on) continue;
    throw Error(
        fmt::format("{} is of rows that are one sequence, and those of data.loader \"packed\" hold "
                    "several; switch it off, or take another loader",
                    key));
  }
}

}  // namespace pg
