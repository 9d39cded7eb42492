// The score of a record: exact and coded, as far as that fits the evaluation budget.
#pragma once
#include <functional>
#include <optional>

#include "harness/command/rank_scoring.h"
#include "harness/recipe/recipe.h"
#include "harness/record/run_result.h"
#include "src/base/bytes.h"

namespace pg {

struct FinalScore {
  ScoreLine line;   // the headline: the file's length, or of a longer text the fast device's bits
  CodedPart coded;  // what lies in the file
  Bytes file;       // val.pgt
};

// The artifact's own score of the text's first `tokens`, exact and coded: the line is of that part. Nothing in
// a process without rank 0.
std::optional<FinalScore> score_coded(const Recipe& recipe, const UnpackedModel& model,
                                      const TokenStream& val, int64_t tokens,
                                      const RankScoring& exact, const EvalProgressFn& progress);

// Scores the artifact as it says. `exact` computes on the exact device, `fast` on the recipe's. A
// pilot of some windows tells how long the whole text will take exactly: where that is at most
// eval.exact_share of the budget, the text is scored exactly and coded, and its score is the file's
// length. Else a slice of its start is; the whole text is then metered on the fast device.
// Called by every process of the ranks alike; nothing in one without rank 0.
std::optional<FinalScore> score_finally(LocalRanks& ranks, const Recipe& recipe,
                                        const UnpackedModel& model, const TokenStream& val,
                                        const RankScoring& exact, const RankScoring& fast,
                                        const EvalProgressFn& progress);

}  // namespace pg
