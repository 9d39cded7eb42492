// V1, V2: a distribution depends on the tokens before its target and on nothing else of the text.
#include <fmt/format.h>

#include "eval/audit/audit_runner.h"

namespace pg {
namespace {

// A token other than `token`, uniform over the rest.
int32_t draw_other(const CounterRng& rng, uint64_t index, int32_t token, int64_t vocab_size) {
  const auto skip = static_cast<int64_t>(rng.below(index, static_cast<uint64_t>(vocab_size - 1)));
  return static_cast<int32_t>((token + 1 + skip) % vocab_size);
}

}  // namespace

ProbeResult probe_suffix_mutation(AuditRunner& runner) {
  constexpr const char* kName = "suffix mutation";
  if (const auto refused = need_base(runner, "V1", kName)) return *refused;
  const CounterRng rng = runner.rng(1);
  const int64_t vocab = runner.subject().vocab_size;
  int64_t compared = 0, changed_cuts = 0, first_cut = 0, first_target = 0;
  const auto cuts = spread_positions(1, runner.size() - 2, runner.options().cuts);
  for (const int64_t cut : cuts) {
    std::vector<int32_t> stream(runner.text().begin(), runner.text().end());
    for (size_t i = static_cast<size_t>(cut) + 1; i < stream.size(); ++i) {
      stream[i] = draw_other(rng, (static_cast<uint64_t>(cut) << 32) + i, stream[i], vocab);
    }
    // The distribution of target cut + 1 too: all it may know is the tokens up to the cut.
    const Trace trace = runner.run(stream, {.stop_after = cut + 1});
    compared += cut + 1;
    int64_t changed = find_difference(runner.base(), trace, cut + 2);
    if (changed == 0 && !trace.refusal.empty()) changed = cut + 1;
    if (changed == 0) continue;
    if (changed_cuts++ == 0) first_cut = cut, first_target = changed;
  }
  return make_result(
      "V1", kName, changed_cuts == 0,
      changed_cuts == 0
          ? fmt::format("{} distributions bitwise equal under other tokens behind them", compared)
          : fmt::format("other tokens after {} change the distribution of target {}", first_cut,
                        first_target),
      {{"cuts", static_cast<double>(cuts.size())},
       {"distributions_compared", static_cast<double>(compared)},
       {"cuts_that_changed", static_cast<double>(changed_cuts)}});
}

ProbeResult probe_target_substitution(AuditRunner& runner) {
  constexpr const char* kName = "target substitution";
  if (const auto refused = need_base(runner, "V2", kName)) return *refused;
  const CounterRng rng = runner.rng(2);
  const int64_t vocab = runner.subject().vocab_size;
  int64_t runs = 0, changed = 0, first_target = 0;
  for (const int64_t target :
       spread_positions(1, runner.size() - 1, runner.options().substitutions)) {
    const auto t = static_cast<size_t>(target);
    for (int64_t i = 0; i < runner.options().substitutes; ++i) {
      std::vector<int32_t> stream(runner.text().begin(), runner.text().end());
      stream[t] = draw_other(rng, (static_cast<uint64_t>(target) << 32) + static_cast<uint64_t>(i),
                             stream[t], vocab);
      const Trace trace = runner.run(stream, {.stop_after = target});
      ++runs;
      if (trace.targets[t].vector_hash == runner.base().targets[t].vector_hash) continue;
      if (changed++ == 0) first_target = target;
    }
  }
  return make_result(
      "V2", kName, changed == 0,
      changed == 0
          ? fmt::format("{} replaced tokens leave their own distribution bitwise unchanged", runs)
          : fmt::format("another token at target {} changes its own distribution", first_target),
      {{"substitutions", static_cast<double>(runs)},
       {"distributions_changed", static_cast<double>(changed)}});
}

}  // namespace pg
