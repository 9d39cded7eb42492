// Windows run in two lanes, each with its own plan: most score their last `stride` positions alone,
// which saves the head and half of the last block for the others; the first of a text scores all.
//
// A batch runs when a target of its is first asked for. Which windows share a batch follows from
// the chunk's first target and the tokens before the target, so a decoder, which opens a chunk
// again for each target with one token more, runs the same shapes on the same rows; or, where a
// device's rows are independent, the rows of that token alone (window_lane.h). Several ranks run
// several batches at once; a row of one does not depend on the others.
#include "eval/score/network_scorer.h"

#include <algorithm>
#include <array>
#include <bit>

#include "src/base/check.h"
#include "src/base/hash.h"
#include "src/model/model.h"

namespace pg {
namespace {

WindowShape make_shape(const EvalConfig& config) {
  const WindowShape shape = {config.context, config.stride};
  check_window_shape(shape);
  return shape;
}

// Windows of a batch: a learner's chunk needs no more than it holds.
int64_t count_rows(const EvalConfig& config, const Learner* learner, int64_t ranks) {
  const int64_t rows = std::max(config.batch_tokens / config.context, int64_t{1});
  if (learner == nullptr) return rows;
  // <train_gpt>
  if (learner->documents_at_once() > 1) return learner->documents_at_once();
  // </train_gpt>
  const int64_t targets = config.stride * ranks;
  return std::clamp((learner->chunk_targets() + targets - 1) / targets, int64_t{1}, rows);
}

}  // namespace

NetworkScorer::NetworkScorer(const UnpackedModel& model, const EvalConfig& config, Device& device,
                             std::unique_ptr<TokenMixer> mixer, std::unique_ptr<Learner> learner,
                             WindowShare* share)
    : NetworkScorer(model.config(), model.tensors(), config, device, std::move(mixer),
                    std::move(learner), share) {}

// <train_gpt>
NetworkScorer NetworkScorer::for_diagnosis(const ModelConfig& model,
                                           const std::vector<HostTensor>& tensors,
                                           const EvalConfig& config, Device& device,
                                           WindowShare* share) {
  return {model, tensors, config, device, nullptr, nullptr, share};
}
// </train_gpt>

NetworkScorer::NetworkScorer(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                             const EvalConfig& config, Device& device,
                             std::unique_ptr<TokenMixer> mixer, std::unique_ptr<Learner> learner,
                             WindowShare* share)
    : shape_(make_shape(config)),
      by_document_(config.windows == Windows::kDocument),
      ranks_(share == nullptr ? 1 : share->ranks()),
      is_first_(share == nullptr || share->rank() == 0),
      rows_(count_rows(config, learner.get(), ranks_)),
      mixer_(std::move(mixer)),
      learner_(std::move(learner)),
      weights_(device, learner_ ? learner_->choose_params(model) : list_params(model),
               /*with_gradients=*/learner_ != nullptr),
      tail_(model, weights_, rows_, shape_.context, {.last_positions = shape_.stride}, share) {
  weights_.upload(tensors);
  if (shape_.stride < shape_.context) {
    // A stream has one such window.
    whole_.emplace(model, weights_, by_document_ ? rows_ : 1, shape_.context,
                   ForwardOptions{.last_positions = shape_.context}, share);
  }
  // <parts>
  model_ = model;
  share_ = share;
  temperature_ = config.temperature;
  tail_.set_temperature(config.temperature);
  if (whole_) whole_->set_temperature(config.temperature);
  // </parts>
  // <train_gpt>
  if (learner_) growing_rows_ = learner_->documents_at_once();
  // </train_gpt>
  if (learner_) learner_->start(weights_);
}

std::vector<Chunk> NetworkScorer::plan_order(int64_t tokens) const {
  PG_CHECK(!learner_ || learner_->chunk_targets() > 0, "a learner's chunk is empty");
  return by_document_ ? plan_document_order(tokens) : plan_stream_order(tokens);
}

std::vector<Chunk> NetworkScorer::plan_stream_order(int64_t tokens) const {
  std::vector<Chunk> chunks;
  int64_t tail_windows = 0;  // of the last chunk
  for (const EvalWindow& window : plan_windows(0, {1, tokens}, shape_)) {
    const int64_t first = window.first_target();
    const auto chunk_of = [&](int64_t target) { return (target - 1) / learner_->chunk_targets(); };
    const bool begins =
        chunks.empty() || (learner_ ? chunk_of(first) != chunk_of(chunks.back().first)
                                    : tail_windows == rows_ * ranks_);
    if (begins) {
      chunks.push_back({.first = first, .count = 0});
      tail_windows = 0;
    }
    chunks.back().count += window.scored();
    if (window.scored() <= shape_.stride) ++tail_windows;
  }
  return chunks;
}

// Where documents begin is not known beforehand, so chunks are cut at fixed targets. Each may cut a
// window in two; chunks of as many whole windows as run at once make that one run more in so many.
std::vector<Chunk> NetworkScorer::plan_document_order(int64_t tokens) const {
  const int64_t targets = learner_ ? learner_->chunk_targets() : rows_ * ranks_ * shape_.context;
  std::vector<Chunk> chunks;
  for (int64_t first = 1; first < tokens; first += targets) {
    chunks.push_back({.first = first, .count = std::min(targets, tokens - first)});
  }
  return chunks;
}

void NetworkScorer::open_chunk(const Chunk& chunk, std::span<const int32_t> known) {
  known_ = known;
  const TargetRange range = {chunk.first,
                             std::min(chunk.end(), static_cast<int64_t>(known.size()) + 1)};
  const std::vector<EvalWindow> windows =
      by_document_ ? plan_document_windows(known, range, shape_) : plan_windows(0, range, shape_);
  tail_.clear();
  if (whole_) whole_->clear();
  // <parts>
  for (auto& [context, lane] : growing_) lane.clear();
  // </parts>
  windows_.clear();
  for (const EvalWindow& window : windows) {
    const bool is_tail = window.score_from >= shape_.context - shape_.stride;
    WindowLane* lane = is_tail ? &tail_ : &*whole_;
    // <parts>
    if (!is_tail && document_chunk_targets() > 0) lane = &growing_lane(window);
    // </parts>
    windows_.push_back({.window = window, .lane = lane, .number = lane->add(window)});
  }
}

// <parts>
// Until a document is longer than a window its windows begin with it and grow by a chunk each.
// Memory is that of the longest, since one lane runs at a time.
WindowLane& NetworkScorer::growing_lane(const EvalWindow& window) {
  const int64_t chunk = document_chunk_targets();
  const int64_t context = std::min(window.score_from + chunk, shape_.context);
  const auto found = growing_.find(context);
  if (found != growing_.end()) return found->second;
  const ForwardOptions options = {.last_positions = std::min(chunk, context),
                                  .lends_arena = &whole_->plan().plan()};
  WindowLane& lane =
      growing_.try_emplace(context, model_, weights_, growing_rows_, context, options, share_)
          .first->second;
  lane.set_temperature(temperature_);
  lane.decode_by(*whole_);
  return lane;
}
// </parts>

void NetworkScorer::predict(int64_t target, TokenDistribution& distribution) {
  const auto at = std::partition_point(windows_.begin(), windows_.end(), [&](const Placed& placed) {
    return placed.window.end_target() <= target;
  });
  PG_CHECK(at != windows_.end() && at->window.first_target() <= target,
           "predict() of a target that the open chunk does not hold");
  distribution.network = at->lane->predict(at->number, target, known_);
  distribution.mixed.count = 0;
  distribution.mixed.log_rest = 0.0f;
  if (mixer_) mixer_->predict(distribution.network, distribution.mixed);
}

void NetworkScorer::perceive(int64_t /*target*/, int32_t token) {
  if (mixer_) mixer_->learn(token);
}

void NetworkScorer::close_chunk(const ScoredChunk& scored) {
  if (!is_first_) {  // nobody asks for targets here, but rank 0 for this rank's share of them
    for (const Placed& placed : windows_) placed.lane->run_until(placed.number, known_);
  }
  known_ = {};
  windows_.clear();
  if (!learner_) return;
  learner_->learn(scored, weights_);
  tail_.forget_rows();
  if (whole_) whole_->forget_rows();
}

// <train_gpt>
// The windows of a place in the documents are a round, each in its document's row: one place after
// the other, since documents end from the last of a rank on.
void NetworkScorer::open_documents(std::span<const OpenDocument> documents) {
  tail_.clear();
  for (auto& [context, lane] : growing_) lane.clear();
  windows_.clear();
  open_rows_.clear();
  std::vector<std::vector<EvalWindow>> windows;  // of each document
  size_t places = 0;
  for (const OpenDocument& open : documents) {
    open_rows_.push_back(open.row);
    windows.push_back(plan_windows(0, {open.chunk.first, open.chunk.end()}, shape_));
    places = std::max(places, windows.back().size());
  }
  for (size_t place = 0; place < places; ++place) {
    WindowLane* begun = nullptr;
    for (size_t d = 0; d < documents.size(); ++d) {
      if (place >= windows[d].size()) continue;
      const EvalWindow& window = windows[d][place];
      const bool is_tail = window.score_from >= shape_.context - shape_.stride;
      WindowLane* lane = is_tail ? &tail_ : &growing_lane(window);
      if (begun != lane) lane->begin_round();
      begun = lane;
      windows_.push_back({.window = window,
                          .lane = lane,
                          .number = lane->add(window, documents[d].known, documents[d].row),
                          .row = documents[d].row});
    }
  }
}

void NetworkScorer::predict_beside(int64_t row, int64_t target, TokenDistribution& distribution) {
  const auto at = std::find_if(windows_.begin(), windows_.end(), [&](const Placed& placed) {
    return placed.row == row && target < placed.window.end_target();
  });
  PG_CHECK(at != windows_.end() && at->window.first_target() <= target,
           "predict_beside() of a target that no open chunk holds");
  distribution.network = at->lane->predict_beside(at->number, target);
  distribution.mixed = {};
}

// A rank learns from the documents in its rows, which lie behind each other.
void NetworkScorer::close_documents(std::span<const ScoredChunk> scored) {
  if (!is_first_) {
    for (const Placed& placed : windows_) placed.lane->run_until(placed.number, {});
  }
  windows_.clear();
  const auto place_of = [&](int64_t row) {
    return std::lower_bound(open_rows_.begin(), open_rows_.end(), row) - open_rows_.begin();
  };
  const auto first = place_of(first_row_of_rank()), end = place_of(first_row_of_rank() + rows_);
  if (end > first) {
    learner_->learn_beside(
        scored.subspan(static_cast<size_t>(first), static_cast<size_t>(end - first)));
  }
}
// </train_gpt>

// <train_gpt>
uint64_t NetworkScorer::state_hash() const {
  const std::array<uint64_t, 2> parts = {mixer_ ? mixer_->state_hash() : 0,
                                         learner_ ? learner_->state_hash() : 0};
  return fnv1a(std::bit_cast<std::array<uint8_t, sizeof(parts)>>(parts));
}
// </train_gpt>

}  // namespace pg
