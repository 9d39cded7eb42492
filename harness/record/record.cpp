#include "harness/record/record.h"

#include <fmt/format.h>

#include "harness/recipe/recipe_identity.h"
#include "harness/record/coder_table.h"
#include "harness/record/compliance.h"
#include "harness/record/report_svg.h"
#include "harness/record/run_files.h"
#include "harness/record/score_name.h"
#include "harness/record/tape_end.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/text/json_object.h"

namespace pg {
namespace {

double step_avg_ms(const RunResult& result) {
  const int64_t steps = result.steps > 0 ? result.steps : 1;
  return result.times.train_s * 1e3 / static_cast<double>(steps);
}

JsonObject seed_result(const RunResult& result) {
  return JsonObject()
      .add("val_loss", result.score.loss_nats)
      .add("val_bpb", result.score.bits_per_byte)
      .add("pre_quant_val_bpb", result.pre_quant.diagnostic_bits_per_byte)
      .add("quantized_val_bpb", result.roundtrip.bits_per_byte)
      .add("artifact_bytes", result.pack.total_bytes)
      .add("artifact_sha256", result.artifact_sha256)
      .add("steps", result.steps)
      .add("step_avg_ms", step_avg_ms(result))
      .add("train_wallclock_ms", result.times.budgeted_train_s() * 1e3)
      .add("eval_time_s", result.times.eval_s)
      .add("val_tokens", result.score.tokens)
      .add("val_bytes", result.score.bytes);
}

}  // namespace

std::string write_submission_json(const RunResult& result) {
  const RecordConfig& record = result.recipe.record;
  const int64_t seed = result.recipe.train.seed;
  const std::vector<int64_t> seeds = {seed};
  JsonObject json;
  json.add("author", record.author).add("github_id", record.github_id);
  json.add("name", record.name).add("blurb", record.blurb);
  json.add("date", result.date).add("track", result.recipe.track.name);
  json.add("val_loss", result.score.loss_nats).add("val_bpb", result.score.bits_per_byte);
  json.add("val_bpb_is", name_score(result.recipe).line);
  json.add("val_bpb_from", result.is_exact() ? std::string("the length of val.pgt")
                                             : "bits metered on " + result.recipe.track.device);
  JsonObject coded;
  coded.add("tokens", result.coded.tokens)
      .add("text_bytes", result.coded.bytes)
      .add("payload_bytes", result.coded.payload_bytes)
      .add("file_bytes", result.coded.file_bytes)
      .add("val_bpb", result.coded.bits_per_byte())
      .add("metered_bpb", result.coded.metered_bits_per_byte());
  if (!result.is_exact()) coded.add("fast_bpb", result.coded.fast_bits_per_byte());
  json.add("coded", coded);
  json.add("seeds", seeds);
  json.add("seed_results", JsonObject().add(fmt::format("{}", seed), seed_result(result)));
  json.add("pre_quant_val_loss", result.pre_quant.diagnostic_loss_nats);
  json.add("pre_quant_val_bpb", result.pre_quant.diagnostic_bits_per_byte);
  json.add("bytes_total", result.pack.total_bytes).add("bytes_code", result.pack.code_bytes);
  json.add("bytes_model", result.pack.model_bytes).add("bytes_cap", result.pack.cap_bytes);
  json.add("coder", std::string(choice_name(result.pack.coder)));
  if (!result.pack.coders.empty())
    json.add("bytes_total_by_coder", list_coders(result.pack.coders));
  json.add("model_params", result.facts.params);
  json.add("train_steps", result.steps).add("train_tokens", result.tokens);
  json.add("step_avg_ms", step_avg_ms(result));
  // As train_wallclock_ms: what counts against the training budget.
  json.add("wallclock_seconds", result.times.budgeted_train_s())
      .add("calibrate_time_s", result.times.calibrate_s)
      .add("eval_time_s", result.times.eval_s);
  json.add("total_time_s", result.times.total_s).add("first_step_s", result.times.first_step_s);
  json.add("hardware", result.facts.hardware).add("device", result.facts.device);
  json.add("track_hardware", result.recipe.track.hardware);
  json.add("program", result.facts.program).add("threads", result.facts.threads);
  json.add("recipe_sha256", hash_recipe(result.recipe));
  json.add("tokenizer_sha256", result.facts.tokenizer_sha256);
  if (!result.facts.data_faults.empty()) json.add("data_faults", result.facts.data_faults);
  const ScoringTraits scoring = describe_scoring(result.recipe.ttt, result.recipe.mix);
  json.add("compliance", list_compliance(result, scoring, seeds));
  return json.pretty();
}

void write_record(const RunFolder& folder, const RunResult& result) {
  // Someone may have removed the folder while the run was on.
  std::error_code ignored;
  if (!std::filesystem::exists(folder.recipe(), ignored)) {
    folder.write(folder.recipe(), write_recipe(result.recipe));
  }
  folder.write(folder.plot(), draw_loss_curve(result.curve, result.recipe.record.name));
  folder.write(folder.readme(), write_record_readme(result));
  for (const auto& log : {folder.log(), folder.events(), folder.tape()}) {  // they grow no more
    if (std::filesystem::exists(log, ignored)) {
      list_run_file(folder.path, log.filename().string(), sha256(read_file(log)));
    }
  }
  const std::string submission = write_submission_json(result);
  close_tape(folder, result, submission);
  folder.write(folder.submission(), submission);
  std::filesystem::remove(folder.checkpoint(), ignored);  // one that stays is only in the way
}

}  // namespace pg
