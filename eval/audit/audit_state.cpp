// V7, V14, V15, V16: what a scorer's answers may depend on besides the text: nothing.
#include <fmt/format.h>

#include <algorithm>

#include "eval/audit/audit_runner.h"

namespace pg {
namespace {

// Compares with the yardstick; gives the first target that differs, in distribution or in bits.
int64_t find_change(AuditRunner& runner, const Trace& trace) {
  for (int64_t t = 1; t < runner.size(); ++t) {
    const auto i = static_cast<size_t>(t);
    const TargetTrace &a = runner.base().targets[i], &b = trace.targets[i];
    // Runs that did not ask for vectors have no hash.
    if (b.vector_hash != 0 && a.vector_hash != b.vector_hash) return t;
    if (a.bits != b.bits) return t;
  }
  return 0;
}

}  // namespace

ProbeResult probe_state_hash(AuditRunner& runner) {
  constexpr const char* kName = "state hash";
  if (const auto refused = need_base(runner, "V7", kName)) return *refused;
  const Trace trace = runner.run(runner.text(), {.hash_every = runner.options().hash_every});
  const size_t breaches = trace.hash_breaches.size();
  std::string reason =
      breaches > 0
          ? fmt::format("{} changes the state at target {}", trace.hash_breaches.front().call,
                        trace.hash_breaches.front().target)
          : fmt::format("{} hashes: the state changes {} times, only after a score", trace.hashes,
                        trace.state_changes);
  return make_result("V7", kName, breaches == 0, std::move(reason),
                     {{"hashes", static_cast<double>(trace.hashes)},
                      {"changes_after_scores", static_cast<double>(trace.state_changes)},
                      {"breaches", static_cast<double>(breaches)}});
}

ProbeResult probe_repeat(AuditRunner& runner) {
  constexpr const char* kName = "two runs";
  if (const auto refused = need_base(runner, "V14", kName)) return *refused;
  const Trace trace = runner.run(runner.text());
  const int64_t changed = find_change(runner, trace);
  return make_result("V14", kName, changed == 0,
                     changed == 0 ? "two fresh scorers agree bitwise"
                                  : fmt::format("two fresh scorers differ at target {}", changed),
                     {{"targets", static_cast<double>(runner.size() - 1)}});
}

ProbeResult probe_stable_answers(AuditRunner& runner) {
  constexpr const char* kName = "stable answers";
  if (const auto refused = need_base(runner, "V15", kName)) return *refused;
  int64_t off_vector = 0;
  for (int64_t t = 1; t < runner.size() && off_vector == 0; ++t) {
    const TargetTrace& target = runner.base().targets[static_cast<size_t>(t)];
    // Both are -log p / ln 2, perhaps with the constant on the other side of the product.
    const double slack = 1e-12 * std::max(1.0, target.bits);
    if (!(std::abs(target.bits - target.asked_bits) <= slack)) off_vector = t;
  }
  const Trace twice = runner.run(runner.text(), {.ask_twice = true});
  const Trace unasked = runner.run(runner.text(), {.ask_vectors = false});
  const int64_t on_twice = twice.answer_breaches.empty() ? find_change(runner, twice)
                                                         : twice.answer_breaches.front().target;
  const int64_t on_unasked = find_change(runner, unasked);
  std::string reason = "asked twice, in full or not at all: the same scores";
  if (off_vector > 0) {
    reason =
        fmt::format("target {} was scored with another probability than it showed", off_vector);
  } else if (on_twice > 0) {
    reason = fmt::format("asking twice changes the answer for target {}", on_twice);
  } else if (on_unasked > 0) {
    reason = fmt::format("target {} costs another number when nobody looks", on_unasked);
  }
  const bool pass = off_vector == 0 && on_twice == 0 && on_unasked == 0;
  return make_result("V15", kName, pass, std::move(reason),
                     {{"targets", static_cast<double>(runner.size() - 1)}});
}

ProbeResult probe_isolation(AuditRunner& runner) {
  constexpr const char* kName = "isolation of instances";
  if (const auto refused = need_base(runner, "V16", kName)) return *refused;
  // One instance is made before another one runs over random tokens, one after: neither may notice.
  const std::unique_ptr<Scorer> early = runner.subject().make_scorer();
  runner.run(runner.random_text());
  const Trace trace_early = runner.run(*early, runner.text());
  const Trace trace_late = runner.run(runner.text());
  const int64_t on_early = find_change(runner, trace_early),
                on_late = find_change(runner, trace_late);
  const int64_t changed = on_early > 0 ? on_early : on_late;
  return make_result("V16", kName, changed == 0,
                     changed == 0 ? "runs of other instances leave no trace"
                                  : fmt::format("an earlier run changes target {}", changed),
                     {{"targets", static_cast<double>(runner.size() - 1)}});
}

}  // namespace pg
