// The values in bits per byte that a line of a log states, each with its label, its loss and what kind
// of evaluation it is.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "harness/verify/log_dialects.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr size_t kMostLabelBytes = 80;

bool is_hidden_word(std::string_view word) {
  // Values that are no score of this run.
  return has_any(word, {"baseline", "previous", "prev_", "target", "delta", "gain", "improve",
                        "sota", "metered", "_std", "gap", "std_"});
}

}  // namespace

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
  for (size_t at = lower.find("bpb"); at != kNotFound; at = lower.find("bpb", at + 3)) {
    size_t begin = at, end = at + 3;
    while (begin > 0 && is_word_byte(lower[begin - 1])) --begin;
    while (end < lower.size() && is_word_byte(lower[end])) ++end;
    const std::string_view word = lower.substr(begin, end - begin);
    size_t behind = end;
    if (behind < lower.size() && lower[behind] == '"') ++behind;
    if (lower.substr(behind).starts_with(" (")) {  // "Quantized BPB (no XSA): 1.03"
      const size_t close = lower.find(')', behind);
      if (close != kNotFound && close - behind < 24) behind = close + 1;
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
      if (loss_at != kNotFound && (loss_at == 0 || !is_word_byte(own[loss_at - 1]))) {
        own = own.substr(0, loss_at);
      }
    }
    std::string label = hide_numbers(trim_blanks(skip_line_head(own)));
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
        if (word != "bpb" || !has_text(lower, "best")) keep_line(facts_.not_numbers, here());
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
    if (is_padded && has_text(lower, "exact")) keep_line(facts_.padded_exact, here());
    // Running values are no results; of endless validations the evaluations behind them must not be lost.
    if (score.kind == ScoreKind::kProgress) continue;
    if (score.kind == ScoreKind::kStep && facts_.scores.size() >= kMostLines / 2) continue;
    keep_line(facts_.scores, std::move(score));
  }
}

}  // namespace pg
