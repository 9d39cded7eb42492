// Recipe keys of evaluation.
#pragma once
#include <cstdint>

#include "src/base/field.h"

namespace pg {

enum class Windows : uint8_t { kStream, kDocument };
template <>
inline constexpr auto kChoiceNames<Windows> = name_choices("stream", "document");

struct EvalConfig {
  int64_t context = 2048;
  int64_t stride = 64;
  Windows windows = Windows::kStream;
  int64_t batch_tokens = 8192;
  double wallclock_s = 600.0;
  double exact_share = 0.8;
  // <parts>
  double temperature = 1.0;
  bool case_ops = false;
  // </parts>
};

// clang-format off
// <parts>
template <class Config, class Visit>
void visit_window_part_fields(Config& c, Visit&& visit) {
  const auto scoring = affecting(Affects::kScoring, visit);
  scoring("temperature", c.temperature, {.min = 0.01, .max = 100,
      .help = "the network's log probabilities are divided by it and normalised anew (PR #1033: 0.98)"});
  scoring("case_ops", c.case_ops, {.env = "CASEOPS_ENABLED",
      .help = "the tokenizer has the operators of the case transform: bytes are those of the text "
      "before it, and the validation shards have byte side files"});
}
// </parts>
// What an artifact stores of them: which window scores a token.
template <class Config, class Visit>
void visit_window_fields(Config& c, Visit&& visit) {
  const auto scoring = affecting(Affects::kScoring, visit);
  scoring("context", c.context, {.min = 1, .max = 1 << 20, .unit = "tokens", .env = "EVAL_SEQ_LEN",
      .help = "tokens of a scoring window"});
  scoring("stride", c.stride, {.min = 1, .max = 1 << 20, .unit = "tokens", .env = "EVAL_STRIDE",
      .help = "tokens by which the window slides; at most context, which means no overlap"});
  scoring("windows", c.windows, {
      .help = "stream: windows reach back over document starts; document: they do not"});
  // <parts>
  visit_window_part_fields(c, visit);
  // </parts>
}

template <class Config, class Visit>
void visit_eval_fields(Config& c, Visit&& visit) {
  visit_window_fields(c, visit);
  const auto scoring = affecting(Affects::kScoring, visit);
  scoring("batch_tokens", c.batch_tokens, {.min = 1, .max = 1 << 24, .unit = "tokens",
      .help = "tokens of the windows scored in one forward pass; with ttt.by_document and adapters anew "
      "for each, of so many documents side by side"});
  scoring("wallclock_s", c.wallclock_s, {.min = 0, .max = 1e7, .unit = "s",
      .help = "evaluation budget; a score that took longer is marked as over it; 0: none"});
  scoring("exact_share", c.exact_share, {.min = 0, .max = 1,
      .help = "part of the budget within which the whole text must be scored exactly to be coded; "
      "else what an eighth of that is enough for is, and the fast device meters the whole"});
}
// clang-format on

}  // namespace pg
