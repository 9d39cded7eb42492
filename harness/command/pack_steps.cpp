#include "harness/command/pack_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/scoring_keys.h"
#include "src/model/model.h"

namespace pg {
namespace {

struct CalibrationShape {
  int64_t batches = 0, rows = 0, seq_len = 0;
  int64_t batch_tokens() const { return rows * seq_len; }
};

CalibrationShape shape_calibration(const Recipe& recipe) {
  CalibrationShape shape;
  shape.seq_len = recipe.train.seq_len;
  shape.rows = std::max<int64_t>(1, recipe.train.micro_batch_tokens / shape.seq_len);
  shape.batches = std::max<int64_t>(1, recipe.quant.calibration_tokens / shape.batch_tokens());
  return shape;
}

// Of some batches, measured.
struct CalibrationTimes {
  double once_s = 0;   // what does not depend on how many there are
  double batch_s = 0;  // the mean of all but the first, which also makes the memory its own
};

CalibrationBatch make_rehearsal_batch(const Recipe& recipe, const CalibrationShape& shape) {
  CalibrationBatch batch;
  batch.ids = make_rehearsal_ids(shape.batch_tokens(), recipe.model.vocab_size);
  batch.targets = batch.ids;
  return batch;
}

CalibrationTimes time_calibration(const Recipe& recipe, const std::vector<HostTensor>& weights,
                                  const CalibrationShape& shape, int64_t batches, Device& device,
                                  Clock& clock) {
  const std::vector<CalibrationBatch> text(static_cast<size_t>(batches),
                                           make_rehearsal_batch(recipe, shape));
  const double begin_s = clock.now_s();
  std::vector<double> ends_s;
  calibrate(recipe.model, weights, text, shape.rows, shape.seq_len, device,
            [&](const std::string&) { ends_s.push_back(clock.now_s()); });
  CalibrationTimes times;
  const double total_s = clock.now_s() - begin_s;
  const auto more = static_cast<double>(ends_s.size() - 1);
  times.batch_s = more > 0 ? (ends_s.back() - ends_s.front()) / more : ends_s.front() - begin_s;
  times.once_s = std::max(total_s - (more + 1) * times.batch_s, 0.0);
  return times;
}

}  // namespace

bool needs_calibration(const QuantConfig& quant) {
  return quant.rounding == Rounding::kGptq || quant.scales == ScaleRule::kSensitivity ||
         quant.scales == ScaleRule::kSdClipHessian || quant.awq_group || quant.gradient_bits;
}

Calibration calibrate_weights(const Recipe& recipe, const std::vector<HostTensor>& weights,
                              const Batches& batches, Device& device,
                              const WorkProgressFn& progress) {
  if (!needs_calibration(recipe.quant)) return {};
  const CalibrationShape shape = shape_calibration(recipe);
  const auto tokens = static_cast<size_t>(shape.batch_tokens());
  std::vector<CalibrationBatch> text(static_cast<size_t>(shape.batches));
  for (int64_t i = 0; i < shape.batches; ++i) {
    CalibrationBatch& batch = text[static_cast<size_t>(i)];
    batch.ids.resize(tokens);
    batch.targets.resize(tokens);
    batches.read(i * shape.rows, shape.rows, batch.ids, batch.targets);
  }
  return calibrate(recipe.model, weights, text, shape.rows, shape.seq_len, device, progress);
}

double rehearse_calibration(const Recipe& recipe, Device& device, Clock& clock) {
  if (!needs_calibration(recipe.quant)) return 0;
  // A batch of the small tracks is a tenth of a second, in which neighbours on the machine can make
  // it twice as long.
  constexpr double kSpend_s = 1.0;
  const CalibrationShape shape = shape_calibration(recipe);
  Weights weights(device, list_params(recipe.model), /*with_gradients=*/false);
  weights.initialise(static_cast<uint64_t>(recipe.train.seed));
  const std::vector<HostTensor> start = weights.download();
  const auto measure = [&](int64_t batches) {
    return time_calibration(recipe, start, shape, batches, device, clock);
  };
  CalibrationTimes times = measure(std::min<int64_t>(2, shape.batches));
  if (times.batch_s < kSpend_s && shape.batches > 2) {
    const double more = std::ceil(kSpend_s / std::max(times.batch_s, 1e-6));
    times = measure(more < static_cast<double>(shape.batches) ? static_cast<int64_t>(more)
                                                              : shape.batches);
  }
  return times.once_s + static_cast<double>(shape.batches) * times.batch_s;
}

std::vector<int32_t> make_rehearsal_ids(int64_t count, int64_t vocab_size) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(i % vocab_size));
  return ids;
}

Calibration calibrate_in_rehearsal(const Recipe& recipe, const std::vector<HostTensor>& weights,
                                   Device& device) {
  if (!needs_calibration(recipe.quant)) return {};
  const CalibrationShape shape = shape_calibration(recipe);
  const CalibrationBatch batch = make_rehearsal_batch(recipe, shape);
  return calibrate(recipe.model, weights, {&batch, 1}, shape.rows, shape.seq_len, device);
}

QuantResult quantize_weights(const Recipe& recipe, const std::vector<HostTensor>& weights,
                             const Sha256& tokenizer_sha256, const Calibration& calibration,
                             const CodeSizes& code_bytes, const WorkProgressFn& progress) {
  const QuantInput input{.config = &recipe.model,
                         .weights = &weights,
                         .tokenizer_sha256 = tokenizer_sha256,
                         .scoring_keys = write_scoring_keys(recipe.scoring()),
                         .calibration = calibration.tensors.empty() ? nullptr : &calibration,
                         .progress = progress};
  return quantize(input, recipe.quant, code_bytes);
}

std::string format_allocation(const std::vector<TensorAllocation>& allocation) {
  std::string text = fmt::format("{:<24} {:>10} {:>4} {:>10} {:>10} {:>9} {:>12}\n", "tensor",
                                 "weights", "bits", "scale", "bytes", "b/weight", "loss, nats");
  for (const TensorAllocation& row : allocation) {
    if (row.bits == 16) continue;
    text += fmt::format("{:<24} {:>10} {:>4} {:>10.5f} {:>10.0f} {:>9.3f} {:>12.6f}\n", row.name,
                        row.elements, row.bits, row.scale, row.bytes,
                        8 * row.bytes / static_cast<double>(row.elements), row.loss_nats);
  }
  return text;
}

}  // namespace pg
