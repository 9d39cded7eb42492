// A suite of ablations: a base, and arms that each change a few keys of it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/field.h"

namespace pg {

// What an arm has in common with the base: optimizer steps, tokens of text read, or time by the steps' measured cost.
enum class EqualBy : uint8_t { kSteps, kTokens, kCost };
template <>
inline constexpr auto kChoiceNames<EqualBy> = name_choices("steps", "tokens", "cost");

enum class DeltaUnit : uint8_t { kBitsPerByte, kNats };
template <>
inline constexpr auto kChoiceNames<DeltaUnit> = name_choices("bpb", "nats");

// What somebody says that the arm's change does.
struct PublishedDelta {
  double delta = 0;  // less is better
  DeltaUnit unit = DeltaUnit::kBitsPerByte;
  std::string source;  // where it is said, and of what
};

struct AblationArm {
  std::string name;               // of its folder too
  std::vector<std::string> sets;  // "section.key=value", over the base
  std::string note;
  std::string against;  // the arm that it is compared with; empty: the base
  std::optional<PublishedDelta> published;
};

struct AblationSuite {
  std::string name, note;
  std::filesystem::path recipe;     // of the base
  std::vector<std::string> sets;    // over it, of base and arms
  std::vector<int64_t> seeds;       // of each arm
  std::vector<int64_t> base_seeds;  // with those of the arms
  EqualBy equal = EqualBy::kSteps;
  int64_t steps = 0;                                   // of the base
  int64_t rehearsal_steps = 20, rehearsal_rounds = 3;  // kCost: what a step's cost is measured on
  std::vector<AblationArm> arms;

  const AblationArm* find_arm(std::string_view arm) const;  // null: none
};

// In its folder.
inline constexpr const char* kSuiteName = "suite.toml";
// The name of the base among the arms.
inline constexpr std::string_view kBaseName = "base";

// Whether "section.key=value" sets what the suite itself decides: the seed, the steps and the clock.
bool is_key_of_suite(std::string_view assignment);

// Throws Error with file and line for what is no suite: a key of another name, an arm twice, a name that is no
// folder's, a seed of the arms that the base lacks, a key in `sets` that the suite itself decides.
AblationSuite read_suite(std::string_view toml, std::string_view label);

// Why runs of `before` may not be shared with `now`: "arm \"ema\" has other keys"; empty where they may. Further arms and
// seeds, notes and what is published are no reason; nor are the arms in `renewed`, whose runs are begun anew.
std::string find_suite_change(const AblationSuite& before, const AblationSuite& now,
                              const std::vector<std::string>& renewed = {});

// <folder of the suite>/<arm>/seed_<seed>: the record of a run.
std::filesystem::path arm_folder(const std::filesystem::path& suite, std::string_view arm,
                                 int64_t seed);

}  // namespace pg
