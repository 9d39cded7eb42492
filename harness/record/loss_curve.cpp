#include "harness/record/loss_curve.h"

#include "harness/record/run_events.h"
#include "src/base/bytes.h"

namespace pg {
void LossCurve::rewind(int64_t step) {
  const auto is_later = [step](const LossPoint& point) { return point.step >= step; };
  while (!train.empty() && is_later(train.back())) train.pop_back();
  while (!validation.empty() && is_later(validation.back())) validation.pop_back();
}

LossCurve load_loss_curve(const std::filesystem::path& run_jsonl) {
  if (!std::filesystem::exists(run_jsonl)) return {};
  return read_run_events(read_text_file(run_jsonl)).curve;
}

}  // namespace pg
