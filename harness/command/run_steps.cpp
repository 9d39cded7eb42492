#include "harness/command/run_steps.h"

#include <fmt/format.h>

#include "harness/record/machine.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/data/corpus/corpus.h"
#include "src/model/model.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {

void check_data(const Recipe& recipe, const Tokenizer& tokenizer) {
  if (tokenizer.vocab_size() != recipe.model.vocab_size) {
    throw Error(
        fmt::format("model.vocab_size is not the tokenizer's: \"{}\"; set it to {} or give "
                    "another data.tokenizer",
                    recipe.model.vocab_size, tokenizer.vocab_size()));
  }
  check_tokenizer_of_shards(recipe.data.train_shards, tokenizer.sha256());
  check_tokenizer_of_shards(recipe.data.val_shards, tokenizer.sha256());
}

std::string check_forecast(const Recipe& recipe, const PackForecast& forecast) {
  const int64_t cap_bytes = recipe.quant.cap_bytes;
  if (forecast.least_bytes > cap_bytes) {
    throw Error(fmt::format(
        "the artifact cannot fit: at least {} bytes, {} over the cap \"{}\"; make the model "
        "smaller "
        "or raise quant.cap_bytes",
        format_thousands(forecast.least_bytes), format_thousands(forecast.least_bytes - cap_bytes),
        format_thousands(cap_bytes)));
  }
  if (forecast.likely_bytes <= cap_bytes) return {};
  if (recipe.quant.fill_cap) {
    return fmt::format(
        "the cap leaves few bits for each weight: {} bytes would be 2.5 bits each, the cap is {}; "
        "below that quantisation costs much, a smaller model is likely better",
        format_thousands(forecast.likely_bytes), format_thousands(cap_bytes));
  }
  return fmt::format(
      "the artifact will likely take {} bytes, {} over the cap of {}; this is judged from "
      "shapes alone, the progress line shows the projection from the weights",
      format_thousands(forecast.likely_bytes), format_thousands(forecast.likely_bytes - cap_bytes),
      format_thousands(cap_bytes));
}

RunFacts collect_facts(const Recipe& recipe, const Tokenizer& tokenizer, const TokenStream& train,
                       const TokenStream& val, const Device& device, const DevicePeak& peak) {
  RunFacts facts;
  facts.params = count_params(recipe.model);
  facts.train_shards = static_cast<int64_t>(train.paths().size());
  facts.train_tokens = train.size();
  facts.val_tokens = val.size();
  facts.train_fingerprint = train.fingerprint();
  facts.val_fingerprint = val.fingerprint();
  facts.tokenizer_sha256 = hex(tokenizer.sha256());
  facts.program = describe_program();
  facts.hardware = describe_hardware();
  facts.device =
      fmt::format("{}: {}, matmul {:.0f} GFLOP/s, copy {:.1f} GB/s", device.name(),
                  peak.description, peak.matmul_flops_per_s / 1e9, peak.copy_bytes_per_s / 1e9);
  facts.threads = thread_count();
  return facts;
}

ScoreLine to_score_line(const Score& score) {
  return {score.loss_nats(), score.bits_per_byte(), score.eval_s()};
}

// A disk too full for these may still hold the artifact, which is several times smaller.
void keep_weights(const RunFolder& folder, const WeightsFile& weights, RunLog& log) {
  try {
    write_weights_file(folder.weights(), weights);
  } catch (const Error& error) {
    log.warn(error.what());
  }
}

std::string describe_over_budget(const Score& score) {
  return fmt::format(
      "evaluation took {:.1f} s of {:.1f} s: the score does not count under this budget; raise "
      "eval.stride or eval.wallclock_s",
      score.eval_s(), score.budget_s());
}

void fill_result(RunResult& result, const TrainResult& trained, const Score& score,
                 const RunLog& log, const RunFolder& folder) {
  result.steps = trained.steps;
  result.tokens = trained.tokens;
  result.stop_reason = trained.stop_reason;
  result.averaging = trained.averaging;
  result.scored_tokens = score.tokens();
  result.scored_bytes = score.bytes();
  result.scored_documents = score.documents();
  result.artifact_name = folder.artifact(result.recipe.quant.matrix_bits).filename().string();
  result.command = reproduce_command(folder);
  result.curve = log.curve();
  result.times.train_s = trained.train_s;
  result.times.first_step_s = log.first_step_s();
}

// A path outside the folder the run was started in would tell of the machine and not of the run.
std::string reproduce_command(const RunFolder& folder) {
  const std::filesystem::path relative = std::filesystem::proximate(folder.path);
  const bool is_inside = !relative.empty() && relative.is_relative() && *relative.begin() != "..";
  const std::string path = (is_inside ? relative : folder.path.filename()).string();
  return fmt::format("train_gpt run {} --out {}", quote_shell(path + "/recipe.toml"),
                     quote_shell(path + "_again"));
}

EvalConfig without_overlap(EvalConfig eval) {
  eval.stride = eval.context;
  return eval;
}

double LapTimer::lap_s() {
  const double before_s = mark_s_;
  mark_s_ = clock_->now_s();
  return mark_s_ - before_s;
}

}  // namespace pg
