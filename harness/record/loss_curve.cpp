#include "harness/record/loss_curve.h"

#include <algorithm>
#include <string_view>

#include "src/base/bytes.h"
#include "src/text/json_object.h"

namespace pg {
namespace {

// Tells the two kinds of event apart by their members: a step has grad_norm, a validation has
// val_loss_nats.
void add_point(const std::vector<JsonNumber>& numbers, LossCurve& curve) {
  LossPoint point;
  bool is_step = false, is_validation = false;
  for (const JsonNumber& number : numbers) {
    const std::string& key = number.key;
    if (key == "step") point.step = number.whole();
    if (key == "train_s") point.train_s = number.value;
    if (key == "loss_nats" || key == "val_loss_nats") point.loss_nats = number.value;
    if (key == "val_bits_per_byte") point.bits_per_byte = number.value;
    is_step |= key == "grad_norm";
    is_validation |= key == "val_loss_nats";
  }
  if (is_step) {
    curve.rewind(point.step);
    curve.train.push_back(point);
  }
  if (is_validation) curve.validation.push_back(point);
}

}  // namespace

void LossCurve::rewind(int64_t step) {
  const auto is_later = [step](const LossPoint& point) { return point.step >= step; };
  while (!train.empty() && is_later(train.back())) train.pop_back();
  while (!validation.empty() && is_later(validation.back())) validation.pop_back();
}

LossCurve load_loss_curve(const std::filesystem::path& run_jsonl) {
  LossCurve curve;
  if (!std::filesystem::exists(run_jsonl)) return curve;
  const std::string text = read_text_file(run_jsonl);
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::vector<JsonNumber> numbers;
    if (read_json_numbers(rest.substr(0, end), numbers)) add_point(numbers, curve);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return curve;
}

}  // namespace pg
