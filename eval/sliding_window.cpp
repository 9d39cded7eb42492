// One static plan serves all windows: a short one is padded at its end, where causal attention
// keeps the padding out of every scored position, and so are the unused rows of the last batch.
#include "eval/sliding_window.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/window_schedule.h"
#include "src/base/error.h"
#include "src/model/model.h"

namespace pg {
namespace {

// The tokens of one forward pass, rows padded with token 0.
struct WindowBatch {
  std::vector<int32_t> ids, targets;  // [rows, context]
  std::vector<float> losses;          // [rows, context]
};

void read_row(const TokenStream& stream, const EvalWindow& window, int64_t vocab_size,
              std::span<int32_t> ids, std::span<int32_t> targets) {
  const auto length = static_cast<size_t>(window.length);
  stream.read(window.begin, ids.first(length));
  stream.read(window.begin + 1, targets.first(length));
  for (size_t i = 0; i < length; ++i) {
    if (std::max(ids[i], targets[i]) >= vocab_size) {
      throw Error(fmt::format(
          "validation token {} is not in the model's vocabulary: {} of {}; use the shards of the "
          "artifact's tokenizer",
          window.begin + static_cast<int64_t>(i), std::max(ids[i], targets[i]), vocab_size));
    }
  }
}

}  // namespace

int64_t score_windows(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                      const TokenStream& stream, const EvalConfig& config, Device& device,
                      const LossSink& sink) {
  const int64_t context = config.context;
  const std::vector<EvalWindow> windows = plan_windows(stream.size() - 1, context, config.stride);
  const auto count = static_cast<int64_t>(windows.size());
  const int64_t rows = std::clamp(config.batch_tokens / context, int64_t{1}, count);

  Weights weights(device, list_params(model), /*with_gradients=*/false);
  weights.upload(tensors);
  ModelPlan plan(model, weights, rows, context, PlanMode::kScore);

  const auto row_tokens = static_cast<size_t>(context);
  const auto batch_tokens = static_cast<size_t>(rows) * row_tokens;
  WindowBatch batch{.ids = std::vector<int32_t>(batch_tokens),
                    .targets = std::vector<int32_t>(batch_tokens),
                    .losses = std::vector<float>(batch_tokens)};
  for (int64_t first = 0; first < count; first += rows) {
    const int64_t used = std::min(rows, count - first);
    std::fill(batch.ids.begin(), batch.ids.end(), 0);
    std::fill(batch.targets.begin(), batch.targets.end(), 0);
    const auto row_of = [&](auto& values, int64_t row) {
      return std::span(values).subspan(static_cast<size_t>(row) * row_tokens, row_tokens);
    };
    for (int64_t row = 0; row < used; ++row) {
      read_row(stream, windows[static_cast<size_t>(first + row)], model.vocab_size,
               row_of(batch.ids, row), row_of(batch.targets, row));
    }
    plan.load(batch.ids, batch.targets);
    plan.run();
    plan.read_token_losses(batch.losses);
    for (int64_t row = 0; row < used; ++row) {
      const EvalWindow& window = windows[static_cast<size_t>(first + row)];
      const auto from = static_cast<size_t>(window.score_from);
      const auto scored = static_cast<size_t>(window.scored());
      sink.on_window({.first_target = window.begin + window.score_from,
                      .previous = row_of(batch.ids, row).subspan(from, scored),
                      .targets = row_of(batch.targets, row).subspan(from, scored),
                      .losses = row_of(batch.losses, row).subspan(from, scored)});
    }
    if (sink.on_batch) sink.on_batch();
  }
  return count;
}

}  // namespace pg
