#include "src/train/trainer.h"

#include <fmt/format.h>

#include <cmath>
#include <exception>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include "src/base/error.h"
#include "src/model/model.h"
#include "src/train/average.h"
#include "src/train/checkpoint.h"
#include "src/train/optimizer.h"
#include "src/train/schedule.h"
#include "src/train/size_projector.h"

namespace pg {
namespace {

// Handing the weights to the projector costs training a copy of them, 0.5 ms for 2.6M parameters on
// the README's machine; every few seconds is often enough to watch.
constexpr double kProjectEvery_s = 5.0;
// The peak is measured anew so often (20 ms a time): what the machine can do at its quietest.
constexpr double kPeakEvery_s = 60.0;

void check_batch(const TrainConfig& train, int64_t seq_len) {
  if (train.seq_len != seq_len) throw Error("batches of another seq_len than the recipe's");
  if (train.micro_batch_tokens % train.seq_len != 0) {
    throw Error(
        fmt::format("train.micro_batch_tokens \"{}\" is not a multiple of train.seq_len \"{}\"",
                    train.micro_batch_tokens, train.seq_len));
  }
  if (train.batch_tokens % train.micro_batch_tokens != 0) {
    throw Error(fmt::format(
        "train.batch_tokens \"{}\" is not a multiple of train.micro_batch_tokens \"{}\"",
        train.batch_tokens, train.micro_batch_tokens));
  }
}

class Trainer {
 public:
  explicit Trainer(const TrainSetup& setup)
      : s_(setup),
        start_s_(setup.clock->now_s()),
        rows_(setup.train.micro_batch_tokens / setup.train.seq_len),
        micro_batches_(setup.train.batch_tokens / setup.train.micro_batch_tokens),
        weights_(*setup.device, list_params(setup.model), /*with_gradients=*/true),
        plan_(setup.model, weights_, rows_, setup.train.seq_len, PlanMode::kTrain),
        optimizer_(weights_, setup.optimizer),
        ids_(static_cast<size_t>(setup.train.micro_batch_tokens)),
        targets_(ids_.size()) {
    weights_.initialise(static_cast<uint64_t>(setup.train.seed));
    averager_.emplace(weights_, setup.train);
    if (setup.project_bytes) start_projector();
    resume();
  }

  TrainResult run() {
    double elapsed_s = now_s();
    last_checkpoint_s_ = elapsed_s;
    const double cap_s = effective_cap_s(s_.train);
    StopReason reason = StopReason::kMaxSteps;
    while (steps_ < s_.train.max_steps) {
      if (s_.stop_requested && s_.stop_requested()) {
        reason = StopReason::kInterrupted;
        break;
      }
      if (!predictor_.next_step_fits(elapsed_s, cap_s)) {
        reason = StopReason::kWallclock;
        break;
      }
      elapsed_s = try_step(elapsed_s);
    }
    if (reason == StopReason::kWallclock) {
      s_.observer->on_note(
          fmt::format("stopping_early: wallclock_cap train_time:{:.0f}ms step:{}/{}",
                      1000 * elapsed_s, steps_, s_.train.max_steps));
    }
    save_checkpoint(now_s());  // a failure to pack must not cost the training
    if (s_.train.average != Average::kNone) {
      s_.observer->on_note(fmt::format("{}:applying {} weights", choice_name(s_.train.average),
                                       s_.train.average == Average::kEma ? "EMA" : "SWA"));
    }
    return {.steps = steps_,
            .tokens = steps_ * s_.train.batch_tokens,
            .train_s = elapsed_s,
            .last_loss_nats = last_loss_,
            .stop_reason = reason,
            .averaging = averager_->describe(),
            .exported = averager_->download()};
  }

 private:
  // Seconds of training: the clock without validation passes, plus what a resumed run has behind
  // it.
  double now_s() { return earlier_s_ + s_.clock->now_s() - start_s_ - paused_s_; }

  // Training goes on without the projection where no thread for it can be started.
  void start_projector() {
    try {
      projector_.emplace(s_.project_bytes);
    } catch (const std::system_error& error) {
      s_.observer->on_note(fmt::format("projection:failed step:0 {}; see ulimit -u", error.what()));
    }
  }

  // A step that cannot be done - text that cannot be read, no memory - costs no earlier one.
  double try_step(double elapsed_s) {
    try {
      return step(elapsed_s);
    } catch (const std::exception& error) {
      if (is_state_whole_) save_checkpoint(end_of_last_step_s_);
      if (dynamic_cast<const std::bad_alloc*>(&error) == nullptr) {
        const bool is_kept = is_state_whole_ && !s_.checkpoint_file.empty() && steps_ > 0;
        throw Error(
            fmt::format("{}{}", error.what(),
                        is_kept ? fmt::format("; step {} is kept in the checkpoint", steps_) : ""));
      }
      throw Error(
          fmt::format("out of memory in step {}; lower train.micro_batch_tokens, use a smaller "
                      "model or free some memory; the run goes on when it is started again",
                      steps_ + 1));
    }
  }

  // One optimizer step; gives the elapsed time after it, from which the next decisions are made.
  double step(double elapsed_s) {
    const double lr = lr_multiplier(s_.train, steps_, elapsed_s);
    double loss = 0;
    const int64_t first_window = steps_ * micro_batches_ * rows_;
    for (int64_t m = 0; m < micro_batches_; ++m) {
      s_.batches->read(first_window + m * rows_, rows_, ids_, targets_);
      plan_.load(ids_, targets_);
      plan_.run(/*accumulate=*/m > 0, 1.0f / static_cast<float>(micro_batches_));
      const double micro_loss =
          plan_.mean_loss();  // reads one number back: the only wait of a micro-batch
      if (!std::isfinite(micro_loss)) fail_non_finite();
      loss += micro_loss / static_cast<double>(micro_batches_);
    }
    is_state_whole_ = false;
    optimizer_.step(steps_, lr);
    ++steps_;
    last_loss_ = loss;
    const bool has_swa_begun = averager_->update(steps_, lr);
    const double grad_norm = optimizer_.grad_norm();
    if (!std::isfinite(grad_norm)) fail_non_finite();
    is_state_whole_ = true;
    if (has_swa_begun) s_.observer->on_note(fmt::format("swa:start step:{}", steps_));
    const double end_s = now_s();
    end_of_last_step_s_ = end_s;
    predictor_.add_step(end_s - elapsed_s);
    report(end_s, end_s - elapsed_s, lr, grad_norm);
    if (s_.validate && s_.train.val_every > 0 && steps_ % s_.train.val_every == 0) validate(end_s);
    maybe_checkpoint(end_s);
    return end_s;  // what came after it counts as part of the next step
  }

  void report(double end_s, double step_s, double lr, double grad_norm) {
    StepReport r;
    r.step = steps_;
    r.loss_nats = last_loss_;
    r.grad_norm = grad_norm;
    r.lr_multiplier = lr;
    r.step_s = step_s;
    r.train_s = end_s;
    r.tokens_per_s = static_cast<double>(s_.train.batch_tokens) / std::max(step_s, 1e-9);
    if (s_.peak_flops_per_s > 0) {
      if (end_s - last_peak_s_ >= kPeakEvery_s) {
        peak_flops_per_s_ = std::max(peak_flops_per_s_, s_.device->measure_matmul());
        last_peak_s_ = end_s;
      }
      r.speed_of_light = plan_.flops() * static_cast<double>(micro_batches_) /
                         (std::max(step_s, 1e-9) * peak_flops_per_s_);
    }
    const double cap_s = effective_cap_s(s_.train);
    r.time_left_s = cap_s > 0 ? std::max(cap_s - end_s, 0.0) : 0.0;
    r.log = steps_ <= 10 || steps_ % s_.train.log_every == 0 || steps_ == s_.train.max_steps ||
            !predictor_.next_step_fits(end_s, cap_s);
    if (projector_) project(end_s);
    r.projected_bytes = projected_bytes_;
    s_.observer->on_step(r);
  }

  // Takes the last answer and asks anew; nothing that is computed here reaches the training.
  void project(double end_s) {
    if (const auto projection = projector_->take()) {
      if (projection->bytes > 0) projected_bytes_ = projection->bytes;
      if (!projection->failure.empty() && !std::exchange(has_failed_projection_, true)) {
        s_.observer->on_note(
            fmt::format("projection:failed step:{} {}", projection->step, projection->failure));
      }
    }
    if (!projector_->is_idle()) return;
    if (last_project_s_ >= 0 && end_s - last_project_s_ < kProjectEvery_s) return;
    last_project_s_ = end_s;
    averager_->download(projector_->weights());
    projector_->start(steps_);
  }

  void validate(double end_s) {
    const double begin_s = s_.clock->now_s();
    const ValidationScore score = s_.validate(weights_.download());
    s_.observer->on_validation(steps_, end_s, score.loss_nats, score.bits_per_byte);
    paused_s_ += s_.clock->now_s() - begin_s;
  }

  [[noreturn]] void fail_non_finite() {
    is_state_whole_ = false;  // the weights themselves may be what is bad
    const std::string tensor = plan_.find_non_finite();
    std::string kept = "no checkpoint was written";
    if (!s_.checkpoint_file.empty() && std::filesystem::exists(s_.checkpoint_file)) {
      kept = fmt::format("the last good checkpoint is \"{}\"", s_.checkpoint_file.string());
    }
    throw Error(fmt::format(
        "non-finite loss or gradient in step {}: the first bad tensor is \"{}\"; {}; lower "
        "optimizer.matrix_lr, embed_lr or scalar_lr",
        steps_ + 1, tensor.empty() ? "the optimizer's update" : tensor, kept));
  }

  void maybe_checkpoint(double end_s) {
    if (s_.checkpoint_file.empty() || s_.train.checkpoint_every_s <= 0) return;
    if (end_s - last_checkpoint_s_ < s_.train.checkpoint_every_s) return;
    if (!predictor_.next_step_fits(end_s, effective_cap_s(s_.train))) return;  // training is over
    last_checkpoint_s_ = end_s;
    save_checkpoint(now_s());
  }

  // A full disk or too little memory must not end a run whose weights are fine; the previous
  // checkpoint still stands.
  void save_checkpoint(double train_s) {
    if (s_.checkpoint_file.empty() || steps_ == 0) return;
    try {
      write_checkpoint(s_.checkpoint_file, collect_checkpoint(train_s));
    } catch (const Error& error) {
      s_.observer->on_note(fmt::format("checkpoint:failed step:{} {}", steps_, error.what()));
    } catch (const std::bad_alloc&) {
      s_.observer->on_note(fmt::format("checkpoint:failed step:{} out of memory", steps_));
    }
  }

  Checkpoint collect_checkpoint(double train_s) {
    Checkpoint c;
    c.identity = s_.identity;
    c.steps = steps_;
    c.last_loss_nats = last_loss_;
    c.swa_snapshots = averager_->snapshots();
    c.masters.resize(static_cast<size_t>(weights_.flat_elements()));
    s_.device->download(c.masters.data(), weights_.masters(), c.masters.size() * sizeof(float));
    c.optimizer = optimizer_.download_state();
    c.average = averager_->download_state();
    c.step_times_s = predictor_.recent_steps_s();
    c.train_s = train_s;
    return c;
  }

  void resume() {
    if (s_.checkpoint_file.empty()) return;
    const auto c = read_checkpoint(s_.checkpoint_file, s_.identity);
    if (!c) return;
    const size_t flat = static_cast<size_t>(weights_.flat_elements());
    if (c->masters.size() != flat || c->optimizer.size() != 2 * flat ||
        c->average.size() != averager_->download_state().size()) {
      throw Error(fmt::format("checkpoint \"{}\" holds another model; delete it to start anew",
                              s_.checkpoint_file.string()));
    }
    s_.device->upload(weights_.masters(), c->masters.data(), flat * sizeof(float));
    weights_.refresh_compute();
    optimizer_.upload_state(c->optimizer);
    averager_->upload_state(c->average, c->swa_snapshots);
    steps_ = c->steps;
    earlier_s_ = end_of_last_step_s_ = c->train_s;
    last_loss_ = c->last_loss_nats;
    for (const double seconds : c->step_times_s) predictor_.add_step(seconds);
    s_.observer->on_note(
        fmt::format("resume:checkpoint step:{} train_time:{:.0f}ms", steps_, 1000 * earlier_s_));
  }

  const TrainSetup& s_;
  double start_s_, paused_s_ = 0, earlier_s_ = 0;
  int64_t rows_, micro_batches_;
  Weights weights_;
  ModelPlan plan_;
  Optimizer optimizer_;
  std::optional<Averager> averager_;
  StopPredictor predictor_;
  std::vector<int32_t> ids_, targets_;  // [rows, seq_len]
  int64_t steps_ = 0;
  double end_of_last_step_s_ = 0;
  bool is_state_whole_ = true;  // the state is that after steps_ steps, and fit to be kept
  double last_loss_ = 0, last_project_s_ = -1, last_checkpoint_s_ = 0, last_peak_s_ = 0;
  double peak_flops_per_s_ = s_.peak_flops_per_s;  // the best so far
  int64_t projected_bytes_ = 0;
  bool has_failed_projection_ = false;
  std::optional<SizeProjector> projector_;
};

}  // namespace

TrainResult train(const TrainSetup& setup) {
  check_batch(setup.train, setup.batches->seq_len());
  return Trainer(setup).run();
}

}  // namespace pg
