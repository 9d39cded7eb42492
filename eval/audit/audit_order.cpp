// V8, V10: every target once, in one ascending order, and nothing before its turn.
#include <fmt/format.h>

#include <algorithm>

#include "eval/audit/audit_runner.h"

namespace pg {
namespace {

std::vector<int64_t> count_planned(const std::vector<Chunk>& order, int64_t tokens,
                                   int64_t& outside) {
  std::vector<int64_t> times(static_cast<size_t>(tokens), 0);
  for (const Chunk& chunk : order) {
    for (int64_t t = chunk.first; t < chunk.end(); ++t) {
      if (t >= 1 && t < tokens) {
        ++times[static_cast<size_t>(t)];
      } else {
        ++outside;
      }
    }
  }
  return times;
}

// "": the plan names each of `tokens` - 1 targets once.
std::string find_plan_gap(const std::vector<Chunk>& order, int64_t tokens) {
  int64_t outside = 0;
  const std::vector<int64_t> times = count_planned(order, tokens, outside);
  for (int64_t t = 1; t < tokens; ++t) {
    if (times[static_cast<size_t>(t)] != 1) {
      return fmt::format("of {} tokens, target {} is planned {} times", tokens, t,
                         times[static_cast<size_t>(t)]);
    }
  }
  return outside == 0 ? "" : fmt::format("{} planned targets are none", outside);
}

bool is_ascending(const std::vector<Chunk>& order) {
  int64_t next = 1;
  for (const Chunk& chunk : order) {
    if (chunk.first != next || chunk.count < 1) return false;
    next = chunk.end();
  }
  return true;
}

bool are_same(const std::vector<Chunk>& a, const std::vector<Chunk>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Chunk& x, const Chunk& y) {
    return x.first == y.first && x.count == y.count;
  });
}

// "": the plan of a fresh scorer, of one asked again and of the run agree.
std::string find_plan_change(AuditRunner& runner) {
  const auto scorer = runner.subject().make_scorer();
  const std::vector<Chunk> first = scorer->plan_order(runner.size());
  if (!are_same(first, runner.base().order)) return "two fresh scorers plan different orders";
  if (!are_same(first, scorer->plan_order(runner.size()))) return "asked twice, the order differs";
  const Trace trace = runner.run(*scorer, runner.text());
  if (!are_same(first, scorer->plan_order(runner.size()))) return "a run changes the order";
  if (!trace.refusal.empty()) return "the ledger refused the order: " + trace.refusal;
  return "";
}

// The first target that a shorter text alone prices differently; 0 when none.
int64_t find_prefix_change(AuditRunner& runner, int64_t tokens) {
  const Trace prefix = runner.run(runner.text().first(static_cast<size_t>(tokens)));
  const int64_t changed = find_difference(runner.base(), prefix, tokens);
  return changed == 0 && !prefix.refusal.empty() ? tokens - 1 : changed;
}

}  // namespace

ProbeResult probe_coverage(AuditRunner& runner) {
  constexpr const char* kName = "coverage";
  const int64_t n = runner.size();
  std::string problem;
  const auto scorer = runner.subject().make_scorer();
  for (const int64_t tokens : {n, n - 1, n / 2 + 1, int64_t{2}, int64_t{3}}) {
    if (problem.empty()) problem = find_plan_gap(scorer->plan_order(tokens), tokens);
  }
  const Trace& base = runner.base();
  int64_t scored_once = 0;
  for (int64_t t = 1; t < n; ++t) {
    const int64_t times = base.targets[static_cast<size_t>(t)].times_scored;
    scored_once += times == 1 ? 1 : 0;
    if (times != 1 && problem.empty()) {
      problem = base.refusal.empty() ? fmt::format("target {} was scored {} times", t, times)
                                     : "the ledger refused the text: " + base.refusal;
    }
  }
  if (problem.empty() && base.totals.tokens != n - 1) {
    problem = fmt::format("{} targets were charged of {}", base.totals.tokens, n - 1);
  }
  std::vector<ProbeMeasure> measures = {{"targets", static_cast<double>(n - 1)},
                                        {"scored_once", static_cast<double>(scored_once)},
                                        {"bytes", static_cast<double>(base.totals.bytes)}};
  if (runner.subject().recount_bytes) {
    const int64_t recount = runner.subject().recount_bytes(runner.text());
    measures.push_back({"bytes_recounted", static_cast<double>(recount)});
    if (problem.empty() && recount != base.totals.bytes) {
      problem = fmt::format("the score is divided by {} bytes, the text has {}", base.totals.bytes,
                            recount);
    }
  }
  const bool pass = problem.empty();
  if (pass) {
    problem = fmt::format("{} targets, each scored once; {} bytes", n - 1, base.totals.bytes);
  }
  return make_result("V8", kName, pass, std::move(problem), std::move(measures));
}

ProbeResult probe_order(AuditRunner& runner) {
  constexpr const char* kName = "order";
  std::string problem;
  if (!is_ascending(runner.base().order)) problem = "the planned chunks do not ascend one by one";
  if (problem.empty()) problem = find_plan_change(runner);
  for (int64_t t = 1; t < runner.size() && problem.empty(); ++t) {
    const int64_t before = runner.base().targets[static_cast<size_t>(t)].perceived_before;
    if (before != t - 1) {
      problem =
          fmt::format("the distribution of target {} came after {} perceived targets", t, before);
    }
  }
  const std::vector<int64_t> prefixes = spread_positions(2, runner.size() - 1, 3);
  for (const int64_t tokens : prefixes) {
    if (!problem.empty()) break;
    const int64_t changed = find_prefix_change(runner, tokens);
    if (changed > 0) {
      problem = fmt::format("target {} costs another number when the text ends after {} tokens",
                            changed, tokens);
    }
  }
  const bool pass = problem.empty();
  if (pass) problem = "ascending, fixed by the length; prefixes of the text cost the same alone";
  return make_result("V10", kName, pass, std::move(problem),
                     {{"chunks", static_cast<double>(runner.base().order.size())},
                      {"prefixes", static_cast<double>(prefixes.size())}});
}

}  // namespace pg
