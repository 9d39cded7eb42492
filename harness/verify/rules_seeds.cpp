// Seeds: how many, how far apart, and whether each one's values stand in its log.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/verify/rules.h"
#include "harness/verify/score_match.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr size_t kSeeds = 3;
constexpr double kSpread = 0.01, kBestUnderMean = 1e-4;

void check_count(const RecordFacts& facts, std::vector<Finding>& findings) {
  std::set<std::string> seeds;
  for (const LogFacts& log : facts.logs) {
    const bool is_scored = std::any_of(log.scores.begin(), log.scores.end(), [](const LogScore& s) {
      return s.kind == ScoreKind::kEvaluation || s.kind == ScoreKind::kPrequant;
    });
    if (!is_scored) continue;
    for (std::string& seed : facts.seeds_of(log)) seeds.insert(std::move(seed));
  }
  if (seeds.size() >= kSeeds) return;
  findings.push_back(
      {"few_seeds", Severity::kWarn, "", 0,
       fmt::format("distinct seeds with a final score: {}",
                   seeds.empty() ? "none named" : fmt::format("{}", fmt::join(seeds, ",")))});
}

void check_spread(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (facts.seed_scores.size() < 2 || !facts.seed_scores.front().is_comparable) return;
  const auto [low, high] = std::minmax_element(
      facts.seed_scores.begin(), facts.seed_scores.end(),
      [](const SeedClaim& a, const SeedClaim& b) { return a.bits_per_byte < b.bits_per_byte; });
  const double spread = high->bits_per_byte - low->bits_per_byte;
  if (spread <= kSpread) return;
  std::string values;
  for (const SeedClaim& score : facts.seed_scores) {
    values +=
        fmt::format("{}{}: {:.5f}", values.empty() ? "" : ", ", score.seed, score.bits_per_byte);
  }
  findings.push_back(
      {"seed_spread", Severity::kWarn, "", 0,
       fmt::format("final scores differ by {:.4f} between seeds: {}", spread, values)});
}

// Whether the stated score is the lowest of these and lies under their mean.
bool is_best_stated(const StatedNumber& stated, const std::vector<double>& values) {
  if (values.size() < 2) return false;
  double sum = 0;
  for (const double value : values) sum += value;
  const double lowest = *std::min_element(values.begin(), values.end());
  const bool is_lowest = is_equal_to_digits(stated.value, stated.decimals, lowest, 17) ||
                         std::abs(stated.value - lowest) <= kBestUnderMean / 2;
  return is_lowest && sum / static_cast<double>(values.size()) - stated.value > kBestUnderMean;
}

void check_best(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (!facts.stated) return;
  // By the evaluation that all seeds have, or by what each log ends in.
  std::vector<double> values, finals;
  for (const SeedClaim& score : facts.seed_scores) values.push_back(score.bits_per_byte);
  for (const size_t i : facts.distinct_logs) {
    const LogScore* last = last_evaluation(facts.logs[i]);
    if (last != nullptr) finals.push_back(last->bits_per_byte);
  }
  if (!is_best_stated(*facts.stated, values)) values = finals;
  if (!is_best_stated(*facts.stated, values)) return;
  std::sort(values.begin(), values.end());
  findings.push_back({"best_seed_stated", Severity::kNote, "submission.json",
                      facts.stated->entry->line,
                      fmt::format("val_bpb {} is the lowest of {:.5f}", facts.stated->entry->text,
                                  fmt::join(values, ", "))});
}

void check_values(const RecordFacts& facts, std::vector<Finding>& findings) {
  for (const SeedEntry& entry : facts.submission.seed_entries()) {
    if (entry.bits_per_byte == nullptr) continue;
    const auto stated = entry.bits_per_byte->kind == JsonKind::kString
                            ? scan_number(entry.bits_per_byte->text, 0)
                            : std::optional<ScannedNumber>();
    if (entry.bits_per_byte->kind == JsonKind::kString && !stated) continue;
    const double value = stated ? stated->value : entry.bits_per_byte->number;
    const int decimals = stated ? stated->decimals : entry.bits_per_byte->decimals;
    const std::string seed = fmt::format("{}", entry.seed);
    double nearest = 1e300;
    bool is_found = false;
    for (const LogFacts& log : facts.logs) {
      const std::vector<std::string> seeds = facts.seeds_of(log);
      if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end()) continue;
      for (const LogScore& score : log.scores) {
        if (std::abs(score.bits_per_byte - value) < std::abs(nearest - value))
          nearest = score.bits_per_byte;
        is_found =
            is_found || is_equal_to_digits(value, decimals, score.bits_per_byte, score.decimals);
      }
    }
    if (nearest > 1e299 || is_found) continue;
    findings.push_back({"seed_value_mismatch", Severity::kWarn, "submission.json",
                        entry.bits_per_byte->line,
                        fmt::format("seed {} val_bpb {} not in its log (nearest {})", entry.seed,
                                    entry.bits_per_byte->text, nearest)});
    return;
  }
}

}  // namespace

void check_seeds(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (facts.track == Track::kRecord && facts.has_evaluation()) check_count(facts, findings);
  check_spread(facts, findings);
  check_best(facts, findings);
  check_values(facts, findings);
}

}  // namespace pg
