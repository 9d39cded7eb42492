// What the runs of a suite that are there say: each arm against the base, seed by seed.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/ablate/ablation_plan.h"
#include "harness/record/seed_record.h"
#include "harness/statistics/paired_deltas.h"

namespace pg {

// What a result says of what is published. kUndecided: our delta is below the smallest visible effect, or there is no
// such effect to go by; of a visible one its sign decides.
enum class PublishedVerdict : uint8_t { kAgrees, kContradicts, kUndecided };
template <>
inline constexpr auto kChoiceNames<PublishedVerdict> = name_choices("agrees", "contradicts",
                                                                    "undecided");

struct ArmResult {
  const PlannedArm* arm = nullptr;
  std::vector<SeedRecord> runs;         // that are finished, by seed
  std::optional<Spread> bits_per_byte;  // of them
  // What it is compared with, "the base" or an arm, and the delta of the seeds that both have run, bits per
  // byte; none of the base.
  std::string reference;
  std::optional<PairedDelta> delta;
  std::vector<int64_t> delta_seeds;
  // To the base's: measured in turns, else by the runs' own clocks.
  std::optional<double> step_time_ratio;
  bool is_ratio_measured = false;
  std::optional<double> published_bpb;  // the published delta as bits per byte of this text
  std::optional<PublishedVerdict> verdict;
};

struct AblationResults {
  std::vector<ArmResult> arms;  // the base first
  const ArmResult& base() const { return arms.front(); }
  int64_t finished_runs() const;
  int64_t planned_runs() const;
};

// Of the finished runs in the suite's folder. Throws Error where a record is damaged, has other keys than planned,
// or was made of other data than the first.
AblationResults collect_results(const std::filesystem::path& folder,
                                const std::vector<PlannedArm>& plan, const StepTable& measured);

// A sentence or two on what was learnt of an arm.
std::string describe_learnt(const ArmResult& result);

// What stands in the suite's folder beside the runs.
std::string write_ablation_readme(const AblationSuite& suite, const AblationResults& results);
std::string write_ablation_json(const AblationSuite& suite, const AblationResults& results);
// Bars of the deltas with their error and the band in which nothing is visible.
std::string draw_ablation_bars(const AblationSuite& suite, const AblationResults& results);

}  // namespace pg
