// One static plan serves all windows of a lane: a short one is padded at its end, where causal
// attention keeps the padding out of every scored position, and so are the unused rows of the last
// batch.
#include "eval/score/window_lane.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {

WindowLane::WindowLane(const ModelConfig& model, Weights& weights, int64_t rows, int64_t context,
                       int64_t positions)
    : vocab_(model.vocab_size),
      rows_(rows),
      context_(context),
      positions_(positions),
      plan_(model, weights, rows, context, PlanMode::kLogProbs, positions),
      ids_(static_cast<size_t>(rows * context)),
      first_rows_(static_cast<size_t>(rows)) {}

void WindowLane::clear() {
  windows_.clear();
  ready_batch_ = -1;
}

int64_t WindowLane::add(const EvalWindow& window) {
  PG_CHECK(window.score_from >= context_ - positions_, "a window of another kind");
  windows_.push_back(window);
  return static_cast<int64_t>(windows_.size()) - 1;
}

NetworkDistribution WindowLane::predict(int64_t number, int64_t target,
                                        std::span<const int32_t> known) {
  const int64_t batch = number / rows_;
  if (batch != ready_batch_ || target < ready_from_) run_batch(batch, target, known);
  const int64_t first = std::max(windows_[static_cast<size_t>(number)].first_target(), ready_from_);
  const auto row = static_cast<size_t>(first_rows_[static_cast<size_t>(number - batch * rows_)] +
                                       target - first);
  const auto vocab = static_cast<size_t>(vocab_);
  return {.logits = std::span(log_probs_).subspan(row * vocab, vocab),
          .log_normaliser = 0.0f,
          .entropy_nats = entropies_[row]};
}

void WindowLane::run_batch(int64_t batch, int64_t target, std::span<const int32_t> known) {
  const int64_t begin = batch * rows_;
  const int64_t count = std::min(rows_, static_cast<int64_t>(windows_.size()) - begin);
  const auto windows =
      std::span(windows_).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
  std::fill(ids_.begin(), ids_.end(), 0);
  int64_t kept = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    const auto context = static_cast<size_t>(context_);
    read_inputs(windows[i], known, std::span(ids_).subspan(i * context, context));
    first_rows_[i] = kept;
    kept +=
        std::max<int64_t>(0, windows[i].end_target() - std::max(windows[i].first_target(), target));
  }
  plan_.load(ids_, {});
  plan_.run();
  windows_run_ += count;

  const auto vocab = static_cast<size_t>(vocab_);
  log_probs_.resize(static_cast<size_t>(kept) * vocab);
  entropies_.resize(static_cast<size_t>(kept));
  for (size_t i = 0; i < windows.size(); ++i) {
    const EvalWindow& window = windows[i];
    const int64_t first = std::max(window.first_target(), target);
    if (first >= window.end_target()) continue;
    const int64_t position = first - 1 - window.begin - (context_ - positions_);
    const auto row = static_cast<size_t>(first_rows_[i]);
    const auto targets = static_cast<size_t>(window.end_target() - first);
    plan_.read_log_probs(static_cast<int64_t>(i) * positions_ + position,
                         std::span(log_probs_).subspan(row * vocab, targets * vocab),
                         std::span(entropies_).subspan(row, targets));
  }
  ready_batch_ = batch;
  ready_from_ = target;
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
