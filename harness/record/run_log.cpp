#include "harness/record/run_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "harness/recipe/idle_keys.h"
#include "harness/recipe/recipe_changes.h"
#include "harness/recipe/recipe_identity.h"
#include "harness/record/coder_table.h"
#include "harness/record/eval_estimate.h"
#include "harness/record/log_rewind.h"
#include "harness/record/machine.h"
#include "harness/record/score_name.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

std::string seconds(double s) { return fmt::format("{:.0f}ms", s * 1e3); }

const char* stop_name(StopReason reason) {
  switch (reason) {
    case StopReason::kWallclock:
      return "wallclock_cap";
    case StopReason::kMaxSteps:
      return "max_steps";
    case StopReason::kInterrupted:
      return "interrupted";
  }
  return "";
}

std::string python_bool(bool value) { return value ? "True" : "False"; }

JsonObject score_event(const char* stage, double loss_nats, double bits_per_byte, double eval_s) {
  return JsonObject()
      .add("event", "score")
      .add("stage", stage)
      .add("loss_nats", loss_nats)
      .add("bits_per_byte", bits_per_byte)
      .add("eval_s", eval_s);
}

JsonObject score_event(const char* stage, const ScoreLine& score) {
  return score_event(stage, score.loss_nats, score.bits_per_byte, score.eval_s);
}

// A path outside the folder the run was started in would tell of the machine and not of the run.
std::string reproduce_command(const RunFolder& folder) {
  std::error_code error;
  const std::filesystem::path start = std::filesystem::current_path(error);  // may be gone
  const std::filesystem::path relative =
      error ? start : std::filesystem::proximate(folder.path, start, error);
  const bool is_inside = !relative.empty() && relative.is_relative() && *relative.begin() != "..";
  const std::string path = (is_inside ? relative : folder.path.filename()).string();
  return fmt::format("train_gpt run {} --out {}", quote_shell(path + "/recipe.toml"),
                     quote_shell(path + "_again"));
}

// What is switched on: the keys of the model, its training and its scoring that differ from the defaults.
std::string describe_keys(const Recipe& recipe) {
  std::string text;
  for (const auto& [section, key, value] : list_changes(recipe, Recipe())) {
    if (section == "track" || section == "data" || section == "quant" || section == "record") {
      continue;
    }
    text += fmt::format(" {}.{}={}", section, key, escape_terminal(value));
  }
  return text;
}

}  // namespace

RunLog::RunLog(const Recipe& recipe, const RunFolder& folder, Clock& clock, double process_start_s,
               ProgressLine progress)
    : folder_(folder),
      clock_(&clock),
      process_start_s_(process_start_s),
      progress_(std::move(progress)) {
  result_.recipe = recipe;
  if (folder.is_resumed) {
    gaps_ = rewind_logs(folder);
    result_.curve = load_loss_curve(folder.events());
  }
  const auto report = [this](const std::string& message) { progress_.warn(message); };
  log_ = AppendFile(folder.log(), folder.is_resumed, report);
  events_ = AppendFile(folder.events(), folder.is_resumed, report);
  tape_ = TapeLog(folder, report);
  progress_.report_loss([this](const std::string& m) { log_.write_line("warning: " + m); });
}

void RunLog::close_lap(double& stage_s) {
  const double now_s = clock_->now_s();
  stage_s += now_s - lap_start_s_;
  lap_start_s_ = now_s;
}

void RunLog::write_line(const std::string& line) {
  log_.write_line(line);
  progress_.print(escape_terminal(line));
}

void RunLog::warn(const std::string& message) {
  log_.write_line("warning: " + message);
  progress_.warn(escape_terminal(message));
}

void RunLog::add_data_fault(const std::string& fault) {
  result_.facts.data_faults.push_back(fault);
  warn(fault);
}

// Tools skip to the second line of equal signs; above it stand what the run is and what it ran on.
void RunLog::write_head(const RunFacts& facts, const std::vector<RecipeOverride>& overrides) {
  result_.facts = facts;
  const TrainConfig& train = result_.recipe.train;
  const ModelConfig& model = result_.recipe.model;
  const std::string rule(100, '=');
  const int64_t grad_accum_steps = train.batch_tokens / train.micro_batch_tokens / facts.ranks;
  log_.write_line(write_recipe(result_.recipe));
  log_.write_line(rule);
  log_.write_line("Running train_gpt " + facts.program);
  log_.write_line(facts.hardware);
  log_.write_line(facts.device);
  log_.write_line(rule);
  for (const RecipeOverride& o : overrides) {
    write_line(
        fmt::format("recipe:override {}={} source:{}", o.key, escape_terminal(o.value), o.source));
  }
  const std::string keys = describe_keys(result_.recipe);
  if (!keys.empty()) log_.write_line("recipe:keys" + keys);
  log_.write_line(fmt::format("val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path={}",
                              escape_terminal(result_.recipe.data.tokenizer)));
  log_.write_line(fmt::format("train_loader:dataset:{} train_shards:{}",
                              escape_terminal(result_.recipe.data.train_shards),
                              facts.train_shards));
  log_.write_line(fmt::format("val_loader:shards pattern={} tokens:{}",
                              escape_terminal(result_.recipe.data.val_shards),
                              facts.val_tokens - 1));
  for (const IdleKey& idle : find_idle_keys(result_.recipe)) warn(idle.sentence());
  for (const std::string& fault : facts.data_faults) warn(fault);
  if (facts.is_val_part) {
    warn(kScoredPartWarning);
  }
  write_line(fmt::format("model_params:{}", facts.params));
  log_.write_line(fmt::format("XSA:last_{}", model.xsa_last_n));
  write_line(fmt::format("world_size:{} grad_accum_steps:{}", facts.ranks, grad_accum_steps));
  log_.write_line(
      fmt::format("attention_mode:gqa num_heads:{} num_kv_heads:{}", model.heads, model.kv_heads));
  log_.write_line(fmt::format("tie_embeddings:{} embed_lr:{} matrix_lr:{} scalar_lr:{}",
                              python_bool(result_.recipe.model.tied_head),
                              result_.recipe.optimizer.embed_lr, result_.recipe.optimizer.matrix_lr,
                              result_.recipe.optimizer.scalar_lr));
  write_line(
      fmt::format("train_batch_tokens:{} train_seq_len:{} iterations:{} warmup_steps:0 "
                  "max_wallclock_seconds:{:.3f}",
                  train.batch_tokens, train.seq_len, train.max_steps, train.wallclock_s));
  write_line(fmt::format("seed:{}", train.seed));
  JsonObject start;
  start.add("event", "start")
      .add("resumed", folder_.is_resumed)
      .add("recipe_sha256", hash_recipe(result_.recipe));
  start.add("seed", train.seed).add("threads", facts.threads).add("ranks", facts.ranks);
  start.add("gradient_leaves", train.gradient_leaves).add("sums", choice_name(train.sums));
  start.add("train_fingerprint", fmt::format("{:016x}", facts.train_fingerprint));
  start.add("val_fingerprint", fmt::format("{:016x}", facts.val_fingerprint));
  start.add("tokenizer_sha256", facts.tokenizer_sha256);
  start.add("params", facts.params).add("program", facts.program);
  start.add("hardware", facts.hardware).add("device", facts.device);
  write_event(start);
  tape_.write_start(folder_, result_.recipe, facts);
  write_history();
}

// What an earlier part of the run left behind.
void RunLog::write_history() {
  if (folder_.lock != nullptr && !folder_.lock->stale_holder().empty()) {
    on_note(fmt::format("resume:earlier_part {} ended without its record",
                        folder_.lock->stale_holder()));
  }
  for (const std::string& remark : folder_.remarks) warn(remark);
  for (const std::string& gap : gaps_) warn(gap);
}

std::string RunLog::step_prefix(int64_t step) const {
  return fmt::format("step:{}/{}", step, result_.recipe.train.max_steps);
}

std::string RunLog::time_suffix(int64_t step, double train_s) const {
  const double step_ms = train_s * 1e3 / static_cast<double>(step > 0 ? step : 1);
  return fmt::format("train_time:{} step_avg:{:.2f}ms", seconds(train_s), step_ms);
}

// Once: the user has the first projection to act on, before the budget is spent.
void RunLog::warn_over_cap(const StepReport& report) {
  const int64_t cap_bytes = result_.recipe.quant.cap_bytes;
  if (report.projected_bytes <= cap_bytes || std::exchange(has_warned_over_cap_, true)) return;
  const char* advice =
      result_.recipe.quant.fill_cap
          ? "quant.fill_cap will make the scales coarser than usual, which costs quality; a "
            "smaller "
            "model may score better"
          : "if the projection does not fall below the cap soon, stop and make the model smaller, "
            "set quant.fill_cap = true, or raise quant.cap_bytes";
  warn(fmt::format(
      "the artifact would take {} bytes, {} over the cap of {}, projected from the weights by step "
      "{}; {}",
      format_thousands(report.projected_bytes),
      format_thousands(report.projected_bytes - cap_bytes), format_thousands(cap_bytes),
      report.step, advice));
}

// Once, from the fastest of a few steps: the first ones are slower.
void RunLog::forecast_eval(const StepReport& report) {
  constexpr int64_t kTimedSteps = 4;
  if (timed_steps_ == kTimedSteps) return;
  fastest_step_s_ = timed_steps_ == 0 ? report.step_s : std::min(fastest_step_s_, report.step_s);
  if (++timed_steps_ < kTimedSteps) return;
  const ScoringForecast forecast =
      forecast_scoring(result_.recipe, result_.facts.val_tokens - 1, fastest_step_s_);
  if (forecast.is_warning) {
    warn(forecast.text);
  } else if (!forecast.text.empty()) {
    write_line(forecast.text);
  }
}

void RunLog::on_step(const StepReport& report) {
  double& first_step_s = result_.times.first_step_s;
  if (first_step_s == 0) {
    first_step_s = clock_->now_s() - process_start_s_;
    result_.curve.rewind(report.step);
  }
  result_.curve.train.push_back({report.step, report.train_s, report.loss_nats, 0});
  if (report.log) {
    log_.write_line(fmt::format("{} train_loss:{:.4f} {}", step_prefix(report.step),
                                report.loss_nats, time_suffix(report.step, report.train_s)));
  }
  progress_.show(format_progress(report, result_.recipe.train.max_steps), report.log);
  warn_over_cap(report);
  forecast_eval(report);
  JsonObject event;
  event.add("event", "step").add("step", report.step).add("loss_nats", report.loss_nats);
  event.add("grad_norm", report.grad_norm).add("lr_multiplier", report.lr_multiplier);
  event.add("step_ms", report.step_s * 1e3).add("train_s", report.train_s);
  event.add("tokens_per_s", report.tokens_per_s).add("speed_of_light", report.speed_of_light);
  if (report.projected_bytes > 0) event.add("projected_bytes", report.projected_bytes);
  write_place(event);
  const int64_t windows_per_step = result_.recipe.train.batch_tokens / result_.recipe.train.seq_len;
  tape_.write_step(report, has_phases(result_.recipe.train) ? report.next_window
                                                            : report.step * windows_per_step);
  for (AppendFile* file : {&log_, &events_}) file->check_kept();
  tape_.check_kept();
}

void RunLog::on_validation(int64_t step, double train_s, double loss_nats, double bits_per_byte) {
  result_.curve.validation.push_back({step, train_s, loss_nats, bits_per_byte});
  write_line(fmt::format("{} val_loss:{:.4f} val_bpb:{:.4f} {}", step_prefix(step), loss_nats,
                         bits_per_byte, time_suffix(step, train_s)));
  write_place(JsonObject()
                  .add("event", "validation")
                  .add("step", step)
                  .add("train_s", train_s)
                  .add("val_loss_nats", loss_nats)
                  .add("val_bits_per_byte", bits_per_byte));
}

void RunLog::on_note(const std::string& line) {
  // A full disk fails every checkpoint alike: whoever watches hears of the first.
  const bool is_repeated =
      line.starts_with("checkpoint:failed") && std::exchange(has_failed_checkpoint_, true);
  if (is_repeated) {
    log_.write_line(line);
  } else {
    write_line(line);
  }
  write_event(JsonObject().add("event", "note").add("text", line));
}

void RunLog::note_rehearsal(double choose_s, double calibrate_s, double rehearsal_s) {
  const std::string choose =
      choose_s > 0 ? fmt::format("choose_estimate:{:.0f}ms ", 1e3 * choose_s) : "";
  on_note(fmt::format("{}calibrate_estimate:{:.0f}ms rehearsal_time:{:.0f}ms", choose,
                      1e3 * calibrate_s, 1e3 * rehearsal_s));
  tape_.write_rehearsal(choose_s, calibrate_s);
}

void RunLog::write_trained(const TrainResult& trained) {
  lap_start_s_ = clock_->now_s();
  result_.steps = trained.steps;
  result_.tokens = trained.tokens;
  result_.stop_reason = trained.stop_reason;
  result_.averaging = trained.averaging;
  result_.times.train_s = trained.train_s;
  result_.times.reserve_s = trained.reserve_s;
  const char* reason = stop_name(trained.stop_reason);
  if (trained.stop_reason == StopReason::kInterrupted) {
    write_line(fmt::format("stopping_early: {} train_time:{} {}", reason, seconds(trained.train_s),
                           step_prefix(trained.steps)));
  }
  const int64_t peak_mib = peak_memory_bytes() >> 20;
  write_line(fmt::format("peak memory allocated: {} MiB reserved: {} MiB", peak_mib, peak_mib));
  JsonObject stop;
  stop.add("event", "stop").add("reason", reason).add("step", trained.steps);
  stop.add("train_s", trained.train_s).add("tokens", trained.tokens);
  stop.add("reserve_s", trained.reserve_s);
  stop.add("averaging", trained.averaging);
  write_event(stop);
  tape_.write_stop(stop);
}

void RunLog::write_choice(const std::vector<AverageTrial>& trials, int64_t best) {
  for (const AverageTrial& trial : trials) {
    write_line(fmt::format("average:try {} held_out_loss:{:.6f}", trial.averaging,
                           trial.held_out_loss_nats));
  }
  const AverageTrial& chosen = trials.at(static_cast<size_t>(best));
  result_.averaging = fmt::format("{}, the best of {}", chosen.averaging, trials.size());
  write_line(fmt::format("average:best {} held_out_loss:{:.6f}", chosen.averaging,
                         chosen.held_out_loss_nats));
  JsonObject event;
  event.add("event", "average").add("averaging", chosen.averaging);
  event.add("held_out_loss_nats", chosen.held_out_loss_nats);
  write_event(event);
  tape_.write_average(event);
  close_lap(result_.times.calibrate_s);  // it reads training text
}

void RunLog::write_pre_quant(const DiagnosticLoss& loss) {
  result_.pre_quant = loss;
  const double loss_nats = loss.diagnostic_loss_nats, bits_per_byte = loss.diagnostic_bits_per_byte;
  if (!result_.curve.train.empty()) {
    LossPoint last = result_.curve.train.back();
    last.loss_nats = loss_nats;
    last.bits_per_byte = bits_per_byte;
    result_.curve.validation.push_back(last);
  }
  const Average average = result_.recipe.train.average;
  const std::string stage = average == Average::kNone
                                ? std::string("pre_quant")
                                : fmt::format("post_{}", choice_name(average));
  write_line(fmt::format("DIAGNOSTIC {} val_loss:{:.4f} val_bpb:{:.4f} eval_time:{}", stage,
                         loss_nats, bits_per_byte, seconds(loss.eval_s)));
  write_event(score_event("pre_quant", loss_nats, bits_per_byte, loss.eval_s));
  close_lap(result_.times.diagnose_s);
}

void RunLog::note_calibrated() {
  close_lap(result_.times.calibrate_s);
  const std::string over = describe_training_over_budget(result_.times, result_.recipe.train);
  if (over.empty()) return;
  warn(over);
  write_event(JsonObject().add("event", "note").add("text", over));
}

void RunLog::write_allocation(const std::vector<TensorAllocation>& allocation) {
  result_.allocation = allocation;
  for (const TensorAllocation& t : allocation) {
    JsonObject event;
    event.add("event", "quantized").add("tensor", t.name).add("weights", t.elements);
    event.add("bits", static_cast<int64_t>(t.bits))
        .add("scale", t.scale)
        .add("coarseness", t.coarseness);
    event.add("bytes", t.bytes).add("predicted_loss_nats", t.loss_nats);
    write_event(event);
  }
  close_lap(result_.times.quantize_s);
}

void RunLog::write_packed(const PackSummary& pack) {
  result_.pack = pack;
  const int64_t raw_bytes = result_.facts.params * static_cast<int64_t>(sizeof(float));
  const auto coder = pack.coder == Coder::kOwn ? "rans" : choice_name(pack.coder);
  const std::string kind = fmt::format("int{}+{}", result_.recipe.quant.matrix_bits, coder);
  write_line(fmt::format("Serialized model: {} bytes", raw_bytes));
  write_line(fmt::format("Code size: {} bytes", pack.code_bytes));
  log_.write_line(fmt::format("Total submission size: {} bytes", raw_bytes + pack.code_bytes));
  write_line(fmt::format("Serialized model {}: {} bytes", kind, pack.model_bytes));
  write_line(fmt::format("Total submission size {}: {} bytes", kind, pack.total_bytes));
  for (const std::string& line : describe_coders(pack.coders)) write_line(line);
  JsonObject event;
  event.add("event", "packed")
      .add("code_stream_bytes", pack.code_stream_bytes)
      .add("entropy_bytes", pack.entropy_bytes)
      .add("model_bytes", pack.model_bytes);
  event.add("code_bytes", pack.code_bytes).add("total_bytes", pack.total_bytes);
  event.add("cap_bytes", pack.cap_bytes).add("bits_per_weight", pack.bits_per_weight);
  event.add("coder", std::string(choice_name(pack.coder)));
  if (!pack.coders.empty()) event.add("total_bytes_by_coder", list_coders(pack.coders));
  write_event(event);
  close_lap(result_.times.pack_s);
}

void RunLog::write_roundtrip(const ScoreLine& score) {
  result_.roundtrip = score;
  const std::string name = fmt::format("final_int{}_roundtrip", result_.recipe.quant.matrix_bits);
  write_line(fmt::format("{} val_loss:{:.4f} val_bpb:{:.4f} eval_time:{}", name, score.loss_nats,
                         score.bits_per_byte, seconds(score.eval_s)));
  log_.write_line(fmt::format("{}_exact val_loss:{:.8f} val_bpb:{:.8f}", name, score.loss_nats,
                              score.bits_per_byte));
  write_event(score_event("roundtrip", score));
  close_lap(result_.times.diagnose_s);
}

void RunLog::write_final(const ScoreLine& score, const CodedPart& coded) {
  result_.score = score;
  result_.coded = coded;
  const int64_t stride = result_.recipe.eval.stride;
  const ScoreName name = name_score(result_.recipe);
  write_line(fmt::format("{} val_loss:{:.4f} val_bpb:{:.4f} stride:{} eval_time:{}", name.line,
                         score.loss_nats, score.bits_per_byte, stride, seconds(score.eval_s)));
  const auto write_exact = [&](const std::string& line, const ScoreLine& of) {
    log_.write_line(fmt::format("{}_exact val_loss:{:.8f} val_bpb:{:.8f}", line, of.loss_nats,
                                of.bits_per_byte));
  };
  write_exact(name.line, score);
  // All that some parsers read; they take it for a plain score.
  write_exact("final_int8_zlib_roundtrip", name.is_plain ? score : result_.roundtrip);
  log_.write_line(
      fmt::format("coded_exact tokens:{} text_bytes:{} payload_bytes:{} file_bytes:{} "
                  "val_bpb:{:.8f} metered_bpb:{:.8f}",
                  coded.tokens, coded.bytes, coded.payload_bytes, coded.file_bytes,
                  coded.bits_per_byte(), coded.metered_bits_per_byte()));
  if (!result_.is_exact()) {
    write_line(
        fmt::format("val_bpb is metered on the fast device, {}; the first {} targets are scored "
                    "exactly and coded: "
                    "{:.6f} bpb, {:+.6f} against the fast device's",
                    result_.recipe.track.device, format_thousands(coded.tokens),
                    coded.bits_per_byte(), coded.bits_per_byte() - coded.fast_bits_per_byte()));
  }
  write_event(score_event("final", score)
                  .add("stride", stride)
                  .add("name", name.line)
                  .add("exact", result_.is_exact())
                  .add("coded_tokens", coded.tokens)
                  .add("payload_bytes", coded.payload_bytes)
                  .add("metered_bpb", coded.metered_bits_per_byte()));
  if (score.is_over_budget()) warn(describe_over_budget(score));
  close_lap(result_.times.eval_s);
}

const RunResult& RunLog::finish(const Sha256& artifact_sha256, const std::string& date) {
  if (folder_.lock != nullptr && !folder_.lock->is_in_place()) {
    warn(fmt::format(
        "the output folder was moved or removed while the run was on: the record is in a new "
        "\"{}\", the logs and the checkpoint are where the old one went",
        folder_.shown));
  }
  const Recipe& recipe = result_.recipe;
  result_.date = recipe.record.date.empty() ? date : recipe.record.date;
  result_.command = reproduce_command(folder_);
  result_.artifact_name = folder_.artifact(recipe.quant.matrix_bits).filename().string();
  result_.artifact_sha256 = hex(artifact_sha256);
  result_.times.total_s = clock_->now_s() - process_start_s_;
  for (AppendFile* file : {&log_, &events_}) file->close();
  tape_.close();
  return result_;
}

}  // namespace pg
