#include "harness/record/tape_log.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "harness/recipe/recipe_identity.h"
#include "harness/record/build_info.h"
#include "harness/record/log_rewind.h"
#include "harness/record/machine.h"
#include "harness/record/tape.h"
#include "quant/format/artifact_format.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"

namespace pg {
namespace {

// What `sha256sum shards... | cut -c1-64 | sha256sum` gives: one value for all shards, in order.
std::string hash_list(const std::vector<std::string>& sha256s) {
  std::string list;
  for (const std::string& sha256 : sha256s) list += sha256 + '\n';
  return hex(sha256(as_bytes(list)));
}

}  // namespace

void describe_start(const Recipe& recipe, const RunFacts& facts, JsonObject& start) {
  start.add("recipe_sha256", hash_recipe(recipe)).add("seed", recipe.train.seed);
  start.add("revision", kBuildInfo.revision).add("dirty", is_dirty_build());
  start.add("compiler", kBuildInfo.compiler).add("build", kBuildInfo.options);
  start.add("libraries", kBuildInfo.libraries).add("device_libraries", facts.device_libraries);
  start.add("processor", processor_name()).add("instructions", facts.instructions);
  start.add("device", facts.device_name).add("arithmetic", int64_t{kExactArithmetic});
  start.add("threads", facts.threads).add("ranks", facts.ranks);
  start.add("gradient_leaves", recipe.train.gradient_leaves);
  start.add("sums", choice_name(recipe.train.sums));
  start.add("tokenizer_sha256", facts.tokenizer_sha256);
  start.add("train_fingerprint", fmt::format("{:016x}", facts.train_fingerprint));
  start.add("train_sha256", hash_list(facts.train_sha256s));
  start.add("val_fingerprint", fmt::format("{:016x}", facts.val_fingerprint));
  start.add("val_sha256", hash_list(facts.val_sha256s));
}

TapeLog::TapeLog(const RunFolder& folder, AppendFile::Report report)
    : file_(folder.tape(), folder.is_resumed, std::move(report)) {
  if (folder.is_resumed)
    chain_ = rewind_tape(read_text_file(folder.tape()), folder.resumed_steps).chain;
}

// A resumed part may run elsewhere, by another build, so it says all of that again; the text is the
// same, or the checkpoint would have been refused: of it the hashes of the single shards are left out.
void TapeLog::write_start(const RunFolder& folder, const Recipe& recipe, const RunFacts& facts) {
  JsonObject start;
  start.add("event", "start").add("tape_format", kTapeFormat).add("resumed", folder.is_resumed);
  if (folder.is_resumed) start.add("resumed_steps", folder.resumed_steps);
  describe_start(recipe, facts, start);
  if (!folder.is_resumed) {
    start.add("train_shards_sha256", facts.train_sha256s);
    start.add("val_shards_sha256", facts.val_sha256s);
  }
  write(start);
}

void TapeLog::write_rehearsal(double choose_s, double calibrate_s) {
  JsonObject rehearsed;
  rehearsed.add("event", "rehearsed").add("calibrate_s", calibrate_s);
  if (choose_s > 0) rehearsed.add("choose_s", choose_s);
  write(rehearsed);
}

void TapeLog::write_step(const StepReport& report, int64_t next_window) {
  JsonObject step;
  step.add("step", report.step).add("train_s", report.train_s).add("step_s", report.step_s);
  step.add("decided_s", report.decided_s).add("end_s", report.end_s);
  step.add("lr_multiplier", report.lr_multiplier);
  if (report.decay_multiplier != 1.0) step.add("decay_multiplier", report.decay_multiplier);
  step.add("next_window", next_window).add("loss_nats", report.loss_nats);
  if (report.swa_snapshots > 0) step.add("swa_snapshots", report.swa_snapshots);
  write(step);
}

}  // namespace pg
