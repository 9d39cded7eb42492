#include "harness/verify/log_dialects.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr size_t kMostTextBytes = 300;
constexpr int64_t kMostStep = 100'000'000;
constexpr size_t kLateLosses = 5;

// Milliseconds that stand at `number`: "41450ms", "0.7m", "12s"; -1 for a unit too coarse to tell.
double milliseconds(std::string_view text, const ScannedNumber& number) {
  size_t at = number.end;
  while (at < text.size() && text[at] == ' ') ++at;
  const std::string_view unit = text.substr(at);
  if (unit.starts_with("ms")) return number.value;
  if (unit.starts_with("s")) return number.value * 1000;
  if (unit.starts_with("m") && number.decimals > 0) return number.value * 60'000;  // to 3 s
  return -1;
}

}  // namespace

TextLine LogParser::here() const {
  return {line_, std::string(trim_blanks(text_).substr(0, kMostTextBytes))};
}

void LogParser::parse(int64_t line, std::string_view text) {
  line_ = line;
  text_ = text;
  const std::string lower = lower_ascii(text);
  const std::string_view body = skip_line_head(lower);
  if (body.empty()) return;
  is_step_ = false;
  parse_step(body);
  if (has_text(lower, "bpb")) parse_scores(lower);
  if (!is_step_) {
    parse_sizes(body);
    parse_settings(body);
    parse_methods(body);
  }
  parse_times(body);
  parse_troubles(lower);
}

void LogParser::parse_step(std::string_view lower) {
  size_t at = 0;
  if (lower.starts_with("step")) {
    at = 4;
  } else if (lower.starts_with("s:")) {
    at = 2;
  } else if (!is_digit_byte(lower.front())) {
    return;
  }
  const bool is_bare = at == 0;
  while (at < lower.size() && (lower[at] == ' ' || lower[at] == ':' || lower[at] == '=')) ++at;
  const size_t first = at;
  int64_t step = 0;
  while (at < lower.size() && is_digit_byte(lower[at]) && step < kMostStep) {
    step = step * 10 + (lower[at++] - '0');
  }
  if (at == first) return;
  const bool has_total = at + 1 < lower.size() && lower[at] == '/' && is_digit_byte(lower[at + 1]);
  if (is_bare && !has_total) return;
  if (at < lower.size() && !has_total && lower[at] != ' ' && lower[at] != '|' && lower[at] != ',') {
    return;
  }
  is_step_ = true;
  facts_.last_step = std::max(facts_.last_step, step);
  std::optional<ScannedNumber> loss;
  for (const char* key : {"train_loss", "tl", "mean_microbatch_loss", "loss"}) {
    if ((loss = number_after(lower, key))) break;
  }
  for (const char* key : {"train_time", "tt"}) {
    const auto time = number_after(lower, key);
    if (!time) continue;
    // In tenths of a minute ten minutes may be any time up to 603 s.
    if (const double ms = milliseconds(lower, *time); ms >= 0) {
      facts_.last_train_ms = NumberLine{line_, ms};
    }
  }
  const auto val_loss = number_after(lower, "val_loss");
  if ((loss && !std::isfinite(loss->value)) || (val_loss && !std::isfinite(val_loss->value))) {
    keep_line(facts_.not_numbers, here());
  }
  if (step <= 1 && !facts_.first_loss_nats) {
    if (const auto& first_loss = val_loss ? val_loss : loss)
      facts_.first_loss_nats = first_loss->value;
  }
  ++facts_.step_lines;
  if (!loss || !std::isfinite(loss->value)) return;
  if (facts_.late_losses_nats.size() == kLateLosses) {
    facts_.late_losses_nats.erase(facts_.late_losses_nats.begin());
  }
  facts_.late_losses_nats.push_back(loss->value);
  const double pair[2] = {static_cast<double>(step), loss->value};
  const uint64_t before =
      facts_.training_fingerprint == 0 ? kFnvOffset : facts_.training_fingerprint;
  facts_.training_fingerprint =
      fnv1a({reinterpret_cast<const uint8_t*>(pair), sizeof pair}, before);
}

void LogParser::parse_sizes(std::string_view lower) {
  // A number of bytes behind ':' or '='; not "15.6 MB".
  const auto bytes_behind = [&](size_t at) -> int64_t {
    if (at == kNotFound) return -1;
    const auto number = scan_number(lower, at + 1);
    if (!number || !number->is_whole || number->value < 0 || number->value > 1e15) return -1;
    const std::string_view unit = trim_blanks(lower.substr(number->end));
    if (starts_with_any(unit, {"mb", "mib", "kb", "kib", "gb", "param", "tokens"})) return -1;
    return static_cast<int64_t>(number->value);
  };
  const size_t sign = lower.find_first_of(":=");
  if (sign == kNotFound || lower.front() == '"') return;  // a line of printed JSON
  const std::string_view head = trim_blanks(lower.substr(0, sign));
  const int64_t bytes = bytes_behind(sign);
  if (bytes < 0) {
    // "size_check total_submission=15633824 limit=16000000"
    if (const auto total = number_after(lower, "total_submission"); total && total->value > 1000) {
      keep_line(facts_.totals, SizeLine{line_, static_cast<int64_t>(total->value), "submission"});
    }
    return;
  }
  if (const size_t at = head.find("serialized model"); at != kNotFound) {
    const std::string_view label = trim_blanks(head.substr(at + 16));
    if (label.empty() || has_any(label, {"fp32", "bf16", "raw"})) {
      if (at == 0) return keep_line(facts_.raw_models, bytes);
      return keep_line(facts_.packed_models,
                       SizeLine{line_, bytes, std::string(trim_blanks(head.substr(0, at)))});
    }
    return keep_line(facts_.packed_models, SizeLine{line_, bytes, std::string(label)});
  }
  if (has_any(head, {"code size", "code_size", "bytes_code", "code_bytes"}) || head == "code") {
    return keep_line(facts_.code_sizes, bytes);
  }
  const bool is_total =
      has_any(head, {"total submission", "total_submission", "submission size", "total artifact",
                     "artifact size", "total size", "total trinity submission"}) ||
      head == "artifact" || head == "total" ||
      (has_text(head, "total") && has_text(head, "submission"));
  if (!is_total || bytes < 1000) return;
  const size_t number_at = lower.find_first_of("0123456789", sign);
  if (head == "total" || head == "artifact") {  // "total:15912981B"; not "total: 546,879 docs"
    const auto number = scan_number(lower, number_at);
    const std::string_view unit = trim_blanks(lower.substr(number->end));
    if (!(unit == "b" || unit.starts_with("bytes"))) return;
  }
  std::string label;
  if (const size_t at = head.find("size "); at != kNotFound && has_text(head, "submission")) {
    label = trim_blanks(head.substr(at + 5));
  }
  keep_line(facts_.totals, SizeLine{line_, bytes, label});
}

void LogParser::parse_settings(std::string_view lower) {
  if (has_any(lower, {"world_size", "world size"})) {
    for (const char* key : {"world_size", "world size"}) {
      if (const auto size = number_after(lower, key)) {
        keep_line(facts_.world_sizes, NumberLine{line_, size->value});
        break;
      }
    }
  }
  if (has_text(lower, "seed")) {
    const auto seed = number_after(lower, "seed");
    if (seed && seed->is_whole && !has_any(lower, {"seed_", "seeds:"})) {
      keep_line(facts_.seeds, NumberLine{line_, seed->value});
    }
  }
  if (has_text(lower, "tokens")) {
    std::optional<ScannedNumber> tokens;
    if (has_any(lower, {"val_loader", "val loader"})) tokens = number_after(lower, "tokens");
    for (const char* key : {"val_tokens", "validation tokens", "val tokens"}) {
      if (!tokens) tokens = number_after(lower, key);
    }
    if (tokens && tokens->value > 0) keep_line(facts_.val_tokens, NumberLine{line_, tokens->value});
  }
  if (has_any(lower, {"world_size", "val_loader", "train_loader", "model_params", "warmup_step:",
                      "hyperparameters:", "train_batch_tokens", "max_wallclock", "running pytorch",
                      "world size", "nvidia-smi", "total params", "grad_accum", "train_shards"})) {
    ++facts_.header_lines;
  }
}

void LogParser::parse_times(std::string_view lower) {
  const bool is_stop = has_any(lower, {"stopping_early", "stopping early", "wallclock_cap"}) ||
                       lower.starts_with("stop tt:");
  if (is_stop) {
    for (const char* key : {"train_time", "tt"}) {
      const auto time = number_after(lower, key);
      if (!time) continue;
      if (const double ms = milliseconds(lower, *time); ms >= 0) {
        keep_line(facts_.stops_ms, NumberLine{line_, ms});
      }
    }
    if (const auto step = number_after(lower, "step"); step && step->value < kMostStep) {
      facts_.last_step = std::max(facts_.last_step, static_cast<int64_t>(step->value));
    }
    return;
  }
  if (is_step_) return;
  // "eval_time:", "total_eval_time:", "ttt_eval_time_ms=".
  for (size_t at = lower.find("eval_time"); at != kNotFound; at = lower.find("eval_time", at + 1)) {
    size_t begin = at, end = at;
    while (begin > 0 && is_word_byte(lower[begin - 1])) --begin;
    while (end < lower.size() && is_word_byte(lower[end])) ++end;
    const std::string_view key = lower.substr(begin, end - begin);
    const auto time = number_after(lower.substr(begin), key);
    if (!time) continue;
    double ms = milliseconds(lower.substr(begin), *time);
    if (key.ends_with("_ms")) ms = time->value;
    if (key.ends_with("_s") || key.ends_with("_seconds")) ms = time->value * 1000;
    if (ms < 0) continue;
    keep_line(facts_.evaluations_s, NumberLine{line_, ms / 1000});
    keep_line(facts_.evaluation_texts, here());
    return;
  }
  // The shortened dialect and the results of learners: "ttt vl:0.7396 bpb:0.4380 t:449583ms".
  if (!has_any(lower, {"bpb"}) || has_text(lower, "[")) return;
  for (const char* key : {"elapsed", "time", "t"}) {
    const auto time = number_after(lower, key);
    if (!time) continue;
    const double ms = milliseconds(lower, *time);
    if (ms < 0) continue;
    keep_line(facts_.evaluations_s, NumberLine{line_, ms / 1000});
    keep_line(facts_.evaluation_texts, here());
    return;
  }
}

}  // namespace pg
