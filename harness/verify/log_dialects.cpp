#include "harness/verify/log_dialects.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr size_t kMostTextBytes = 300, kMostLabelBytes = 80;
constexpr int64_t kMostStep = 100'000'000;
constexpr size_t kLateLosses = 5;
constexpr auto kNone = std::string_view::npos;

bool has_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return has_text(text, part); });
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> heads) {
  return std::any_of(heads.begin(), heads.end(),
                     [&](std::string_view head) { return text.starts_with(head); });
}

template <class T>
void keep(std::vector<T>& list, T item) {
  if (list.size() < kMostLines) list.push_back(std::move(item));
}

// Behind a time stamp or a rank's name: "1776142723.115 0/20000 ...", "[rank0]: ...".
std::string_view skip_prefix(std::string_view text) {
  text = trim_blanks(text);
  if (text.starts_with("[")) {
    const size_t end = text.find(']');
    if (end != kNone && end < 40 && end + 1 < text.size()) {
      std::string_view rest = text.substr(end + 1);
      while (!rest.empty() && (rest.front() == ':' || rest.front() == ' ')) rest.remove_prefix(1);
      return rest;
    }
  }
  size_t end = 0;
  while (end < text.size() &&
         (is_digit_byte(text[end]) || text[end] == '.' || text[end] == ':' || text[end] == '-')) {
    ++end;
  }
  if (end >= 8 && end < text.size() && text[end] == ' ') return trim_blanks(text.substr(end));
  return text;
}

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

bool is_hidden_word(std::string_view word) {
  // Values that are no score of this run.
  return has_any(word, {"baseline", "previous", "prev_", "target", "delta", "gain", "improve",
                        "sota", "_std", "gap", "std_"});
}

}  // namespace

TextLine LogParser::here() const {
  return {line_, std::string(trim_blanks(text_).substr(0, kMostTextBytes))};
}

void LogParser::parse(int64_t line, std::string_view text) {
  line_ = line;
  text_ = text;
  const std::string lower = lower_ascii(text);
  const std::string_view body = skip_prefix(lower);
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
    keep(facts_.not_numbers, here());
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

ScoreKind LogParser::kind_of(std::string_view lower, std::string_view label) const {
  if (is_step_) return ScoreKind::kStep;
  if (trim_blanks(lower).starts_with("\"")) return ScoreKind::kProgress;  // a line of printed JSON
  if (has_any(lower, {"progress", "chunk:", "pass1 ", "epoch ", "epoch:"}) ||
      (has_text(lower, "[") && has_any(label, {"chunk", "[#/#", "[ "})) || has_text(label, "%") ||
      starts_with_any(trim_blanks(lower), {"tc[", "ttt[", "dyn [", "ngram [", "best observed"})) {
    return ScoreKind::kProgress;
  }
  if (has_any(label, {"post-prequant", "post_prequant"})) return ScoreKind::kPrequant;
  if (has_any(label, {"pre-quant", "prequant", "pre_quant", "post_ema", "post-ema", "post ema",
                      "ema bpb", "post_average", "post_train", "selected_final", "pre-ema"}) ||
      label == "diag" || label == "ema" || label.starts_with("ema (")) {
    return ScoreKind::kPrequant;
  }
  return ScoreKind::kEvaluation;
}

void LogParser::parse_scores(std::string_view lower) {
  std::string line_label;
  bool is_first = true;
  for (size_t at = lower.find("bpb"); at != kNone; at = lower.find("bpb", at + 3)) {
    size_t begin = at, end = at + 3;
    while (begin > 0 && is_word_byte(lower[begin - 1])) --begin;
    while (end < lower.size() && is_word_byte(lower[end])) ++end;
    const std::string_view word = lower.substr(begin, end - begin);
    size_t behind = end;
    if (behind < lower.size() && lower[behind] == '"') ++behind;
    if (lower.substr(behind).starts_with(" (")) {  // "Quantized BPB (no XSA): 1.03"
      const size_t close = lower.find(')', behind);
      if (close != kNone && close - behind < 24) behind = close + 1;
    }
    while (behind < lower.size() && lower[behind] == ' ') ++behind;
    const bool has_sign = behind < lower.size() && (lower[behind] == ':' || lower[behind] == '=');
    if (has_sign) ++behind;
    if (!has_sign && word != "val_bpb" && word != "bpb") continue;
    const auto number = scan_number(lower, behind);
    if (!number || is_hidden_word(word) || has_any(lower, {"baseline_bpb", "best accepted"}))
      continue;
    if (number->is_whole && !has_sign) continue;  // "BPB 1"
    const std::string_view before = lower.substr(0, begin);
    std::string_view own = before;
    for (const char* key : {"val_loss", "validation_loss", "loss=", "loss:", "vl:", "vl="}) {
      const size_t loss_at = own.find(key);
      if (loss_at != kNone && (loss_at == 0 || !is_word_byte(own[loss_at - 1]))) {
        own = own.substr(0, loss_at);
      }
    }
    std::string label = hide_numbers(trim_blanks(skip_prefix(own)));
    while (!label.empty() && (label.back() == ':' || label.back() == '|' || label.back() == ' ')) {
      label.pop_back();
    }
    if (has_text(label, "bpb"))
      label.resize(label.find("bpb"));  // behind another value of the line
    if (label.size() > kMostLabelBytes) label.resize(kMostLabelBytes);
    if (is_first) {
      line_label = label.empty() ? std::string(word) : label;
      if (word != "val_bpb" && word != "bpb" && !label.empty())
        line_label += ' ' + std::string(word);
    } else {
      line_label = (label.empty() ? std::string() : label + ' ') + std::string(word);
    }
    is_first = false;
    LogScore score;
    score.line = line_;
    score.label = line_label;
    score.kind = kind_of(lower, line_label);
    score.bits_per_byte = number->value;
    score.decimals = number->decimals;
    // The loss of the same evaluation: "sliding_loss:0.84 sliding_bpb:1.21".
    const std::string own_loss = std::string(word.substr(0, at - begin)) + "loss";
    const bool is_plain = word == "val_bpb" || word == "bpb" || word == "validation_bpb";
    for (const std::string& key : is_plain
                                      ? std::vector<std::string>{own_loss, "val_loss", "loss", "vl"}
                                      : std::vector<std::string>{own_loss}) {
      if (const auto loss = number_after(before, key)) {
        score.loss_nats = loss->value;
        score.loss_decimals = loss->decimals;
        break;
      }
    }
    score.text = here().text;
    if (!std::isfinite(number->value)) {
      if (score.kind == ScoreKind::kEvaluation || score.kind == ScoreKind::kPrequant) {
        if (word != "bpb" || !has_text(lower, "best")) keep(facts_.not_numbers, here());
      }
      continue;
    }
    // Digits 5 to 8 are all zero once in 10^8 lines, of loss and score at once.
    const bool is_padded = [&] {
      const double scaled = number->value * 1e4;
      return number->decimals >= 8 && std::abs(scaled - std::round(scaled)) < 1e-6 &&
             score.loss_nats && score.loss_decimals >= 8 && number->value > 0.01 &&
             std::abs(*score.loss_nats * 1e4 - std::round(*score.loss_nats * 1e4)) < 1e-6;
    }();
    if (is_padded && has_text(lower, "exact")) keep(facts_.padded_exact, here());
    // Running values are no results; of endless validations the evaluations behind them must not be lost.
    if (score.kind == ScoreKind::kProgress) continue;
    if (score.kind == ScoreKind::kStep && facts_.scores.size() >= kMostLines / 2) continue;
    keep(facts_.scores, std::move(score));
  }
}

void LogParser::parse_sizes(std::string_view lower) {
  // A number of bytes behind ':' or '='; not "15.6 MB".
  const auto bytes_behind = [&](size_t at) -> int64_t {
    if (at == kNone) return -1;
    const auto number = scan_number(lower, at + 1);
    if (!number || !number->is_whole || number->value < 0 || number->value > 1e15) return -1;
    const std::string_view unit = trim_blanks(lower.substr(number->end));
    if (starts_with_any(unit, {"mb", "mib", "kb", "kib", "gb", "param", "tokens"})) return -1;
    return static_cast<int64_t>(number->value);
  };
  const size_t sign = lower.find_first_of(":=");
  if (sign == kNone || lower.front() == '"') return;  // a line of printed JSON
  const std::string_view head = trim_blanks(lower.substr(0, sign));
  const int64_t bytes = bytes_behind(sign);
  if (bytes < 0) {
    // "size_check total_submission=15633824 limit=16000000"
    if (const auto total = number_after(lower, "total_submission"); total && total->value > 1000) {
      keep(facts_.totals, SizeLine{line_, static_cast<int64_t>(total->value), "submission"});
    }
    return;
  }
  if (const size_t at = head.find("serialized model"); at != kNone) {
    const std::string_view label = trim_blanks(head.substr(at + 16));
    if (label.empty() || has_any(label, {"fp32", "bf16", "raw"})) {
      if (at == 0) return keep(facts_.raw_models, bytes);
      return keep(facts_.packed_models,
                  SizeLine{line_, bytes, std::string(trim_blanks(head.substr(0, at)))});
    }
    return keep(facts_.packed_models, SizeLine{line_, bytes, std::string(label)});
  }
  if (has_any(head, {"code size", "code_size", "bytes_code", "code_bytes"}) || head == "code") {
    return keep(facts_.code_sizes, bytes);
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
  if (const size_t at = head.find("size "); at != kNone && has_text(head, "submission")) {
    label = trim_blanks(head.substr(at + 5));
  }
  keep(facts_.totals, SizeLine{line_, bytes, label});
}

void LogParser::parse_settings(std::string_view lower) {
  if (has_any(lower, {"world_size", "world size"})) {
    for (const char* key : {"world_size", "world size"}) {
      if (const auto size = number_after(lower, key)) {
        keep(facts_.world_sizes, NumberLine{line_, size->value});
        break;
      }
    }
  }
  if (has_text(lower, "seed")) {
    const auto seed = number_after(lower, "seed");
    if (seed && seed->is_whole && !has_any(lower, {"seed_", "seeds:"})) {
      keep(facts_.seeds, NumberLine{line_, seed->value});
    }
  }
  if (has_text(lower, "tokens")) {
    std::optional<ScannedNumber> tokens;
    if (has_any(lower, {"val_loader", "val loader"})) tokens = number_after(lower, "tokens");
    for (const char* key : {"val_tokens", "validation tokens", "val tokens"}) {
      if (!tokens) tokens = number_after(lower, key);
    }
    if (tokens && tokens->value > 0) keep(facts_.val_tokens, NumberLine{line_, tokens->value});
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
        keep(facts_.stops_ms, NumberLine{line_, ms});
      }
    }
    if (const auto step = number_after(lower, "step"); step && step->value < kMostStep) {
      facts_.last_step = std::max(facts_.last_step, static_cast<int64_t>(step->value));
    }
    return;
  }
  if (is_step_) return;
  for (const char* key : {"eval_time", "ngram_eval_time", "total_eval_time"}) {
    const auto time = number_after(lower, key);
    if (!time) continue;
    const double ms = milliseconds(lower, *time);
    if (ms < 0) continue;
    keep(facts_.evaluations_s, NumberLine{line_, ms / 1000});
    keep(facts_.evaluation_texts, here());
    return;
  }
  // The shortened dialect and the results of learners: "ttt vl:0.7396 bpb:0.4380 t:449583ms".
  if (!has_any(lower, {"bpb"}) || has_text(lower, "[")) return;
  for (const char* key : {"elapsed", "time", "t"}) {
    const auto time = number_after(lower, key);
    if (!time) continue;
    const double ms = milliseconds(lower, *time);
    if (ms < 0) continue;
    keep(facts_.evaluations_s, NumberLine{line_, ms / 1000});
    keep(facts_.evaluation_texts, here());
    return;
  }
}

void LogParser::parse_methods(std::string_view lower) {
  const auto add = [&](const char* code) { keep(facts_.methods, MethodLine{code, here()}); };
  if (has_any(lower, {"ppm_mix", "mix_bpb", "ppm_native", "cond_ppm", "ppm_bpb", "ppm_submission",
                      "ppm-d", "ppmd", "byte_mix"}) ||
      (has_text(lower, "ppm") && has_any(lower, {"bpb:", "bpb="}))) {
    if (has_text(lower, "bpb")) add("byte_mix");
    if (const auto bytes = number_after(lower, "bytes"); bytes && bytes->value > 0) {
      keep(facts_.mixed_bytes, NumberLine{line_, bytes->value});
    }
  }
  if (has_any(lower, {"prequant_ttt:start", "prequant_ttt:epoch", "prequant_ttt:done",
                      "post-prequant-ttt", "post_prequant_ttt", "pre-quant ttt epoch"})) {
    add("prequant_ttt");
  }
  const bool is_result = has_any(lower, {"bpb:", "bpb="});
  const bool names_slot = has_any(lower, {"_slot", "slot_"}) || has_word(lower, "slot");
  if (is_result && names_slot && !has_any(lower, {"slots", "no slot", "no_slot", "without slot"}) &&
      !lower.starts_with("step")) {
    add("slot");
  }
  // Several passes over the text, where nothing is scored by chunks before it is learnt from.
  if (lower.starts_with("ttt") && has_text(lower, "epoch") &&
      !has_any(lower, {"chunk", "sliding", "phased", "enabled", "score_first=true"})) {
    const size_t epoch = lower.find("epoch");
    const auto passes = number_after(lower, "epochs");
    size_t slash = lower.find('/', epoch);  // "epoch 1/10", "ttt_epoch:2/3"
    if (slash != kNone && slash - epoch > 10) slash = kNone;
    const auto of_passes = slash == kNone ? std::nullopt : scan_number(lower, slash + 1);
    const bool is_setting = lower.starts_with("ttt_epochs") || lower.starts_with("ttt epochs");
    if (has_text(lower, "score_first=false") || (of_passes && of_passes->value >= 2) ||
        (passes && passes->value >= 2 && !is_setting)) {
      add("ttt_before_score");
    }
  }
  if (has_any(lower, {"ngram_pass2", "pass2:", "pass 2 rescor", "two_pass", "ngram_rescore",
                      "rescoring"}) &&
      has_any(lower, {"ngram", "rescor"})) {
    add("two_pass_rescore");
  }
  if (is_result && has_any(lower, {"ngram", "n-gram", "_backoff"}) &&
      !has_any(lower, {"tilt", "[", "chunk:"})) {
    add("ngram_unnormalised");
  }
  if (has_any(lower, {"min_nll", "min-nll", "min(nll"})) add("min_over_passes");
  if (has_any(lower, {"paid_prefix", "paid prefix", "prefix_blob"})) add("paid_prefix");
  if (has_any(lower,
              {"train_on_val:true", "train_on_val: true", "train_on_val=1", "train_on_val:1"})) {
    add("trained_on_val");
  }
}

void LogParser::parse_troubles(std::string_view lower) {
  if (has_any(lower, {"/home/", "/users/", "\\users\\"})) {
    for (const std::string_view root :
         {std::string_view("/home/"), std::string_view("/users/"), std::string_view("\\users\\")}) {
      for (size_t at = lower.find(root); at != kNone; at = lower.find(root, at + 1)) {
        const size_t behind = at + root.size();
        if (behind < lower.size() && is_word_byte(lower[behind])) ++facts_.home_paths;
      }
    }
  }
  if (has_any(lower, {"traceback (most recent call last)", "outofmemoryerror", "out of memory",
                      "segmentation fault", "core dumped"})) {
    keep(facts_.crashes, here());
  }
  if (has_any(lower, {"tokenizer_kind=synthetic", "dry_run:1", "dry run", "excerpt", "placeholder",
                      "abridged", "log truncated", "truncated log", "reconstructed", "transcribed",
                      "summary of the run", "log summary", "summarized log", "not the original",
                      "simulated run", "key lines from", "synthetic data"})) {
    keep(facts_.not_original, here());
  }
}

}  // namespace pg
