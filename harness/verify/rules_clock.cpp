// Clocks and hardware of the record track: 600 s of training on 8 GPUs, 600 s of evaluation.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/verify/rules.h"
#include "harness/verify/score_match.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr double kSmallOverrunMs = 601'000, kOverrunMs = 603'000;
constexpr double kGpus = 8;

void check_training(const LogFacts& log, bool is_withdrawn, std::vector<Finding>& findings) {
  const NumberLine* longest = nullptr;
  for (const NumberLine& stop : log.stops_ms) {
    if (longest == nullptr || stop.value > longest->value) longest = &stop;
  }
  if (longest == nullptr && log.last_train_ms) longest = &*log.last_train_ms;
  if (longest == nullptr || longest->value <= kTrainCapMs) return;
  const std::string evidence = fmt::format("train_time {:.0f} ms", longest->value);
  if (longest->value <= kSmallOverrunMs) {
    findings.push_back({"train_overrun_small", Severity::kNote, log.path, longest->line, evidence});
    return;
  }
  const Severity severity = is_withdrawn                   ? Severity::kNote
                            : longest->value <= kOverrunMs ? Severity::kWarn
                                                           : Severity::kReject;
  findings.push_back({"train_over_600", severity, log.path, longest->line, evidence});
}

bool has_fewer_gpus(const LogFacts& log) {
  return !log.world_sizes.empty() && log.world_sizes.front().value < kGpus;
}

// Whether the stated score rests on the evaluation in this line.
bool gives_stated_score(const RecordFacts& facts, size_t log, int64_t line) {
  const LogScore* of_line = nullptr;
  for (const LogScore& score : facts.logs[log].scores) {
    if (score.line == line) of_line = &score;
  }
  // A time of all evaluations together, or of one without a value.
  if (of_line == nullptr) return true;
  if (!facts.stated || facts.match.how == ScoreMatch::How::kNone) {
    const LogScore* last = last_evaluation(facts.logs[log]);
    return last == nullptr || last->line <= line || of_line->kind == ScoreKind::kEvaluation;
  }
  if (of_line->label == facts.match.label) return true;
  // The line before its "_exact" one, or a mean that another name was found for.
  const bool is_same_evaluation = facts.match.label.starts_with(of_line->label) ||
                                  of_line->label.starts_with(facts.match.label);
  if (is_same_evaluation) return true;
  return std::abs(of_line->bits_per_byte - facts.stated->value) < 2e-4;
}

void check_evaluation(const RecordFacts& facts, size_t i, std::vector<Finding>& findings) {
  const LogFacts& log = facts.logs[i];
  size_t longest = log.evaluations_s.size();
  for (size_t k = 0; k < log.evaluations_s.size(); ++k) {
    if (log.evaluations_s[k].value <= kEvalCapS) continue;
    if (longest == log.evaluations_s.size() ||
        log.evaluations_s[k].value >= log.evaluations_s[longest].value) {
      longest = k;
    }
  }
  if (longest == log.evaluations_s.size()) return;
  bool is_stated = false;
  for (const NumberLine& evaluation : log.evaluations_s) {
    is_stated = is_stated ||
                (evaluation.value > kEvalCapS && gives_stated_score(facts, i, evaluation.line));
  }
  const bool counts = is_stated && !has_fewer_gpus(log) && !facts.withdrawn[i];
  findings.push_back({"eval_over_600", counts ? Severity::kReject : Severity::kNote, log.path,
                      log.evaluations_s[longest].line, log.evaluation_texts[longest].text});
}

}  // namespace

void check_clock(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (facts.track != Track::kRecord) return;
  for (size_t i = 0; i < facts.logs.size(); ++i) {
    const LogFacts& log = facts.logs[i];
    check_training(log, facts.withdrawn[i], findings);
    check_evaluation(facts, i, findings);
    const auto other = std::find_if(log.world_sizes.begin(), log.world_sizes.end(),
                                    [](const NumberLine& size) { return size.value != kGpus; });
    if (other == log.world_sizes.end()) continue;
    findings.push_back({"not_8_gpus", Severity::kWarn, log.path, other->line,
                        fmt::format("world_size:{:.0f}", other->value)});
  }
}

}  // namespace pg
