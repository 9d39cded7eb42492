// A row's unused end is padded with token 0, which causal attention keeps out of every counted
// position, and with skipped targets.
#include "eval/learn/training_rows.h"

#include <algorithm>

// <train_gpt>
#include "eval/score/window_share.h"
// </train_gpt>
#include "src/base/check.h"
#include "src/base/hash.h"
// <parts>
#include "src/data/tokenizer.h"
// </parts>
#include "src/model/forward.h"

namespace pg {
namespace {

ForwardOptions list_options(const TttConfig& config) {
  ForwardOptions options;
  // <parts>
  options.has_row_weights = config.byte_weighted;
  // </parts>
  return options;
}

}  // namespace

TrainingRows::TrainingRows(const ModelConfig& model, const TttConfig& config, Weights& weights,
                           int64_t rows, int64_t context)
    : TrainingRows(ModelPlan(model, weights, rows / config.gradient_leaves, context,
                             PlanMode::kTrain, list_options(config)),
                   context, config, weights) {
  int64_t own = leaf_count_ = config.gradient_leaves;
  // <train_gpt>
  if (config.share != nullptr && config.share->ranks() > 1 &&
      leaf_count_ % config.share->ranks() == 0) {
    share_ = config.share;
    own /= share_->ranks();
    first_leaf_ = share_->rank() * own;
  }
  // </train_gpt>
  if (leaf_count_ > 1) leaves_.emplace(weights, own);
}

TrainingRows::TrainingRows(ModelPlan plan, int64_t positions, const TttConfig& config,
                           Weights& weights)
    : weights_(&weights),
      plan_(std::move(plan)),
      positions_(positions),
      ids_(static_cast<size_t>(plan_.batch() * plan_.seq_len())),
      next_ids_(static_cast<size_t>(plan_.batch() * positions)),
      sums_(weights.device(),
            static_cast<size_t>(count_sum_pieces(weights.gradient_elements())) * sizeof(double)),
      squares_(weights.device(), sizeof(double)),
      coefficient_(weights.device(), static_cast<size_t>(plan_.batch()) * sizeof(float)) {
  PG_CHECK(weights.gradient_elements() > 0, "nothing to train: the weights have no gradients");
  // <parts>
  bytes_ = config.byte_weighted ? config.bytes : nullptr;
  PG_CHECK(bytes_ != nullptr || !config.byte_weighted, "ttt.byte_weighted has no byte table");
  if (bytes_ != nullptr) byte_weights_.resize(next_ids_.size());
  frozen_blocks_ = config.frozen_blocks;
  train_scales_alone(false);
  // </parts>
}

// <parts>
TrainingRows TrainingRows::of_last(const ModelConfig& model, const TttConfig& config,
                                   Weights& weights, int64_t context, int64_t positions) {
  ForwardOptions options = list_options(config);
  options.last_positions = positions;
  int64_t rows = 1;
  // </parts>
  // <train_gpt>
  rows = config.documents_at_once;
  // </train_gpt>
  // <parts>
  return {ModelPlan(model, weights, rows, context, PlanMode::kTrain, options), positions, config,
          weights};
}

TrainingRows TrainingRows::shorten(const ModelConfig& model, const TttConfig& config,
                                   int64_t context) const {
  ForwardOptions options = list_options(config);
  options.last_positions = positions_;
  options.lends_arena = &plan_.plan();
  return {ModelPlan(model, *weights_, plan_.batch(), context, PlanMode::kTrain, options),
          positions_, config, *weights_};
}

void TrainingRows::train_scales_alone(bool alone) {
  // </parts>
  // <train_gpt>
  kept_.reset();
  // </train_gpt>
  // <parts>
  held_.clear();
  int64_t largest = 0;
  for (int i = 0; i < weights_->count(); ++i) {
    const ParamSpec& spec = weights_->spec(i);
    if (!spec.trainable || spec.group == ParamGroup::kScalar) continue;
    const bool is_frozen = spec.group == ParamGroup::kMatrix && spec.place.layer >= 0 &&
                           spec.place.layer < frozen_blocks_;
    if (!alone && !is_frozen) continue;
    held_.push_back(i);
    largest = std::max(largest, spec.elements());
  }
  if (static_cast<size_t>(largest) * sizeof(float) <= zeros_.bytes()) return;
  zeros_ = DeviceBuffer(weights_->device(), static_cast<size_t>(largest) * sizeof(float));
}

// Of all counted targets.
int64_t TrainingRows::count_bytes(std::span<const int32_t> tokens,
                                  std::span<const TrainingWindow> windows) const {
  int64_t total = 0;
  for (const TrainingWindow& window : windows) {
    for (int64_t t = window.first; t < window.end; ++t) {
      total += bytes_->token_bytes(tokens, static_cast<size_t>(t));
    }
  }
  return total;
}

void TrainingRows::weigh_by_bytes(size_t row, std::span<const int32_t> tokens,
                                  const TrainingWindow& window) {
  const auto at = (static_cast<int64_t>(row) + 1) * positions_ - plan_.seq_len() - 1 - window.begin;
  for (int64_t t = window.first; t < window.end; ++t) {
    byte_weights_[static_cast<size_t>(at + t)] =
        static_cast<float>(bytes_->token_bytes(tokens, static_cast<size_t>(t)));
  }
}

// Of what has a gradient only because something else is made from it.
void TrainingRows::hold_gradients() {
  for (const int param : held_) {
    weights_->device().copy(weights_->gradient(param), zeros_.data(),
                            static_cast<size_t>(weights_->spec(param).elements()) * sizeof(float));
  }
}
// </parts>

void TrainingRows::run_rows(std::span<const int32_t> tokens,
                            std::span<const TrainingWindow> windows, int64_t counted) {
  clear();
  for (size_t row = 0; row < windows.size(); ++row) {
    place(row, tokens, windows[row]);
    // <parts>
    if (bytes_ != nullptr) weigh_by_bytes(row, tokens, windows[row]);
    // </parts>
  }
  plan_.load(ids_, next_ids_);
  // <parts>
  if (bytes_ != nullptr) plan_.load_row_weights(byte_weights_);
  // </parts>
  // The plan divides by all rows, skipped ones included.
  plan_.set_loss_scale(static_cast<float>(plan_.batch() * positions_) /
                       static_cast<float>(counted));
  plan_.run();
}

// The parts of this rank one after another, then the sum over all.
void TrainingRows::add_leaves(std::span<const int32_t> tokens,
                              std::span<const TrainingWindow> windows, int64_t counted) {
  const auto rows = static_cast<size_t>(plan_.batch());
  for (int64_t leaf = 0; leaf < leaves_->leaves(); ++leaf) {
    const size_t first = std::min(static_cast<size_t>(first_leaf_ + leaf) * rows, windows.size());
    run_rows(tokens, windows.subspan(first, std::min(rows, windows.size() - first)), counted);
    weights_->finish_gradients();
    leaves_->add(leaf);
  }
  // <train_gpt>
  if (share_ != nullptr) {
    share_->sum(weights_->device(), weights_->gradients(), weights_->gradient_elements());
  }
  // </train_gpt>
}

void TrainingRows::compute_gradient(std::span<const int32_t> tokens,
                                    std::span<const TrainingWindow> windows, double max_norm) {
  int64_t counted = 0;
  for (const TrainingWindow& window : windows) counted += window.end - window.first;
  PG_CHECK(counted > 0, "a training batch without targets");
  // <parts>
  if (bytes_ != nullptr) counted = std::max<int64_t>(count_bytes(tokens, windows), 1);
  // </parts>
  if (leaves_) {
    add_leaves(tokens, windows, counted);
  } else {
    run_rows(tokens, windows, counted);
  }
  // <train_gpt>
  for (Repetition run(weights_->device(), keep_for(max_norm)); run.is_due();) give_norm(max_norm);
}

// What is kept holds for one norm.
std::unique_ptr<KeptWork>& TrainingRows::keep_for(double max_norm) {
  if (max_norm != kept_norm_) kept_.reset();
  kept_norm_ = max_norm;
  return kept_;
}

void TrainingRows::give_norm(double max_norm) {
  // </train_gpt>
  if (!leaves_) weights_->finish_gradients();
  // <parts>
  hold_gradients();
  // </parts>
  measure(0, weights_->gradient_elements(), max_norm);
}

// <train_gpt>
// The plan takes the mean of each row apart, and the gradients of a row's adapters lie together.
void TrainingRows::compute_gradients_apart(std::span<const Row> rows, double max_norm) {
  clear();
  const int64_t counted = rows.front().window.end - rows.front().window.first;
  for (size_t row = 0; row < rows.size(); ++row) {
    const TrainingWindow& window = rows[row].window;
    PG_CHECK(window.end - window.first == counted, "rows side by side have as many targets each");
    place(row, rows[row].tokens, window);
  }
  plan_.load(ids_, next_ids_);
  plan_.set_loss_scale(static_cast<float>(positions_) / static_cast<float>(counted));
  plan_.run();
  for (Repetition run(weights_->device(), keep_for(max_norm)); run.is_due();) {
    weights_->finish_gradients();
    for (int64_t row = 0; row < plan_.batch(); ++row) {
      measure(row, weights_->gradient_elements() / plan_.batch(), max_norm);
    }
  }
}
// </train_gpt>

void TrainingRows::clear() {
  std::fill(ids_.begin(), ids_.end(), 0);
  std::fill(next_ids_.begin(), next_ids_.end(), -1);
  // <parts>
  std::fill(byte_weights_.begin(), byte_weights_.end(), 0.0f);
  // </parts>
}

void TrainingRows::place(size_t row, std::span<const int32_t> tokens, const TrainingWindow& w) {
  const int64_t context = plan_.seq_len();
  const int64_t from = w.first - 1 - w.begin - (context - positions_);  // of the positions
  PG_CHECK(static_cast<int64_t>(row) < plan_.batch() && w.begin >= 0 && w.begin < w.first &&
               from >= 0 && w.end - 1 - w.begin <= context &&
               w.end <= static_cast<int64_t>(tokens.size()),
           "a training window out of its text, or more windows than rows");
  const auto at = static_cast<int64_t>(row);
  std::copy(tokens.begin() + w.begin, tokens.begin() + w.end - 1, ids_.begin() + at * context);
  std::copy(tokens.begin() + w.first, tokens.begin() + w.end,
            next_ids_.begin() + at * positions_ + from);
}

// The clip coefficient of a row's gradients, so many elements, or of all.
void TrainingRows::measure(int64_t row, int64_t elements, double max_norm) {
  Ops& ops = weights_->device().ops();
  ops.sum_squares({sums_.data(), DType::kF64},
                  {weights_->gradients() + row * elements, DType::kF32}, {1, 1, elements, elements},
                  0);
  ops.sum_pieces({squares_.data(), DType::kF64}, {sums_.data(), DType::kF64},
                 count_sum_pieces(elements));
  ops.clip_coefficient({coefficient_.as<float>() + row, DType::kF32},
                       {squares_.data(), DType::kF64}, static_cast<float>(max_norm));
}

// <train_gpt>
uint64_t hash_floats(Device& device, const float* values, int64_t count, uint64_t hash) {
  std::vector<uint8_t> host(static_cast<size_t>(count) * sizeof(float));
  device.synchronize();
  device.download(host.data(), values, host.size());
  return fnv1a(host, hash);
}
// </train_gpt>

}  // namespace pg
