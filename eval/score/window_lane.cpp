// One static plan serves all windows of a lane: a short one is padded at its end, where causal
// attention keeps the padding out of every scored position, and so are the unused rows of the last
// batch.
#include "eval/score/window_lane.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/error.h"
// <parts>
#include "src/base/exact_math.h"
#include "src/base/simd_math.h"
// </parts>

namespace pg {

WindowLane::WindowLane(const ModelConfig& model, Weights& weights, int64_t rows, int64_t context,
                       const ForwardOptions& options, WindowShare* share)
    : model_(model),
      weights_(&weights),
      vocab_(model.vocab_size),
      rows_(rows),
      context_(context),
      positions_(options.last_positions),
      share_(share),
      ranks_(share == nullptr ? 1 : share->ranks()),
      rank_(share == nullptr ? 0 : share->rank()),
      plan_(model, weights, rows, context, PlanMode::kLogProbs, options),
      ids_(static_cast<size_t>(rows * context)),
      kept_(static_cast<size_t>(rows * ranks_)),
      rank_rows_(static_cast<size_t>(ranks_)),
      rank_values_(static_cast<size_t>(ranks_)),
      can_decode_(ranks_ == 1 && weights.device().rows_are_independent()),
      decoded_ids_(static_cast<size_t>(context)) {}

void WindowLane::clear() {
  windows_.clear();
  // <train_gpt>
  texts_.clear();
  // </train_gpt>
  ready_round_ = -1;
}

int64_t WindowLane::add(const EvalWindow& window) {
  PG_CHECK(window.score_from >= context_ - positions_, "a window of another kind");
  windows_.push_back(window);
  return static_cast<int64_t>(windows_.size()) - 1;
}

// <train_gpt>
int64_t WindowLane::add(const EvalWindow& window, std::span<const int32_t> known, int64_t row) {
  const size_t number = round_begin_ + static_cast<size_t>(row);
  PG_CHECK(number >= windows_.size() && row < round_windows(), "rows of a round ascend");
  windows_.resize(number);  // without windows in the rows between
  texts_.resize(number);
  texts_.push_back(known);
  return add(window);
}

void WindowLane::begin_round() {
  const auto in_round = static_cast<size_t>(round_windows());
  round_begin_ = (windows_.size() + in_round - 1) / in_round * in_round;
}

NetworkDistribution WindowLane::predict_beside(int64_t number, int64_t target) {
  const int64_t round = number / round_windows();
  if (round != ready_round_) run_round(round, /*target=*/0, {});
  const Kept& kept = kept_[static_cast<size_t>(number - round * round_windows())];
  return distribution_at(static_cast<size_t>(kept.first_row + target - kept.first_target));
}
// </train_gpt>

NetworkDistribution WindowLane::predict(int64_t number, int64_t target,
                                        std::span<const int32_t> known) {
  const int64_t round = number / round_windows();
  if (round != ready_round_ || target < ready_from_) {
    const bool is_next = target == static_cast<int64_t>(known.size());  // nothing more is known
    // <parts>
    if (can_decode_ && is_next && decoder_lane_ != nullptr) {
      return decoder_lane_->decode(windows_[static_cast<size_t>(number)], known);
    }
    // </parts>
    if (can_decode_ && is_next) return decode(windows_[static_cast<size_t>(number)], known);
    run_round(round, target, known);
  }
  const Kept& kept = kept_[static_cast<size_t>(number - round * round_windows())];
  return distribution_at(static_cast<size_t>(kept.first_row + target - kept.first_target));
}

// Of the target behind the window's last token. Rows that ran for the same ids serve again, whichever
// window they ran for.
NetworkDistribution WindowLane::decode(const EvalWindow& window, std::span<const int32_t> known) {
  if (!decoder_) decoder_.emplace(model_, *weights_, 1, context_, PlanMode::kDecode, positions_);
  const auto ids = std::span(ids_).first(static_cast<size_t>(context_));
  read_inputs(window, known, ids);
  const int64_t last = window.length - 1, most = std::min(rows_known_, last);
  const auto differs = std::mismatch(ids.begin(), ids.begin() + most, decoded_ids_.begin()).first;
  const int64_t first = differs - ids.begin();
  std::copy(differs, ids.begin() + window.length, decoded_ids_.begin() + first);
  decoder_->load(decoded_ids_, {});
  decoder_->run_rows(first, window.length - first);
  rows_known_ = window.length;
  if (first == 0) ++windows_run_;
  ready_round_ = -1;
  log_probs_.resize(std::max(log_probs_.size(), static_cast<size_t>(vocab_)));
  entropies_.resize(std::max<size_t>(entropies_.size(), 1));
  decoder_->read_log_probs(last - (context_ - positions_),
                           std::span(log_probs_).first(static_cast<size_t>(vocab_)),
                           std::span(entropies_).first(1));
  // <parts>
  temper(0, 1);
  // </parts>
  return distribution_at(0);
}

// <parts>
// q = p^(1/T) / sum p^(1/T), of rows of log_probs_; their entropies too.
void WindowLane::temper(int64_t first_row, int64_t rows) {
  if (temperature_ == 1.0) return;
  for (int64_t row = first_row; row < first_row + rows; ++row) {
    const auto log_probs =
        std::span(log_probs_)
            .subspan(static_cast<size_t>(row * vocab_), static_cast<size_t>(vocab_));
    double sum = 0, moment = 0;
    for (const float log_prob : log_probs) {
      const double scaled = static_cast<double>(log_prob) / temperature_;
      const double size = exp_f64(scaled);
      sum += size;
      moment += size * scaled;
    }
    const double log_sum = log_f64(sum);
    for (float& log_prob : log_probs) {
      log_prob = static_cast<float>(static_cast<double>(log_prob) / temperature_ - log_sum);
    }
    entropies_[static_cast<size_t>(row)] = static_cast<float>(log_sum - moment / sum);
  }
}
// </parts>

NetworkDistribution WindowLane::distribution_at(size_t row) const {
  const auto vocab = static_cast<size_t>(vocab_);
  return {.logits = std::span(log_probs_).subspan(row * vocab, vocab),
          .log_normaliser = 0.0f,
          .entropy_nats = entropies_[row]};
}

void WindowLane::run_until(int64_t number, std::span<const int32_t> known) {
  const int64_t round = number / round_windows();
  if (round <= ready_round_) return;
  // <train_gpt>
  if (!texts_.empty()) return run_round(round, /*target=*/0, known);
  // </train_gpt>
  run_round(round, windows_[static_cast<size_t>(number)].first_target(), known);
}

void WindowLane::run_round(int64_t round, int64_t target, std::span<const int32_t> known) {
  const int64_t begin = round * round_windows();
  const int64_t count = std::min(round_windows(), static_cast<int64_t>(windows_.size()) - begin);
  const auto part = [&](auto list, int64_t first, int64_t size) {
    return list.subspan(static_cast<size_t>(first), static_cast<size_t>(size));
  };
  const auto windows = part(std::span<const EvalWindow>(windows_), begin, count);
  place_rows(windows, target);
  const int64_t own_begin = std::min(rank_ * rows_, count);
  const int64_t own = std::min(rows_, count - own_begin);
  if (own > 0) {
    run_batch(part(windows, own_begin, own), part(std::span<const Kept>(kept_), own_begin, own),
              known);
  }
  windows_run_ += count;
  // <train_gpt>
  windows_run_ -= std::count(windows.begin(), windows.end(), EvalWindow{});  // rows without
  // </train_gpt>
  if (count > rows_) {
    for (size_t r = 0; r < rank_rows_.size(); ++r) rank_values_[r] = rank_rows_[r] * vocab_;
    share_->gather(log_probs_, rank_values_);
    share_->gather(entropies_, rank_rows_);
  }
  ready_round_ = round;
  ready_from_ = target;
}

// Says where the distributions that this rank will hold lie, and makes room for them.
void WindowLane::place_rows(std::span<const EvalWindow> windows, int64_t target) {
  std::fill(rank_rows_.begin(), rank_rows_.end(), 0);
  int64_t held = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    const auto rank = static_cast<int64_t>(i) / rows_;
    const int64_t first = std::max(windows[i].first_target(), target);
    const int64_t targets = std::max<int64_t>(0, windows[i].end_target() - first);
    kept_[i] = {.first_row = held, .first_target = first, .targets = targets};
    rank_rows_[static_cast<size_t>(rank)] += targets;
    if (rank_ == 0 || rank == rank_) held += targets;
  }
  log_probs_.resize(static_cast<size_t>(held * vocab_));
  entropies_.resize(static_cast<size_t>(held));
}

// At most rows_ windows, of this rank.
void WindowLane::run_batch(std::span<const EvalWindow> windows, std::span<const Kept> kept,
                           std::span<const int32_t> known) {
  std::fill(ids_.begin(), ids_.end(), 0);
  for (size_t i = 0; i < windows.size(); ++i) {
    const auto context = static_cast<size_t>(context_);
    // <train_gpt>
    if (!texts_.empty()) known = texts_[static_cast<size_t>(&windows[i] - windows_.data())];
    // </train_gpt>
    read_inputs(windows[i], known, std::span(ids_).subspan(i * context, context));
  }
  plan_.load(ids_, {});
  plan_.run();

  const auto vocab = static_cast<size_t>(vocab_);
  for (size_t i = 0; i < windows.size(); ++i) {
    if (kept[i].targets == 0) continue;
    const int64_t position = kept[i].first_target - 1 - windows[i].begin - (context_ - positions_);
    const auto row = static_cast<size_t>(kept[i].first_row);
    const auto targets = static_cast<size_t>(kept[i].targets);
    plan_.read_log_probs(static_cast<int64_t>(i) * positions_ + position,
                         std::span(log_probs_).subspan(row * vocab, targets * vocab),
                         std::span(entropies_).subspan(row, targets));
    // <parts>
    temper(kept[i].first_row, kept[i].targets);
    // </parts>
  }
}

void WindowLane::read_inputs(const EvalWindow& window, std::span<const int32_t> known,
                             std::span<int32_t> ids) const {
  for (int64_t i = 0; i < window.length; ++i) {
    const int32_t id = known[static_cast<size_t>(window.begin + i)];
    if (id < 0 || id >= vocab_) {
      throw Error(
          fmt::format("validation token {} is not in the model's vocabulary: {} of {}; use the "
                      "shards of the artifact's tokenizer",
                      window.begin + i, id, vocab_));
    }
    ids[static_cast<size_t>(i)] = id;
  }
}

}  // namespace pg
