// `train_gpt eval`: the score of an artifact, and two published numbers that are none.
#include <fmt/format.h>

#include "eval/diagnosis/published_diagnosis.h"
#include "eval/score.h"
#include "harness/command/commands.h"
#include "harness/command/rank_steps.h"
#include "harness/command/scoring_session.h"
#include "harness/record/progress_line.h"
#include "harness/record/run_result.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

struct EvalWords {
  ScoringWords scoring;
  int64_t pretrain_epochs = 0;   // on the validation text: no score, a diagnosis
  bool published_mixer = false;  // PR #1033's n-gram cache: no score, a diagnosis
  int64_t ranks = 0;             // 0: as this process was started, else one
};

std::vector<Option> list_options(EvalWords& w) {
  return list_scoring_options(
      w.scoring,
      {{.name = "--diagnose-pretraining",
        .value = &w.pretrain_epochs,
        .help = "train N epochs on the text first, by the recipe's [ttt], and report what that "
                "hides; not a score",
        .range = OptionRange{1, 1000}},
       {.name = "--diagnose-published-mixer",
        .value = &w.published_mixer,
        .help = "what PR #1033's n-gram cache reports, and why that is no score"},
       {.name = "--fast",
        .value = &w.scoring.is_fast,
        .help = "on the recipe's own device, in bf16 where the machine has it: quicker, and an "
                "approximation"},
       {.name = "--ranks",
        .value = &w.ranks,
        .help =
            "ranks that score together in this process, a share of its threads each; mpirun and "
            "srun start them as processes",
        .range = OptionRange{1, 4096}}});
}

void print_contaminated(const ContaminatedLoss& loss) {
  fmt::print(
      "not a score: trained on the text it reports on: {:.8f} bits per byte after {} epochs "
      "(tokens:{} bytes:{} train_time:{:.0f}ms eval_time:{:.0f}ms)\n",
      loss.contaminated_bits_per_byte, loss.epochs, loss.tokens, loss.bytes, loss.train_s * 1e3,
      loss.eval_s * 1e3);
}

void print_published(const PublishedDiagnosis& d) {
  fmt::print("not a score: the published n-gram cache claims {:.4f} bits per byte\n",
             d.claimed_bits_per_byte);
  fmt::print("its 'probabilities' sum to {:.1f} over the vocabulary, mean of {} targets\n",
             d.sum_over_vocabulary, d.sampled_tokens);
  fmt::print("the same counts, normalised: {:.4f} bits per byte; the network alone: {:.4f}\n",
             d.normalised_bits_per_byte, d.network_bits_per_byte);
  fmt::print(
      "on uniform random tokens it claims {:.3f} bits a token, {:.3f} in the last tenth, where any "
      "code needs 10 at 1024 tokens; sum {:.1f}; normalised {:.2f} +- {:.2f}\n",
      d.random.claimed_bits, d.random.claimed_bits_late, d.random.sum_over_vocabulary,
      d.random.normalised_bits, d.random.standard_error);
}

// The score on rank 0; a process without it takes its part in it.
std::optional<Score> score_on_ranks(LocalRanks& ranks, const ScoringSession& session, Clock& clock,
                                    const EvalProgressFn& progress) {
  const auto& [model, tokenizer, device, recipe, val, foreign, ttt] = session;
  ranks.run([&, &model = model, &recipe = recipe, &val = val](Comm& comm) {
    check_ranks_agree(comm, recipe,
                      {{"artifact", hex(model.artifact_sha256())},
                       {"validation data", fmt::format("{:016x}", val->fingerprint())}});
  });
  const RankScoring scoring(ranks, recipe.track.device, *val,
                            {device.get(), &tokenizer.byte_table(), &clock}, recipe.track.exchange);
  return scoring.evaluate(model, recipe.scoring(), progress);
}

void check_diagnosis_ranks(const EvalWords& words, int ranks) {
  if (ranks == 1 || !(words.published_mixer || words.pretrain_epochs > 0)) return;
  throw Error(
      fmt::format("eval: a diagnosis runs on one rank, not on \"{}\"; leave --ranks out", ranks));
}

int eval_artifact(const EvalWords& words, Clock& clock) {
  LocalRanks ranks =
      join_ranks(words.ranks, [&](int count) { check_diagnosis_ranks(words, count); });
  if (ranks.has_none()) return 0;
  const ScoringSession session = open_scoring_session(
      words.scoring, SessionText::kShards,
      "eval: no validation text or tokenizer; give --recipe, or --data and --tokenizer");
  const auto& [model, tokenizer, device, recipe, val, foreign, ttt] = session;
  const ByteTable& bytes = tokenizer.byte_table();
  if (words.published_mixer) {
    print_published(diagnose_published_mixer(model, bytes, *val, recipe.eval, *device));
    return 0;
  }
  if (words.pretrain_epochs > 0) {
    print_contaminated(diagnose_pretrained_on_val(model, bytes, *val, recipe.eval, ttt,
                                                  words.pretrain_epochs, *device, clock));
    return 0;
  }
  ProgressLine progress = ProgressLine::for_stream(stderr);
  ScoringProgress scoring(progress);
  const std::optional<Score> scored =
      score_on_ranks(ranks, session, clock, [&](const EvalProgress& p) { scoring.show(p); });
  ranks.leave();
  if (!scored) return 0;  // rank 0 tells
  const Score& score = *scored;
  progress.finish();
  fmt::print(
      "val_loss:{:.8f} val_bpb:{:.8f} tokens:{} bytes:{} documents:{} context:{} stride:{} "
      "windows:{}{} eval_time:{:.0f}ms{}{}{}\n",
      score.loss_nats(), score.bits_per_byte(), score.tokens(), score.bytes(), score.documents(),
      recipe.eval.context, recipe.eval.stride, choice_name(recipe.eval.windows),
      score.documents_at_once() > 1 ? fmt::format(" at_once:{}", score.documents_at_once()) : "",
      score.eval_s() * 1e3, device->name() == kExactDevice ? "" : " APPROXIMATE",
      foreign.empty() ? "" : " NOT THE ARTIFACT'S OWN SCORING",
      score.is_over_budget() ? " OVER BUDGET" : "");
  if (!foreign.empty()) {
    progress.warn(
        fmt::format("not the artifact's own scoring: {}; no record may state it", foreign));
  }
  if (score.is_over_budget()) progress.warn(describe_over_budget(score));
  return 0;
}

}  // namespace

Command make_eval_command() {
  return make_command<EvalWords>("eval", "score an artifact in bits per byte", list_options,
                                 eval_artifact);
}

}  // namespace pg
