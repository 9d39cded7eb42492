// Mean and deviation, recomputed from the seeds' values in submission.json.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/statistics/seed_statistics.h"
#include "harness/verify/rules.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

// Means of values that were rounded before, and deviations of them, as people write them down.
constexpr double kRoundedTwice = 2e-5, kRoundedShare = 0.025;

struct SeedValues {
  std::vector<double> values;
  int decimals = 17;  // the fewest
};

SeedValues collect(const SubmissionFacts& json) {
  SeedValues seeds;
  for (const SeedEntry& entry : json.seed_entries()) {
    if (entry.bits_per_byte == nullptr) continue;
    if (entry.bits_per_byte->kind == JsonKind::kNumber) {
      seeds.values.push_back(entry.bits_per_byte->number);
      seeds.decimals = std::min(seeds.decimals, entry.bits_per_byte->decimals);
    } else if (const auto number = scan_number(entry.bits_per_byte->text, 0)) {
      seeds.values.push_back(number->value);
      seeds.decimals = std::min(seeds.decimals, number->decimals);
    }
  }
  return seeds;
}

void check_mean(const RecordFacts& facts, const SeedValues& seeds, std::vector<Finding>& findings) {
  if (!facts.stated || facts.stated->entry->path.front() != "val_bpb") return;
  const Spread spread = spread_of(seeds.values);
  const double off = half_unit(facts.stated->decimals) + half_unit(seeds.decimals);
  if (std::abs(facts.stated->value - spread.mean) <= off + kRoundedTwice) return;
  if (std::abs(facts.stated->value - spread.least) <= off) return;
  findings.push_back(
      {"mean_mismatch", Severity::kWarn, "submission.json", facts.stated->entry->line,
       fmt::format("{} {}; mean of the seeds {:.6f}", facts.stated->entry->path.front(),
                   facts.stated->entry->text, spread.mean)});
}

void check_deviation(const RecordFacts& facts, const SeedValues& seeds,
                     std::vector<Finding>& findings) {
  const JsonEntry* stated = nullptr;
  for (const char* key : {"val_bpb_std", "std_val_bpb", "val_bpb_3seed_std", "bpb_std", "std"}) {
    const JsonEntry* entry = facts.submission.find(key);
    if (stated == nullptr && entry != nullptr && entry->kind == JsonKind::kNumber) stated = entry;
  }
  if (stated == nullptr) return;
  const Spread spread = spread_of(seeds.values);
  const double sample = spread.sample_std, population = spread.population_std;
  const double error = std::max(2 * half_unit(stated->decimals), kRoundedShare * sample) +
                       1.5 * half_unit(seeds.decimals);
  if (std::abs(stated->number - sample) <= error || std::abs(stated->number - population) <= error)
    return;
  findings.push_back({"std_mismatch", Severity::kNote, "submission.json", stated->line,
                      fmt::format("{} {}; of the sample {:.8f}, of the population {:.8f}",
                                  stated->path.front(), stated->text, sample, population)});
}

}  // namespace

void check_statistics(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (!facts.submission.is_object()) return;
  const SeedValues seeds = collect(facts.submission);
  if (seeds.values.size() < 2) return;
  check_mean(facts, seeds, findings);
  check_deviation(facts, seeds, findings);
}

}  // namespace pg
