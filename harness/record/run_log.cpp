#include "harness/record/run_log.h"

#include <fmt/format.h>

#include <utility>

#include "harness/record/machine.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

constexpr int kTapeFormat = 1;

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

JsonObject score_event(const char* stage, const ScoreLine& score) {
  return JsonObject()
      .add("event", "score")
      .add("stage", stage)
      .add("loss_nats", score.loss_nats)
      .add("bits_per_byte", score.bits_per_byte)
      .add("eval_s", score.eval_s);
}

}  // namespace

RunLog::RunLog(const Recipe& recipe, const RunFolder& folder, Clock& clock, double process_start_s,
               ProgressLine progress)
    : recipe_(&recipe),
      clock_(&clock),
      process_start_s_(process_start_s),
      is_resumed_(folder.is_resumed),
      progress_(std::move(progress)) {
  if (is_resumed_) curve_ = load_loss_curve(folder.events());
  const auto report = [this](const std::string& message) { progress_.warn(message); };
  log_ = AppendFile(folder.log(), is_resumed_, report);
  events_ = AppendFile(folder.events(), is_resumed_, report);
  tape_ = AppendFile(folder.tape(), is_resumed_, report);
}

void RunLog::write_line(const std::string& line) {
  log_.write_line(line);
  progress_.print(escape_terminal(line));
}

void RunLog::warn(const std::string& message) {
  log_.write_line("warning: " + message);
  progress_.warn(escape_terminal(message));
}

// Tools skip to the second line of equal signs; above it stand what the run is and what it ran on.
void RunLog::write_head(const RunFacts& facts, const std::vector<RecipeOverride>& overrides) {
  const TrainConfig& train = recipe_->train;
  const ModelConfig& model = recipe_->model;
  const std::string rule(100, '=');
  const int64_t grad_accum_steps = train.batch_tokens / train.micro_batch_tokens;
  log_.write_line(write_recipe(*recipe_));
  log_.write_line(rule);
  log_.write_line("Running train_gpt " + facts.program);
  log_.write_line(facts.hardware);
  log_.write_line(facts.device);
  log_.write_line(rule);
  for (const RecipeOverride& o : overrides) {
    write_line(
        fmt::format("recipe:override {}={} source:{}", o.key, escape_terminal(o.value), o.source));
  }
  log_.write_line(fmt::format("val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path={}",
                              escape_terminal(recipe_->data.tokenizer)));
  log_.write_line(fmt::format("train_loader:dataset:{} train_shards:{}",
                              escape_terminal(recipe_->data.train_shards), facts.train_shards));
  log_.write_line(fmt::format("val_loader:shards pattern={} tokens:{}",
                              escape_terminal(recipe_->data.val_shards), facts.val_tokens - 1));
  write_line(fmt::format("model_params:{}", facts.params));
  log_.write_line(fmt::format("XSA:last_{}", model.xsa_last_n));
  write_line(fmt::format("world_size:1 grad_accum_steps:{}", grad_accum_steps));
  log_.write_line(
      fmt::format("attention_mode:gqa num_heads:{} num_kv_heads:{}", model.heads, model.kv_heads));
  log_.write_line(fmt::format("tie_embeddings:{} embed_lr:{} matrix_lr:{} scalar_lr:{}",
                              python_bool(true), recipe_->optimizer.embed_lr,
                              recipe_->optimizer.matrix_lr, recipe_->optimizer.scalar_lr));
  write_line(
      fmt::format("train_batch_tokens:{} train_seq_len:{} iterations:{} warmup_steps:0 "
                  "max_wallclock_seconds:{:.3f}",
                  train.batch_tokens, train.seq_len, train.max_steps, train.wallclock_s));
  write_line(fmt::format("seed:{}", train.seed));
  const auto start_event = [&] {
    JsonObject event;
    event.add("event", "start")
        .add("resumed", is_resumed_)
        .add("recipe_sha256", hash_recipe(*recipe_));
    event.add("seed", train.seed).add("threads", facts.threads).add("ranks", int64_t{1});
    event.add("train_fingerprint", fmt::format("{:016x}", facts.train_fingerprint));
    event.add("val_fingerprint", fmt::format("{:016x}", facts.val_fingerprint));
    event.add("tokenizer_sha256", facts.tokenizer_sha256);
    return event;
  };
  write_event(start_event()
                  .add("params", facts.params)
                  .add("program", facts.program)
                  .add("hardware", facts.hardware)
                  .add("device", facts.device));
  tape_.write_line(start_event().add("tape_format", int64_t{kTapeFormat}).line());
}

std::string RunLog::step_prefix(int64_t step) const {
  return fmt::format("step:{}/{}", step, recipe_->train.max_steps);
}

std::string RunLog::time_suffix(int64_t step, double train_s) const {
  const double step_ms = train_s * 1e3 / static_cast<double>(step > 0 ? step : 1);
  return fmt::format("train_time:{} step_avg:{:.2f}ms", seconds(train_s), step_ms);
}

// Once: the user has the first projection to act on, before the budget is spent.
void RunLog::warn_over_cap(const StepReport& report) {
  const int64_t cap_bytes = recipe_->quant.cap_bytes;
  if (report.projected_bytes <= cap_bytes || std::exchange(has_warned_over_cap_, true)) return;
  const char* advice =
      recipe_->quant.fill_cap
          ? "quant.fill_cap will make the steps coarser than usual, which costs quality; a smaller "
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

void RunLog::on_step(const StepReport& report) {
  if (first_step_s_ == 0) {
    first_step_s_ = clock_->now_s() - process_start_s_;
    curve_.rewind(report.step);
  }
  curve_.train.push_back({report.step, report.train_s, report.loss_nats, 0});
  if (report.log) {
    log_.write_line(fmt::format("{} train_loss:{:.4f} {}", step_prefix(report.step),
                                report.loss_nats, time_suffix(report.step, report.train_s)));
  }
  progress_.show(format_progress(report, recipe_->train.max_steps), report.log);
  warn_over_cap(report);
  JsonObject event;
  event.add("event", "step").add("step", report.step).add("loss_nats", report.loss_nats);
  event.add("grad_norm", report.grad_norm).add("lr_multiplier", report.lr_multiplier);
  event.add("step_ms", report.step_s * 1e3).add("train_s", report.train_s);
  event.add("tokens_per_s", report.tokens_per_s).add("speed_of_light", report.speed_of_light);
  if (report.projected_bytes > 0) event.add("projected_bytes", report.projected_bytes);
  write_event(event);
  const int64_t windows_per_step = recipe_->train.batch_tokens / recipe_->train.seq_len;
  tape_.write_line(JsonObject()
                       .add("step", report.step)
                       .add("train_s", report.train_s)
                       .add("step_s", report.step_s)
                       .add("lr_multiplier", report.lr_multiplier)
                       .add("next_window", report.step * windows_per_step)
                       .line());
}

void RunLog::on_validation(int64_t step, double train_s, double loss_nats, double bits_per_byte) {
  curve_.validation.push_back({step, train_s, loss_nats, bits_per_byte});
  write_line(fmt::format("{} val_loss:{:.4f} val_bpb:{:.4f} {}", step_prefix(step), loss_nats,
                         bits_per_byte, time_suffix(step, train_s)));
  write_event(JsonObject()
                  .add("event", "validation")
                  .add("step", step)
                  .add("train_s", train_s)
                  .add("val_loss_nats", loss_nats)
                  .add("val_bits_per_byte", bits_per_byte));
}

void RunLog::on_note(const std::string& line) {
  write_line(line);
  write_event(JsonObject().add("event", "note").add("text", line));
}

void RunLog::write_trained(const TrainResult& result) {
  const char* reason = stop_name(result.stop_reason);
  if (result.stop_reason == StopReason::kInterrupted) {
    write_line(fmt::format("stopping_early: {} train_time:{} {}", reason, seconds(result.train_s),
                           step_prefix(result.steps)));
  }
  const int64_t peak_mib = peak_memory_bytes() >> 20;
  write_line(fmt::format("peak memory allocated: {} MiB reserved: {} MiB", peak_mib, peak_mib));
  JsonObject stop;
  stop.add("event", "stop").add("reason", reason).add("step", result.steps);
  stop.add("train_s", result.train_s).add("tokens", result.tokens);
  stop.add("averaging", result.averaging);
  write_event(stop);
  tape_.write_line(stop.line());
}

void RunLog::write_pre_quant(const ScoreLine& score) {
  if (!curve_.train.empty()) {
    LossPoint last = curve_.train.back();
    last.loss_nats = score.loss_nats;
    last.bits_per_byte = score.bits_per_byte;
    curve_.validation.push_back(last);
  }
  const char* stage = recipe_->train.average == "ema"   ? "post_ema"
                      : recipe_->train.average == "swa" ? "post_swa"
                                                        : "pre_quant";
  write_line(fmt::format("DIAGNOSTIC {} val_loss:{:.4f} val_bpb:{:.4f} eval_time:{}", stage,
                         score.loss_nats, score.bits_per_byte, seconds(score.eval_s)));
  write_event(score_event("pre_quant", score));
}

void RunLog::write_allocation(const std::vector<TensorLedger>& ledger) {
  for (const TensorLedger& t : ledger) {
    JsonObject event;
    event.add("event", "quantized").add("tensor", t.name).add("weights", t.elements);
    event.add("bits", static_cast<int64_t>(t.bits)).add("step", t.step).add("scale", t.scale);
    event.add("bytes", t.bytes).add("predicted_loss_nats", t.loss_nats);
    write_event(event);
  }
}

void RunLog::write_packed(const PackSummary& pack, int64_t raw_bytes) {
  const std::string kind = fmt::format("int{}+rans", recipe_->quant.matrix_bits);
  write_line(fmt::format("Serialized model: {} bytes", raw_bytes));
  write_line(fmt::format("Code size: {} bytes", pack.code_bytes));
  log_.write_line(fmt::format("Total submission size: {} bytes", raw_bytes + pack.code_bytes));
  write_line(fmt::format("Serialized model {}: {} bytes", kind, pack.model_bytes));
  write_line(fmt::format("Total submission size {}: {} bytes", kind, pack.total_bytes));
  JsonObject event;
  event.add("event", "packed")
      .add("code_stream_bytes", pack.code_stream_bytes)
      .add("entropy_bytes", pack.entropy_bytes)
      .add("model_bytes", pack.model_bytes);
  event.add("code_bytes", pack.code_bytes).add("total_bytes", pack.total_bytes);
  event.add("cap_bytes", pack.cap_bytes).add("bits_per_weight", pack.bits_per_weight);
  write_event(event);
}

void RunLog::write_roundtrip(const ScoreLine& score) {
  const std::string name = fmt::format("final_int{}_roundtrip", recipe_->quant.matrix_bits);
  write_line(fmt::format("{} val_loss:{:.4f} val_bpb:{:.4f} eval_time:{}", name, score.loss_nats,
                         score.bits_per_byte, seconds(score.eval_s)));
  log_.write_line(fmt::format("{}_exact val_loss:{:.8f} val_bpb:{:.8f}", name, score.loss_nats,
                              score.bits_per_byte));
  write_event(score_event("roundtrip", score));
}

void RunLog::write_final(const ScoreLine& score, int64_t stride) {
  const std::string name = fmt::format("final_int{}_sliding_window", recipe_->quant.matrix_bits);
  write_line(fmt::format("{} val_loss:{:.4f} val_bpb:{:.4f} stride:{} eval_time:{}", name,
                         score.loss_nats, score.bits_per_byte, stride, seconds(score.eval_s)));
  const std::string exact =
      fmt::format("val_loss:{:.8f} val_bpb:{:.8f}", score.loss_nats, score.bits_per_byte);
  log_.write_line(fmt::format("{}_exact {}", name, exact));
  log_.write_line("final_int8_zlib_roundtrip_exact " + exact);
  write_event(score_event("final", score).add("stride", stride));
}

}  // namespace pg
