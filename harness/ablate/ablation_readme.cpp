// README.md of a suite: the table, what was learnt arm by arm, how its figures are made.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/ablate/ablation_results.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

std::string keys_of(const AblationArm& arm) {
  std::string text;
  for (const std::string& set : arm.sets) {
    if (!text.empty()) text += ' ';
    // No backtick may end the code; a recipe's values have none.
    text += set.find_first_of("`|\n") == std::string::npos ? fmt::format("`{}`", set)
                                                           : escape_markdown(set);
  }
  return text;
}

std::string describe_equal(const AblationSuite& suite) {
  switch (suite.equal) {
    case EqualBy::kSteps:
      return fmt::format("equal steps, {} each", format_thousands(suite.steps));
    case EqualBy::kTokens:
      return fmt::format("equal tokens of text: those of {} steps of the base",
                         format_thousands(suite.steps));
    case EqualBy::kCost:
      break;
  }
  return fmt::format(
      "equal cost: {} steps of the base, and of each arm as many as its step time allows, which "
      "was "
      "measured in turns with the base's ({} times {} steps each) and then fixed in steps.json; "
      "one that "
      "rounds put on either side of the base's counts as the same",
      format_thousands(suite.steps), suite.rehearsal_rounds, suite.rehearsal_steps);
}

std::string write_base(const ArmResult& base) {
  std::string text =
      "## Base\n\n| seed | steps | bpb | before quantisation, bpb | bytes "
      "|\n|---|---|---|---|---|\n";
  for (const SeedRecord& run : base.runs) {
    text += fmt::format("| [{0}](base/seed_{0}) | {1} | **{2:.6f}** | {3:.4f} | {4} |\n", run.seed,
                        format_thousands(run.steps), run.bits_per_byte, run.pre_quant_bits_per_byte,
                        format_thousands(run.artifact_bytes));
  }
  if (base.bits_per_byte) {
    text += fmt::format("| **mean** | | {:.6f} | | |\n", base.bits_per_byte->mean);
    if (base.bits_per_byte->count > 1) {
      text +=
          fmt::format("| std, sample (n - 1) | | {:.6f} | | |\n", base.bits_per_byte->sample_std);
    }
  }
  return text;
}

// "-0.0123 ± 0.0021", the error where there is one.
std::string show_delta(const PairedDelta& delta) {
  if (delta.is_same_bits()) return "0 exactly";
  if (!delta.has_error()) return fmt::format("{:+.4f}", delta.mean);
  return fmt::format("{:+.4f} ± {:.4f}", delta.mean, delta.error);
}

std::string show_pairs(const ArmResult& result) {
  std::vector<std::string> pairs;
  for (size_t i = 0; i < result.delta_seeds.size(); ++i) {
    pairs.push_back(fmt::format("{}: {:+.4f}", result.delta_seeds[i], result.delta->deltas[i]));
  }
  return fmt::format(
      "{}{}", fmt::join(pairs, ", "),
      result.arm->arm->against.empty() ? "" : fmt::format(" against {}", result.reference));
}

std::string show_verdict(const ArmResult& result) {
  const PairedDelta& delta = *result.delta;
  const std::string than =
      result.arm->arm->against.empty() ? "" : fmt::format(" than {}", result.reference);
  if (delta.is_same_bits()) return "the same";
  if (!delta.has_error()) return "one seed";
  if (!delta.is_visible()) return "not visible";
  return fmt::format("{}{}", delta.mean < 0 ? "**better**" : "worse", than);
}

std::string write_row(const ArmResult& result) {
  const PlannedArm& arm = *result.arm;
  const bool has_run = !result.runs.empty();
  const std::string name = has_run ? fmt::format("[{}]({})", arm.name, arm.name) : arm.name;
  std::string text =
      fmt::format("| {} | {} | {} | {} ", name, keys_of(*arm.arm),
                  arm.steps > 0 ? format_thousands(arm.steps) : "",
                  arm.tokens > 0 ? format_count(static_cast<double>(arm.tokens)) : "");
  text += result.step_time_ratio ? fmt::format("| {:.2f} ", *result.step_time_ratio) : "| ";
  if (!has_run) return text + "| | | | | | | |\n";
  int64_t bytes = 0;
  for (const SeedRecord& run : result.runs) bytes = std::max(bytes, run.artifact_bytes);
  text += fmt::format("| {} | {:.6f} ", format_thousands(bytes), result.bits_per_byte->mean);
  if (!result.delta) return text + "| | | | | |\n";
  text += fmt::format(
      "| {} | {} | {} | {} ", show_pairs(result), show_delta(*result.delta),
      result.delta->has_error() ? fmt::format("{:.4f}", result.delta->smallest_visible) : "",
      show_verdict(result));
  if (!arm.arm->published) return text + "| |\n";
  const PublishedDelta& published = *arm.arm->published;
  return text + fmt::format("| {:+.4g} {}: {} |\n", published.delta, choice_name(published.unit),
                            result.verdict ? choice_name(*result.verdict) : "");
}

std::string write_arms(const AblationResults& results) {
  std::string text =
      "## Arms\n\n| arm | keys over the base | steps | tokens | step time / base | bytes | bpb | "
      "delta a seed | delta | smallest visible | verdict | published |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const ArmResult& result : results.arms) {
    if (!result.arm->is_base()) text += write_row(result);
  }
  return text + "\n![deltas](ablation.svg)\n\n";
}

std::string write_learnt(const AblationResults& results) {
  std::string text = "## What was learnt\n\n";
  for (const ArmResult& result : results.arms) {
    if (result.arm->is_base()) continue;
    const AblationArm& arm = *result.arm->arm;
    text += fmt::format("- **{}**: {}", arm.name, describe_learnt(result));
    if (!arm.note.empty()) text += fmt::format(" {}", escape_markdown(arm.note));
    if (arm.published && !arm.published->source.empty()) {
      text += fmt::format(" Published in {}.", escape_markdown(arm.published->source));
    }
    text += "\n";
  }
  return text;
}

constexpr const char* kHow =
    "## How\n\n"
    "Base and arm share seed, data order and the initial value of every parameter that both have, "
    "so a "
    "pair differs by the arm's keys alone. Delta: arm - base (or the arm that it is said to be "
    "against), bits per byte, less is better. Its "
    "error is "
    "s / sqrt(m) of m >= 2 paired deltas with sample std s; of a single pair it is sqrt(2) times "
    "the sample "
    "std of the base's seeds, what two independent runs would differ by, which pairs can only "
    "lower. "
    "Smallest visible: the error times the two-sided 5 % quantile of Student's t; a delta up to it "
    "is not told "
    "from 0. With many arms one in twenty passes it by chance alone. A published figure agrees "
    "when a visible "
    "delta has its sign, contradicts when it has not, and is undecided while nothing is visible. "
    "Step time: "
    "measured in turns where steps.json says so, else by the runs' own clocks, which saw whatever "
    "else the "
    "machine did.\n\n";

}  // namespace

std::string write_ablation_readme(const AblationSuite& suite, const AblationResults& results) {
  std::string text = fmt::format("# Ablations: {}\n\n", escape_markdown(suite.name));
  if (!suite.note.empty()) text += escape_markdown(suite.note) + "\n\n";
  text += fmt::format("{} of {} runs are finished; {}.\n", results.finished_runs(),
                      results.planned_runs(), describe_equal(suite));
  for (const ArmResult& result : results.arms) {
    if (result.runs.empty()) continue;
    text += fmt::format("Run on {}, {}.\n", escape_markdown(result.runs.front().hardware),
                        escape_markdown(result.runs.front().program));
    break;
  }
  text += fmt::format("\n{}\n{}{}\n{}", write_base(results.base()), write_arms(results),
                      write_learnt(results), kHow);
  text += "## Repeat\n\n```\ntrain_gpt ablate suite.toml --out again\ntrain_gpt replay .\n```\n";
  return text;
}

}  // namespace pg
