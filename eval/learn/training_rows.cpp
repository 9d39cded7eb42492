// A row's unused end is padded with token 0, which causal attention keeps out of every counted
// position, and with skipped targets.
#include "eval/learn/training_rows.h"

#include <algorithm>

#include "src/base/check.h"
#include "src/base/hash.h"

namespace pg {

TrainingRows::TrainingRows(const ModelConfig& model, Weights& weights, int64_t rows,
                           int64_t context)
    : weights_(&weights),
      plan_(model, weights, rows, context, PlanMode::kTrain),
      ids_(static_cast<size_t>(rows * context)),
      next_ids_(static_cast<size_t>(rows * context)),
      sums_(weights.device(),
            static_cast<size_t>(count_sum_pieces(weights.gradient_elements())) * sizeof(double)),
      squares_(weights.device(), sizeof(double)),
      coefficient_(weights.device(), sizeof(float)) {
  PG_CHECK(weights.gradient_elements() > 0, "nothing to train: the weights have no gradients");
}

void TrainingRows::compute_gradient(std::span<const int32_t> tokens,
                                    std::span<const TrainingWindow> windows, double max_norm) {
  const int64_t context = plan_.seq_len();
  PG_CHECK(static_cast<int64_t>(windows.size()) <= rows(), "more windows than rows");
  std::fill(ids_.begin(), ids_.end(), 0);
  std::fill(next_ids_.begin(), next_ids_.end(), -1);
  int64_t counted = 0;
  for (size_t row = 0; row < windows.size(); ++row) {
    const TrainingWindow& w = windows[row];
    PG_CHECK(w.begin >= 0 && w.begin < w.first && w.end - 1 - w.begin <= context &&
                 w.end <= static_cast<int64_t>(tokens.size()),
             "a training window out of its text");
    const auto at = static_cast<int64_t>(row) * context;
    std::copy(tokens.begin() + w.begin, tokens.begin() + w.end - 1, ids_.begin() + at);
    std::copy(tokens.begin() + w.first, tokens.begin() + w.end,
              next_ids_.begin() + at + w.first - 1 - w.begin);
    counted += w.end - w.first;
  }
  PG_CHECK(counted > 0, "a training batch without targets");
  plan_.load(ids_, next_ids_);
  // The plan divides by all rows, skipped ones included.
  plan_.set_loss_scale(static_cast<float>(rows() * context) / static_cast<float>(counted));
  plan_.run();
  weights_->finish_gradients();
  Ops& ops = weights_->device().ops();
  const int64_t elements = weights_->gradient_elements();
  ops.sum_squares({sums_.data(), DType::kF64}, {weights_->gradients(), DType::kF32},
                  {1, 1, elements, elements}, 0);
  ops.sum_pieces({squares_.data(), DType::kF64}, {sums_.data(), DType::kF64},
                 count_sum_pieces(elements));
  ops.clip_coefficient({coefficient_.data(), DType::kF32}, {squares_.data(), DType::kF64},
                       static_cast<float>(max_norm));
}

uint64_t hash_floats(Device& device, const float* values, int64_t count, uint64_t hash) {
  std::vector<uint8_t> host(static_cast<size_t>(count) * sizeof(float));
  device.synchronize();
  device.download(host.data(), values, host.size());
  return fnv1a(host, hash);
}

}  // namespace pg
