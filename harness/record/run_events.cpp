#include "harness/record/run_events.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace pg {
namespace {

using Json = nlohmann::json;

double number(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

// A count of a stranger's: what no count can be is 0.
int64_t count(const Json& json, const char* key) {
  constexpr double kMost = 9007199254740992.0;  // 2^53
  const double value = number(json, key);
  return value >= 0 && value <= kMost ? static_cast<int64_t>(value) : 0;
}

std::string text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void rewind(RunEvents& events, int64_t step) {
  events.curve.rewind(step);
  while (!events.steps.empty() && events.steps.back().step >= step) events.steps.pop_back();
}

EventKind add_json(const Json& json, RunEvents& events) {
  const std::string kind = text(json, "event");
  if (kind == "step") {
    const int64_t step = count(json, "step");
    rewind(events, step);
    events.curve.train.push_back({step, number(json, "train_s"), number(json, "loss_nats"), 0});
    events.steps.push_back({step, number(json, "train_s"), number(json, "lr_multiplier"),
                            number(json, "tokens_per_s"), count(json, "projected_bytes")});
    return EventKind::kStep;
  }
  if (kind == "validation") {
    events.curve.validation.push_back({count(json, "step"), number(json, "train_s"),
                                       number(json, "val_loss_nats"),
                                       number(json, "val_bits_per_byte")});
    return EventKind::kValidation;
  }
  if (kind == "stop") {
    events.stop_reason = text(json, "reason");
    events.tokens = count(json, "tokens");
    return EventKind::kStop;
  }
  if (kind == "score") {
    events.stages.push_back({text(json, "stage"), number(json, "bits_per_byte")});
    return EventKind::kScore;
  }
  if (kind == "quantized") {
    events.tensors.push_back({text(json, "tensor"), count(json, "bytes"), count(json, "weights")});
    return EventKind::kOther;
  }
  if (kind == "note") {
    events.last_text = text(json, "text");
    return EventKind::kNote;
  }
  if (kind != "start") return EventKind::kOther;
  // A part that goes on from a checkpoint scores and packs anew.
  events.stages.clear();
  events.tensors.clear();
  events.stop_reason.clear();
  return EventKind::kStart;
}

// The number behind `key` in a line of a log; empty where there is none.
std::optional<double> number_behind(std::string_view line, std::string_view key) {
  const size_t at = line.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = line.substr(at + key.size());
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

template <class AddLine>
void for_each_line(std::string_view text, AddLine&& add) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    add(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

EventKind RunEvents::add_event(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? add_json(json, *this) : EventKind::kUnread;
}

EventKind RunEvents::add_log_line(std::string_view line) {
  if (!line.starts_with("step:")) return EventKind::kOther;
  constexpr double kMostSteps = 1e12;
  const auto step = number_behind(line, "step:");
  if (!step || *step < 0 || *step > kMostSteps) return EventKind::kOther;
  LossPoint point;
  point.step = static_cast<int64_t>(*step);
  point.train_s = number_behind(line, "train_time:").value_or(0) / 1e3;
  if (const auto loss = number_behind(line, "val_loss:")) {
    point.loss_nats = *loss;
    point.bits_per_byte = number_behind(line, "val_bpb:").value_or(0);
    curve.validation.push_back(point);
    return EventKind::kValidation;
  }
  const auto loss = number_behind(line, "train_loss:");
  if (!loss) return EventKind::kOther;
  point.loss_nats = *loss;
  rewind(*this, point.step);
  curve.train.push_back(point);
  steps.push_back({.step = point.step, .train_s = point.train_s});
  return EventKind::kStep;
}

RunEvents read_run_events(std::string_view run_jsonl) {
  RunEvents events;
  for_each_line(run_jsonl, [&](std::string_view line) { events.add_event(line); });
  return events;
}

RunEvents read_log_events(std::string_view log) {
  RunEvents events;
  for_each_line(log, [&](std::string_view line) { events.add_log_line(line); });
  return events;
}

}  // namespace pg
