// The probes in order, and the three that look at numbers and not at a scorer.
#include "eval/audit/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "eval/audit/audit_runner.h"

namespace pg {

std::vector<ProbeResult> audit_scorer(const AuditSubject& subject, std::span<const int32_t> text,
                                      const AuditOptions& options) {
  AuditRunner runner(subject, text, options);
  // The yardstick runs first, before any other instance can leave a trace.
  runner.base();
  std::vector<ProbeResult> results;
  const auto probes = {probe_suffix_mutation, probe_target_substitution,
                       probe_vocabulary_sum,  probe_byte_level,
                       probe_random_stream,   probe_bucket_scaling,
                       probe_state_hash,      probe_coverage,
                       probe_decode,          probe_order,
                       probe_repeat,          probe_stable_answers,
                       probe_isolation};
  for (const auto probe : probes) {
    runner.name_work(fmt::format("probe {} of {}", results.size() + 1, probes.size()));
    results.push_back(probe(runner));
  }
  return results;
}

ProbeResult probe_budget(const AuditBudget& b) {
  constexpr const char* kName = "budgets";
  const double train_s = b.train_s + b.calibration_s;
  const int64_t total_bytes = b.code_bytes + b.model_bytes;
  std::string problem;
  for (size_t i = 1; i < b.step_times_s.size() && problem.empty(); ++i) {
    if (!(b.step_times_s[i] >= b.step_times_s[i - 1])) {
      problem = fmt::format("the clock of step {} runs backwards", i);
    }
  }
  if (problem.empty() && total_bytes > b.cap_bytes) {
    problem = fmt::format("{} bytes, {} over the cap", total_bytes, total_bytes - b.cap_bytes);
  }
  if (problem.empty() && b.train_s >= 0 && !(train_s <= b.train_cap_s)) {
    problem = fmt::format("training took {:.3f} s with calibration, the cap is {:.3f}", train_s,
                          b.train_cap_s);
  }
  if (problem.empty() && b.eval_s >= 0 && !(b.eval_s <= b.eval_cap_s)) {
    problem = fmt::format("evaluation took {:.3f} s, the cap is {:.3f}", b.eval_s, b.eval_cap_s);
  }
  std::vector<ProbeMeasure> measures = {{"code_bytes", static_cast<double>(b.code_bytes)},
                                        {"model_bytes", static_cast<double>(b.model_bytes)},
                                        {"cap_bytes", static_cast<double>(b.cap_bytes)}};
  if (b.train_s >= 0) measures.push_back({"train_s", train_s});
  if (b.eval_s >= 0) measures.push_back({"eval_s", b.eval_s});
  if (!problem.empty()) return make_result("V11", kName, false, problem, std::move(measures));
  const std::string sizes = fmt::format("{} of {} bytes", total_bytes, b.cap_bytes);
  if (b.train_s < 0 || b.eval_s < 0) {
    ProbeResult result = make_not_run("V11", kName, sizes + "; times were not measured");
    result.measures = std::move(measures);
    return result;
  }
  return make_result(
      "V11", kName, true,
      fmt::format("{}; training {:.1f} s, evaluation {:.1f} s", sizes, train_s, b.eval_s),
      std::move(measures));
}

namespace {

bool is_zero(const HostTensor& tensor) {
  return std::all_of(tensor.values.begin(), tensor.values.end(), [](float v) { return v == 0.0f; });
}

// "": what stands behind the artifact's tensors adds nothing at the start: low-rank adapters are
// pairs of factors, one of which is zero.
std::string find_added_fault(std::span<const HostTensor> added) {
  for (size_t i = 0; i < added.size(); i += 2) {
    const bool has_zero = is_zero(added[i]) || (i + 1 < added.size() && is_zero(added[i + 1]));
    if (!has_zero) return fmt::format("\"{}\" is not in the artifact", added[i].spec.name);
  }
  return "";
}

// Weights whose bits differ.
int64_t count_different(const HostTensor& a, const HostTensor& b) {
  int64_t different = 0;
  for (size_t k = 0; k < a.values.size(); ++k) {
    if (std::bit_cast<uint32_t>(a.values[k]) != std::bit_cast<uint32_t>(b.values[k])) ++different;
  }
  return different;
}

}  // namespace

ProbeResult probe_weights(std::span<const HostTensor> scored,
                          std::span<const HostTensor> artifact) {
  constexpr const char* kName = "weights of the artifact";
  std::string problem;
  int64_t weights = 0, different = 0;
  if (scored.size() < artifact.size()) {
    problem = fmt::format("{} tensors are scored, {} are in the artifact", scored.size(),
                          artifact.size());
  }
  for (size_t i = 0; i < artifact.size() && problem.empty(); ++i) {
    const HostTensor &a = scored[i], &b = artifact[i];
    if (a.spec.name != b.spec.name || a.values.size() != b.values.size()) {
      problem = fmt::format("tensor \"{}\" stands where the artifact has \"{}\"", a.spec.name,
                            b.spec.name);
      break;
    }
    different += count_different(a, b);
    weights += static_cast<int64_t>(b.values.size());
    if (different > 0) problem = fmt::format("tensor \"{}\" is not the artifact's", b.spec.name);
  }
  if (problem.empty()) problem = find_added_fault(scored.subspan(artifact.size()));
  const bool pass = problem.empty();
  if (pass) problem = fmt::format("{} weights bitwise equal to the artifact's", weights);
  return make_result(
      "V13", kName, pass, std::move(problem),
      {{"tensors", static_cast<double>(artifact.size())},
       {"weights", static_cast<double>(weights)},
       {"different", static_cast<double>(different)},
       {"added_tensors",
        static_cast<double>(scored.size() - std::min(scored.size(), artifact.size()))}});
}

Verdict combine_verdicts(std::span<const ProbeResult> probes) {
  Verdict verdict = Verdict::kNotRun;
  for (const ProbeResult& probe : probes) {
    if (probe.verdict == Verdict::kFail) return Verdict::kFail;
    if (probe.verdict == Verdict::kPass) verdict = Verdict::kPass;
  }
  return verdict;
}

}  // namespace pg
