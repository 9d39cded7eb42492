// The logs as files and as a run's own words.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/verify/rules.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr int64_t kLongRun = 1000, kFewStepLines = 4;
constexpr int64_t kSummaryLines = 80;

// A run's own log is full of what the program says of itself; a summary by hand has results alone.
bool is_hand_written(const LogFacts& log) {
  constexpr int kPrintedDecimals = 5;  // a program prints more
  const auto is_printed = [](const LogScore& score) { return score.decimals > kPrintedDecimals; };
  if (std::any_of(log.scores.begin(), log.scores.end(), is_printed)) return false;
  return !log.scores.empty() && log.header_lines == 0 && log.stops_ms.empty() &&
         log.raw_models.empty() && log.code_sizes.empty() && !log.last_train_ms &&
         log.lines <= kSummaryLines;
}

void check_presence(const RecordFacts& facts, std::vector<Finding>& findings) {
  for (const std::string& path : facts.empty_logs) {
    findings.push_back({"log_empty", Severity::kWarn, path, 0, "0 bytes or blank"});
  }
  if (facts.logs.empty()) {
    findings.push_back({"log_missing", Severity::kReject, "", 0, "no non-empty log"});
    return;
  }
  const bool trains = std::any_of(facts.logs.begin(), facts.logs.end(), [](const LogFacts& log) {
    return log.step_lines > 0 || !log.stops_ms.empty() || log.header_lines > 1 ||
           !log.scores.empty();
  });
  if (!facts.has_evaluation()) {
    findings.push_back({"log_no_final_score", Severity::kWarn, facts.logs.front().path, 0,
                        "no evaluation line after training"});
    if (!trains) {
      findings.push_back({"log_not_training", Severity::kWarn, facts.logs.front().path, 0,
                          "no line of training, validation or evaluation"});
    }
  }
  std::map<Sha256, const LogFacts*> seen;
  for (const LogFacts& log : facts.logs) {
    const auto [first, is_new] = seen.emplace(log.sha256, &log);
    if (is_new) continue;
    findings.push_back({"log_twice", Severity::kNote, log.path, 0,
                        fmt::format("{} = {}", first->second->path, log.path)});
  }
}

void check_origin(const LogFacts& log, bool is_alone, std::vector<Finding>& findings) {
  if (!log.not_original.empty()) {
    const TextLine& says = log.not_original.front();
    const bool is_placeholder = has_text(lower_ascii(says.text), "placeholder");
    findings.push_back({"log_not_original",
                        is_placeholder && is_alone ? Severity::kReject : Severity::kWarn, log.path,
                        says.line, says.text});
  } else if (is_hand_written(log)) {
    const LogScore& score = log.scores.back();
    findings.push_back({"log_not_original", Severity::kWarn, log.path, score.line,
                        fmt::format("results and no line of a program's own: {}", score.text)});
  }
  if (log.last_step >= kLongRun && log.step_lines <= kFewStepLines) {
    findings.push_back(
        {"log_abridged", Severity::kNote, log.path, 0,
         fmt::format("run of {} steps, {} step lines in the log", log.last_step, log.step_lines)});
  }
  if (!log.padded_exact.empty()) {
    const TextLine& line = log.padded_exact.front();
    findings.push_back(
        {"log_fabricated", Severity::kReject, log.path, line.line,
         fmt::format("an exact line whose last four digits are zeros in loss and score: {}",
                     line.text)});
  }
}

void check_text(const LogFacts& log, std::vector<Finding>& findings) {
  const auto note = [&](const char* code, std::string evidence) {
    findings.push_back({code, Severity::kNote, log.path, 0, std::move(evidence)});
  };
  if (!log.crashes.empty()) {
    findings.push_back({"crash_in_log", Severity::kNote, log.path, log.crashes.front().line,
                        log.crashes.front().text});
  }
  if (!log.not_numbers.empty()) {
    findings.push_back({"nan_in_log", Severity::kWarn, log.path, log.not_numbers.front().line,
                        log.not_numbers.front().text});
  }
  if (log.escapes > 0) note("ansi_escapes", fmt::format("{} ESC", log.escapes));
  if (log.bare_returns > 0) note("carriage_returns", fmt::format("{} bare CR", log.bare_returns));
  if (log.is_utf16) {
    note("text_encoding", "utf-16");
  } else if (log.has_byte_order_mark) {
    note("text_encoding", "utf-8 with a byte order mark");
  }
  if (log.is_cut) {
    findings.push_back(
        {"log_cut", Severity::kWarn, log.path, 0,
         "the folder's logs are longer than what was read; nothing is known of the rest"});
  }
}

}  // namespace

void check_logs(const RecordFacts& facts, std::vector<Finding>& findings) {
  check_presence(facts, findings);
  bool has_home_path = false;
  for (const LogFacts& log : facts.logs) {
    check_origin(log, facts.logs.size() == 1, findings);
    check_text(log, findings);
    if (log.home_paths > 0 && !has_home_path) {
      has_home_path = true;
      findings.push_back({"abs_path", Severity::kNote, log.path, 0,
                          fmt::format("{} home-directory paths", log.home_paths)});
    }
  }
  // README.md of a record that says its result line was never printed.
  for (size_t i = 0; i < facts.readme_lower.size(); ++i) {
    const std::string& line = facts.readme_lower[i];
    const bool is_no_measurement = has_text(line, "estimate") || has_text(line, "extrapolat");
    const bool says_why = has_text(line, "died") || has_text(line, "crashed before") ||
                          has_text(line, "before printing") || has_text(line, "never printed") ||
                          has_text(line, "did not finish");
    if (is_no_measurement && says_why && has_text(line, "log")) {
      findings.push_back({"log_fabricated", Severity::kReject, "README.md",
                          static_cast<int64_t>(i) + 1, facts.readme_lines[i]});
      break;
    }
  }
}

}  // namespace pg
