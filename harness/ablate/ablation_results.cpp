#include "harness/ablate/ablation_results.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "harness/record/seed_set.h"
#include "src/base/error.h"

namespace pg {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

std::vector<SeedRecord> read_runs(const fs::path& folder, const PlannedArm& arm) {
  std::vector<SeedRecord> runs;
  for (const int64_t seed : arm.seeds) {
    const fs::path run = arm_folder(folder, arm.name, seed);
    Recipe recipe = arm.recipe;
    recipe.train.seed = seed;
    if (arm.steps > 0 && is_seed_finished(run, recipe)) {
      runs.push_back(read_seed_record(run, seed, kTakeAnew));
    }
  }
  return runs;
}

void require_alike(const ArmResult& result, const SeedRecord& first) {
  for (const SeedRecord& run : result.runs) {
    const std::string other = find_other_setting(run, first);
    // An arm's keys may be about these two.
    if (other.empty() || other == "cap" || other == "way of scoring") continue;
    throw Error(fmt::format("arm \"{}\", seed {}, was run with another {} than the first run; {}",
                            result.arm->name, run.seed, other, kTakeAnew));
  }
}

std::vector<double> bits_of(const std::vector<SeedRecord>& runs) {
  std::vector<double> values;
  for (const SeedRecord& run : runs) values.push_back(run.bits_per_byte);
  return values;
}

const SeedRecord* find_seed(const ArmResult& result, int64_t seed) {
  for (const SeedRecord& run : result.runs) {
    if (run.seed == seed) return &run;
  }
  return nullptr;
}

void take_delta(ArmResult& arm, const ArmResult& reference, const ArmResult& base) {
  std::vector<double> ours, theirs;
  for (const SeedRecord& run : arm.runs) {
    const SeedRecord* same = find_seed(reference, run.seed);
    if (same == nullptr) continue;
    ours.push_back(run.bits_per_byte);
    theirs.push_back(same->bits_per_byte);
    arm.delta_seeds.push_back(run.seed);
  }
  if (!ours.empty()) arm.delta = compare_paired(ours, theirs, bits_of(base.runs));
}

// By the runs' own clocks: the mean of the ratios of pairs.
std::optional<double> ratio_of_runs(const ArmResult& arm, const ArmResult& base) {
  double sum = 0, pairs = 0;
  for (const SeedRecord& run : arm.runs) {
    const SeedRecord* same = find_seed(base, run.seed);
    if (same == nullptr || same->step_avg_ms <= 0) continue;
    sum += run.step_avg_ms / same->step_avg_ms;
    pairs += 1;
  }
  return pairs > 0 ? std::optional(sum / pairs) : std::nullopt;
}

double tokens_per_byte(const ArmResult& base) {
  double nats = 0, bits = 0;
  for (const SeedRecord& run : base.runs) {
    nats += run.loss_nats;
    bits += run.bits_per_byte;
  }
  return nats > 0 ? bits * std::numbers::ln2 / nats : 0;
}

std::optional<double> published_in_bpb(const PublishedDelta& published, double tokens_a_byte) {
  if (published.unit == DeltaUnit::kBitsPerByte) return published.delta;
  if (tokens_a_byte <= 0) return {};
  return bits_per_byte_of(published.delta, tokens_a_byte);
}

PublishedVerdict judge(const PairedDelta& delta, double published) {
  if (!delta.is_visible()) return PublishedVerdict::kUndecided;
  return published != 0 && std::signbit(delta.mean) == std::signbit(published)
             ? PublishedVerdict::kAgrees
             : PublishedVerdict::kContradicts;
}

const ArmResult& find_reference(const AblationResults& results, const AblationArm& arm) {
  for (const ArmResult& result : results.arms) {
    if (!arm.against.empty() && result.arm->name == arm.against) return result;
  }
  return results.base();
}

void compare_arm(ArmResult& result, const AblationResults& results, const StepTable& measured) {
  const AblationArm& arm = *result.arm->arm;
  const ArmResult& base = results.base();
  const ArmResult& reference = find_reference(results, arm);
  result.reference = reference.arm->is_base() ? "the base" : reference.arm->name;
  take_delta(result, reference, base);
  const auto found = measured.find(arm.name);
  result.is_ratio_measured = found != measured.end();
  result.step_time_ratio =
      result.is_ratio_measured ? std::optional(found->second.ratio) : ratio_of_runs(result, base);
  if (!arm.published) return;
  result.published_bpb = published_in_bpb(*arm.published, tokens_per_byte(base));
  if (result.delta) result.verdict = judge(*result.delta, arm.published->delta);
}

std::string describe_published(const ArmResult& result) {
  if (!result.verdict) return "";
  const PublishedDelta& published = *result.arm->arm->published;
  const std::string figure =
      fmt::format("the published {:+.4g} {}", published.delta, choice_name(published.unit));
  switch (*result.verdict) {
    case PublishedVerdict::kAgrees:
      return fmt::format(" This agrees with {} in its sign.", figure);
    case PublishedVerdict::kContradicts:
      return fmt::format(" This contradicts {}.", figure);
    case PublishedVerdict::kUndecided:
      break;
  }
  const bool would_show = result.published_bpb && result.delta->has_error() &&
                          std::abs(*result.published_bpb) > result.delta->smallest_visible;
  return fmt::format(" It decides nothing about {}{}.", figure,
                     would_show ? ", though an effect of that size would have been visible" : "");
}

OrderedJson write_delta(const ArmResult& result) {
  const PairedDelta& delta = *result.delta;
  constexpr const char* kSources[] = {"none", "pairs", "base_spread"};
  OrderedJson json;
  json["against"] = result.reference;
  json["mean_bpb"] = delta.mean;
  json["seeds"] = result.delta_seeds;
  json["per_seed_bpb"] = delta.deltas;
  json["error_from"] = kSources[static_cast<size_t>(delta.source)];
  if (delta.has_error()) {
    json["error_bpb"] = delta.error;
    json["degrees_of_freedom"] = delta.degrees_of_freedom;
    json["smallest_visible_bpb"] = delta.smallest_visible;
  }
  json["is_visible"] = delta.is_visible();
  return json;
}

OrderedJson write_arm(const ArmResult& result) {
  const PlannedArm& arm = *result.arm;
  OrderedJson json;
  json["name"] = arm.name;
  if (arm.arm != nullptr) json["sets"] = arm.arm->sets;
  json["steps"] = arm.steps;
  json["tokens"] = arm.tokens;
  json["planned_seeds"] = arm.seeds;
  json["runs"] = OrderedJson::object();
  for (const SeedRecord& run : result.runs) {
    json["runs"][fmt::format("{}", run.seed)] = {{"val_bpb", run.bits_per_byte},
                                                 {"val_loss", run.loss_nats},
                                                 {"pre_quant_val_bpb", run.pre_quant_bits_per_byte},
                                                 {"artifact_bytes", run.artifact_bytes},
                                                 {"artifact_sha256", run.artifact_sha256},
                                                 {"steps", run.steps},
                                                 {"step_avg_ms", run.step_avg_ms}};
  }
  if (result.bits_per_byte) {
    json["val_bpb"] = result.bits_per_byte->mean;
    json["val_bpb_std"] = result.bits_per_byte->sample_std;
  }
  if (result.step_time_ratio) {
    json["step_time_ratio"] = *result.step_time_ratio;
    json["step_time_ratio_is"] = result.is_ratio_measured ? "in turns" : "by the runs' clocks";
  }
  if (result.delta) json["delta"] = write_delta(result);
  if (arm.arm != nullptr && arm.arm->published) {
    const PublishedDelta& published = *arm.arm->published;
    json["published"] = {{"delta", published.delta},
                         {"unit", choice_name(published.unit)},
                         {"source", published.source}};
    if (result.published_bpb) json["published"]["delta_bpb"] = *result.published_bpb;
    if (result.verdict) json["published"]["verdict"] = choice_name(*result.verdict);
  }
  if (arm.arm != nullptr) json["learnt"] = describe_learnt(result);
  return json;
}

}  // namespace

int64_t AblationResults::finished_runs() const {
  int64_t runs = 0;
  for (const ArmResult& arm : arms) runs += std::ssize(arm.runs);
  return runs;
}

int64_t AblationResults::planned_runs() const {
  int64_t runs = 0;
  for (const ArmResult& arm : arms) runs += std::ssize(arm.arm->seeds);
  return runs;
}

AblationResults collect_results(const fs::path& folder, const std::vector<PlannedArm>& plan,
                                const StepTable& measured) {
  AblationResults results;
  const SeedRecord* first = nullptr;
  results.arms.reserve(plan.size());  // `first` points into it
  for (const PlannedArm& arm : plan) {
    ArmResult& result = results.arms.emplace_back();
    result.arm = &arm;
    result.runs = read_runs(folder, arm);
    if (result.runs.empty()) continue;
    if (first == nullptr) first = &result.runs.front();
    require_alike(result, *first);
    result.bits_per_byte = spread_of(bits_of(result.runs));
  }
  for (ArmResult& result : results.arms) {
    if (!result.arm->is_base()) compare_arm(result, results, measured);
  }
  return results;
}

std::string describe_learnt(const ArmResult& result) {
  if (result.runs.empty()) return "It has not been run.";
  if (!result.delta) return fmt::format("Of {} there is no run with its seed.", result.reference);
  const PairedDelta& delta = *result.delta;
  std::string text;
  if (delta.is_same_bits()) {
    text = fmt::format("It changes nothing: every score is that of {} to the last bit.",
                       result.reference);
  } else if (!delta.has_error()) {
    text = fmt::format(
        "{:+.4f} bits per byte against {}, one seed beside a base of one seed: whether that is "
        "chance "
        "cannot be said.",
        delta.mean, result.reference);
  } else if (!delta.is_visible()) {
    text = fmt::format(
        "It cannot be told from {}: its {:+.4f} bits per byte are below the smallest visible "
        "effect, {:.4f}.",
        result.reference, delta.mean, delta.smallest_visible);
  } else {
    text = fmt::format(
        "It is {} than {}: {:+.4f} bits per byte, beyond the smallest visible {:.4f}.",
        delta.mean < 0 ? "better" : "worse", result.reference, delta.mean, delta.smallest_visible);
  }
  return text + describe_published(result);
}

std::string write_ablation_json(const AblationSuite& suite, const AblationResults& results) {
  OrderedJson json;
  json["suite"] = suite.name;
  json["equal"] = choice_name(suite.equal);
  json["visible_level"] = kVisibleLevel;
  json["finished_runs"] = results.finished_runs();
  json["planned_runs"] = results.planned_runs();
  json["arms"] = OrderedJson::array();
  for (const ArmResult& result : results.arms) json["arms"].push_back(write_arm(result));
  return json.dump(2) + "\n";
}

}  // namespace pg
