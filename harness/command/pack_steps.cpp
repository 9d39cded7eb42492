#include "harness/command/pack_steps.h"

#include <fmt/format.h>

#include <algorithm>

namespace pg {

bool needs_calibration(const QuantConfig& quant) {
  return quant.rounding == Rounding::kGptq || quant.scales == ScaleRule::kSensitivity ||
         quant.scales == ScaleRule::kSdClipHessian || quant.awq_group;
}

Calibration calibrate_weights(const Recipe& recipe, const std::vector<HostTensor>& weights,
                              const Batches& batches, Device& device,
                              const WorkProgressFn& progress) {
  if (!needs_calibration(recipe.quant)) return {};
  const int64_t seq_len = batches.seq_len();
  const int64_t rows = std::max<int64_t>(1, recipe.train.micro_batch_tokens / seq_len);
  const int64_t tokens = rows * seq_len;
  const int64_t count = std::max<int64_t>(1, recipe.quant.calibration_tokens / tokens);
  std::vector<CalibrationBatch> text(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    CalibrationBatch& batch = text[static_cast<size_t>(i)];
    batch.ids.resize(static_cast<size_t>(tokens));
    batch.targets.resize(static_cast<size_t>(tokens));
    batches.read(i * rows, rows, batch.ids, batch.targets);
  }
  return calibrate(recipe.model, weights, text, rows, seq_len, device, progress);
}

QuantResult quantize_weights(const Recipe& recipe, const std::vector<HostTensor>& weights,
                             const Sha256& tokenizer_sha256, const Calibration& calibration,
                             int64_t code_bytes, const WorkProgressFn& progress) {
  const QuantInput input{.config = &recipe.model,
                         .weights = &weights,
                         .tokenizer_sha256 = tokenizer_sha256,
                         .scoring = {recipe.eval.context, recipe.eval.stride},
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
