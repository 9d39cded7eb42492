// The stated score against the lines of the logs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "harness/verify/rules.h"
#include "harness/verify/score_match.h"
#include "harness/verify/text_scan.h"
#include "src/text/nearest_name.h"

namespace pg {
namespace {

constexpr double kNearBpb = 5e-4, kPlainTypo = 0.02;
constexpr int kTypoDigits = 4;

// Scores of the accepted records that others took over, by the folder's name.
struct PublishedScore {
  double bits_per_byte;
  std::string_view folder;
};
constexpr PublishedScore kPublished[] = {{1.2244, "NaiveBaseline"},
                                         {1.1458, "Int6_MLP3x_SmearGate_BigramHash_MuonWD_SWA"},
                                         {1.14276, "10L_Int5MLP_MuonWD04_SWA50"},
                                         {1.1271, "11L_XSA4_EMA_Int6_MLP3x_WD04"},
                                         {1.1248, "11L_XSA4_EMA_PartialRoPE_LateQAT"},
                                         {1.1233, "11L_EMA_GPTQ-lite_warmdown3500"},
                                         {1.1228, "11L_EMA_GPTQ-lite_warmdown3500"},
                                         {1.1194, "LeakyReLU_LegalTTT_ParallelMuon"},
                                         {1.1147, "ValCalib_GPTQ_XSA_BigramHash3072"},
                                         {1.06107587, "PR 1855"},
                                         {1.05855370, "PR 1953"},
                                         {1.05759252, "PR 2014"},
                                         {1.05650768, "SP8192_PR2130Base_Calib32"}};

std::string last_scores(const RecordFacts& facts) {
  std::string list;
  for (const size_t i : facts.distinct_logs) {
    const LogScore* last = last_evaluation(facts.logs[i]);
    if (last == nullptr || list.size() > 120) continue;
    list += fmt::format("{}{:.5f}", list.empty() ? "" : ", ", last->bits_per_byte);
  }
  return list;
}

// A digit that is wrong, missing, doubled or swapped: "0.1179" for 1.1179.
bool is_mistyped(double stated, double measured) {
  if (std::abs(stated - measured) < kPlainTypo) return false;
  const std::string a = fmt::format("{:.{}f}", stated, kTypoDigits);
  const std::string b = fmt::format("{:.{}f}", measured, kTypoDigits);
  if (edit_distance(a, b) <= 1) return true;
  for (const double power : {10.0, 100.0, 0.1, 0.01}) {
    if (std::abs(stated * power - measured) < 2e-4 * std::max(1.0, measured)) return true;
  }
  return false;
}

void check_typo(const RecordFacts& facts, const StatedNumber& stated,
                std::vector<Finding>& findings) {
  std::vector<double> measured;
  double sum = 0;
  for (const SeedClaim& score : facts.seed_scores) {
    measured.push_back(score.bits_per_byte);
    sum += score.bits_per_byte;
  }
  if (measured.size() > 1) measured.push_back(sum / static_cast<double>(measured.size()));
  for (const double value : measured) {
    if (!is_mistyped(stated.value, value)) continue;
    findings.push_back({"json_value_typo", Severity::kReject, "submission.json", stated.entry->line,
                        fmt::format("\"{}\": {}, where the logs have {:.4f}",
                                    stated.entry->path.front(), stated.entry->text, value)});
    return;
  }
}

bool is_any_score(const RecordFacts& facts) {
  return std::any_of(facts.logs.begin(), facts.logs.end(),
                     [](const LogFacts& log) { return !log.scores.empty(); });
}

void check_unmatched(const RecordFacts& facts, const StatedNumber& stated,
                     std::vector<Finding>& findings) {
  const ScoreMatch& match = facts.match;
  if (stated.entry->path.front() != "val_bpb") return check_typo(facts, stated, findings);
  if (match.nearest_off > kNearBpb && is_number_in_logs(facts, stated)) {
    findings.push_back(
        {"bpb_other_line", Severity::kNote, "submission.json", stated.entry->line,
         fmt::format("val_bpb {} stands in a log, in no line that is known as a score's",
                     stated.entry->text)});
    return;
  }
  const Severity severity = match.nearest_off <= kNearBpb ? Severity::kWarn : Severity::kReject;
  findings.push_back(
      {"bpb_not_in_log", severity, "submission.json", stated.entry->line,
       fmt::format("val_bpb {}; nearest line value {} ({} in {})", stated.entry->text,
                   match.nearest, match.nearest_label, match.nearest_log)});
  check_typo(facts, stated, findings);
  if (severity != Severity::kReject) return;
  for (const PublishedScore& published : kPublished) {
    const bool is_equal =
        is_equal_to_digits(stated.value, std::max(stated.decimals, 4), published.bits_per_byte, 17);
    if (!is_equal || has_text(facts.path, published.folder)) continue;
    findings.push_back({"score_of_other_run", Severity::kReject, "submission.json",
                        stated.entry->line,
                        fmt::format("val_bpb {} is in no log here and is the published score of {}",
                                    stated.entry->text, published.folder)});
  }
}

void check_matched(const RecordFacts& facts, const StatedNumber& stated,
                   std::vector<Finding>& findings) {
  const ScoreMatch& match = facts.match;
  const std::string how = match.how == ScoreMatch::How::kMean
                              ? fmt::format("mean of {} logs", match.logs.size())
                              : std::string("a single line");
  const std::string evidence =
      fmt::format("{} {} matches {} {}; last score lines: {}", stated.entry->path.front(),
                  stated.entry->text, how, match.label, last_scores(facts));
  const LogScore* later = last_evaluation(facts.logs[match.logs.front()]);
  for (const size_t i : facts.distinct_logs) {
    if (later == nullptr) later = last_evaluation(facts.logs[i]);
  }
  if (match.kind != ScoreKind::kEvaluation && later != nullptr) {
    const bool differs = std::abs(later->bits_per_byte - stated.value) > 1e-4;
    if (!differs) return;
    findings.push_back(
        {"bpb_prequant_line", Severity::kWarn, "submission.json", stated.entry->line, evidence});
  } else if (!match.is_last) {
    findings.push_back(
        {"bpb_other_line", Severity::kNote, "submission.json", stated.entry->line, evidence});
  }
}

// README.md, where nothing was measured.
void check_expected(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (is_any_score(facts)) return;
  for (size_t i = 0; i < facts.readme_lower.size(); ++i) {
    const std::string& line = facts.readme_lower[i];
    const bool is_expected =
        has_text(line, "expected val_bpb") || has_text(line, "expected bpb") ||
        has_text(line, "expected score") || has_text(line, "projected val_bpb") ||
        has_text(line, "projected bpb") || has_text(line, "estimated val_bpb") ||
        has_text(line, "to be measured") || has_text(line, "estimated bpb");
    const bool is_change =
        has_text(line, "delta") || has_text(line, "gain") || has_text(line, "improve");
    if (!is_expected || is_change) continue;
    findings.push_back({"score_expected_not_measured", Severity::kReject, "README.md",
                        static_cast<int64_t>(i) + 1, facts.readme_lines[i]});
    return;
  }
}

}  // namespace

void check_scores(const RecordFacts& facts, std::vector<Finding>& findings) {
  check_expected(facts, findings);
  if (!facts.stated || !is_any_score(facts)) return;
  const StatedNumber& stated = *facts.stated;
  if (facts.match.how == ScoreMatch::How::kNone) {
    check_unmatched(facts, stated, findings);
  } else {
    check_matched(facts, stated, findings);
  }
}

}  // namespace pg
