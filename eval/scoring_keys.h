// How an artifact is scored, as the artifact stores it: the one place that reads and writes it.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "eval/scoring_config.h"
#include "quant/format/unpack.h"
#include "src/base/stored_keys.h"

namespace pg {

// visit(section, info, member) for every key that can change a distribution. The keys of what
// learns or mixes, while something does.
template <class Config, class Visit>
void visit_scoring_fields(Config& c, Visit&& visit) {
  visit_window_fields(c.eval,
                      [&](const FieldInfo& info, auto& member) { visit("eval", info, member); });
  // Each kind stands first in its section.
  visit_ttt_fields(c.ttt, [&](const FieldInfo& info, auto& member) {
    if (c.ttt.kind != TttKind::kNone || info.key == std::string_view("kind")) {
      visit("ttt", info, member);
    }
  });
  visit_mix_fields(c.mix, [&](const FieldInfo& info, auto& member) {
    if (c.mix.kind != MixKind::kNone || info.key == std::string_view("kind")) {
      visit("mix", info, member);
    }
  });
}

std::span<const FrozenValue> frozen_scoring_keys();

// What `seal` stores of it.
std::string write_scoring_keys(const ScoringConfig& config);
// The artifact's own scoring; `budget` says in what batches and within what time, which changes no
// distribution. Throws Error for keys that are damaged, unknown, out of range or contradict each
// other.
ScoringConfig read_scoring_keys(const std::string& keys, const EvalConfig& budget = {});
inline ScoringConfig read_scoring(const UnpackedModel& model, const EvalConfig& budget = {}) {
  return read_scoring_keys(model.scoring_keys(), budget);
}

}  // namespace pg
