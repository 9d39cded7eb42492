// V3 to V6: what the scorer gives is a probability distribution over the vocabulary.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/audit/audit_runner.h"

namespace pg {

ProbeResult probe_vocabulary_sum(AuditRunner& runner) {
  constexpr const char* kName = "sum over the vocabulary";
  const Trace& trace = runner.base();
  int64_t asked = 0, wrong = 0, first = 0;
  double worst = 0, first_sum = 0;
  for (size_t t = 1; t < trace.targets.size(); ++t) {
    const TargetTrace& target = trace.targets[t];
    if (target.vector_hash == 0) continue;  // the ledger never came so far
    ++asked;
    const double off = std::abs(target.sum - 1.0);
    const bool is_wrong = !target.is_finite || !(off <= target.sum_tolerance);
    if (is_wrong && wrong++ == 0) first = static_cast<int64_t>(t), first_sum = target.sum;
    if (!(off <= worst)) worst = off;
  }
  if (asked == 0) return make_not_run("V3", kName, "the ledger refused the text: " + trace.refusal);
  std::string reason =
      wrong > 0 ? fmt::format("target {}: the probabilities of all tokens sum to {:.9g}", first,
                              first_sum)
                : fmt::format("{} sums over all tokens, at most {:.2g} from 1", asked, worst);
  return make_result("V3", kName, wrong == 0, std::move(reason),
                     {{"distributions", static_cast<double>(asked)},
                      {"largest_deviation", worst},
                      {"wrong_sums", static_cast<double>(wrong)}});
}

ProbeResult probe_byte_level(AuditRunner&) {
  return make_not_run("V4", "byte level",
                      "not applicable: the alphabet of the score is the tokens, see V3");
}

// An honest code gains nothing on i.i.d. uniform tokens: the product of p(token) V is a martingale
// with mean 1, so the chance that its logarithm ever exceeds g bits is at most 2^-g (Ville's
// inequality). That is sharper than three standard errors and needs no variance; both are stated.
ProbeResult probe_random_stream(AuditRunner& runner) {
  constexpr const char* kName = "random tokens";
  constexpr double kMostGainBits = 20;  // by luck once in a million audits
  const Trace trace = runner.run(runner.random_text());
  const double floor_bits = std::log2(static_cast<double>(runner.subject().vocab_size));
  double sum = 0, squares = 0, gain = 0, most_gain = 0;
  int64_t count = 0;
  for (size_t t = 1; t < trace.targets.size(); ++t) {
    if (trace.targets[t].times_scored == 0) continue;
    const double bits = trace.targets[t].bits;
    ++count;
    sum += bits;
    squares += bits * bits;
    gain += floor_bits - bits;
    most_gain = std::max(most_gain, gain);
  }
  if (count == 0) {
    return make_not_run("V5", kName, "the ledger refused random tokens: " + trace.refusal);
  }
  const auto n = static_cast<double>(count);
  const double mean = sum / n;
  const double variance = std::max(0.0, squares / n - mean * mean);
  const bool pass = trace.refusal.empty() && most_gain <= kMostGainBits;
  return make_result(
      "V5", kName, pass,
      !trace.refusal.empty()
          ? "the ledger refused random tokens: " + trace.refusal
          : fmt::format("{} uniform tokens cost {:.4f} bits each, at least {:.4f} are due", count,
                        mean, floor_bits),
      {{"tokens", n},
       {"mean_bits", mean},
       {"least_bits", floor_bits},
       {"three_standard_errors", 3 * std::sqrt(variance / n)},
       {"largest_gain_bits", most_gain}});
}

// Collisions cannot help a model that counts contexts; where larger tables make the score worse by
// more than noise, it was made of collisions.
ProbeResult probe_bucket_scaling(AuditRunner& runner) {
  constexpr const char* kName = "hash table size";
  constexpr double kLoss = 0.02;  // of the bits; smoothing by chance collisions stays below
  if (!runner.subject().make_resized) {
    return make_not_run("V6", kName, "not applicable: no hash table to resize");
  }
  if (const auto refused = need_base(runner, "V6", kName)) return *refused;
  const auto large = runner.subject().make_resized(runner.options().size_factor);
  const Trace trace = runner.run(*large, runner.text());
  if (!trace.refusal.empty()) {
    return make_result("V6", kName, false, "the ledger refused larger tables: " + trace.refusal);
  }
  double sum = 0, squares = 0;
  const auto n = static_cast<double>(runner.size() - 1);
  for (size_t t = 1; t < trace.targets.size(); ++t) {
    const double worse = trace.targets[t].bits - runner.base().targets[t].bits;
    sum += worse;
    squares += worse * worse;
  }
  const double mean = sum / n;
  const double error = std::sqrt(std::max(0.0, squares / n - mean * mean) / n);
  const double base_bits = runner.base().totals.bits / n;
  const bool pass = mean <= kLoss * base_bits || mean <= 3 * error;
  return make_result("V6", kName, pass,
                     fmt::format("tables {} times as large: {:+.4f} bits a token, from {:.4f}",
                                 runner.options().size_factor, mean, base_bits),
                     {{"size_factor", static_cast<double>(runner.options().size_factor)},
                      {"bits_per_token", base_bits},
                      {"difference", mean},
                      {"standard_error", error}});
}

}  // namespace pg
