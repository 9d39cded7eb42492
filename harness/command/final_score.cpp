#include "harness/command/final_score.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "eval/code/encode/text_encoder.h"
#include "eval/scoring_keys.h"
#include "harness/command/rank_steps.h"
#include "harness/record/eval_estimate.h"

namespace pg {
namespace {

constexpr int64_t kPilotBatches = 4;
constexpr double kSliceShare = 0.125;

// Tokens of the text's start that are to be scored exactly. Rank 0 decides.
int64_t choose_exact_tokens(LocalRanks& ranks, const Recipe& recipe, const UnpackedModel& model,
                            const TokenStream& val, const RankScoring& exact,
                            const ScoringConfig& own) {
  ScoringConfig pilot(own.eval);
  const int64_t windows =
      kPilotBatches * std::max<int64_t>(1, own.eval.batch_tokens / own.eval.context);
  pilot.first_tokens =
      std::min(val.size(), own.eval.context + windows * ranks.ranks() * own.eval.stride);
  const std::optional<Score> measured = exact.evaluate(model, pilot, {});
  ByteWriter decision;
  if (measured) {
    const double read_tokens =
        static_cast<double>(measured->windows()) * static_cast<double>(own.eval.context);
    const int64_t targets = val.size() - 1;
    // As a training step, of which a forward pass is a third.
    const double step_s =
        3 * measured->eval_s() / read_tokens * static_cast<double>(recipe.train.batch_tokens);
    const double whole_s = estimate_scoring_s(recipe, targets, step_s);
    const double allowed_s = recipe.eval.exact_share * recipe.eval.wallclock_s;
    const bool fits = recipe.eval.wallclock_s == 0 || whole_s <= allowed_s;
    const double part = fits ? 1 : kSliceShare * allowed_s / whole_s;
    const auto tokens = static_cast<int64_t>(part * static_cast<double>(targets)) + 1;
    // A window at least: a slice of a few tokens may stand for no bytes at all.
    const int64_t least = std::min(own.eval.context + 1, val.size());
    decision.u64(static_cast<uint64_t>(std::clamp(tokens, least, val.size())));
  }
  const Bytes shared = share_bytes(ranks, decision.take());
  return static_cast<int64_t>(ByteReader(shared).u64());
}

}  // namespace

std::optional<FinalScore> score_coded(const Recipe& recipe, const UnpackedModel& model,
                                      const TokenStream& val, int64_t tokens,
                                      const RankScoring& exact, const EvalProgressFn& progress) {
  ScoringConfig own = read_scoring(model, recipe.eval);
  own.first_tokens = tokens;
  std::vector<int32_t> text(static_cast<size_t>(tokens));
  val.read(0, text);
  TextEncoder encoder(text[0]);
  const std::optional<Score> scored = exact.evaluate(model, own, progress, encoder.hooks());
  if (!scored) return {};
  FinalScore result;
  result.file = encoder.finish(model.artifact_sha256(), text);
  result.coded = {.tokens = scored->tokens(),
                  .bytes = scored->bytes(),
                  .payload_bytes = encoder.payload_bytes(),
                  .file_bytes = static_cast<int64_t>(result.file.size()),
                  .metered_bits = scored->bits()};
  result.line = *scored;
  result.line.bits_per_byte = result.coded.bits_per_byte();
  result.line.loss_nats = result.coded.loss_nats();
  return result;
}

std::optional<FinalScore> score_finally(LocalRanks& ranks, const Recipe& recipe,
                                        const UnpackedModel& model, const TokenStream& val,
                                        const RankScoring& exact, const RankScoring& fast,
                                        const EvalProgressFn& progress) {
  ScoringConfig own = read_scoring(model, recipe.eval);
  const int64_t exact_tokens = choose_exact_tokens(ranks, recipe, model, val, exact, own);
  std::optional<FinalScore> result = score_coded(recipe, model, val, exact_tokens, exact, progress);
  if (exact_tokens == val.size()) return result;
  std::vector<double> costs(static_cast<size_t>(exact_tokens));  // whatever the order of scoring
  LedgerHooks hooks;
  hooks.on_score = [&](int64_t target, int32_t /*token*/, double bits) {
    if (target < exact_tokens) costs[static_cast<size_t>(target)] = bits;
  };
  const std::optional<Score> whole = fast.evaluate(model, own, progress, hooks);
  if (!result) return {};
  result->coded.fast_bits = std::accumulate(costs.begin(), costs.end(), 0.0);
  const double exact_s = result->line.eval_s;
  result->line = *whole;
  result->line.eval_s += exact_s;
  return result;
}

}  // namespace pg
