#include "src/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/device/comm/comm_single.h"
#include "src/device/comm/run_ranks.h"
#include "src/train/check_training.h"
#include "src/train/checkpoint_writer.h"
#include "src/train/phases.h"
#include "src/train/schedule.h"
#include "src/train/size_projector.h"
#include "src/train/stop_predictor.h"
#include "src/train/train_state.h"
#include "src/train/train_step.h"
#include "src/train/training_params.h"

namespace pg {
namespace {

// Handing the weights to the projector costs training a copy of them, 0.5 ms for 2.6M parameters on
// the README's machine, and pricing them a core's time, 0.3 s for 27M: every few seconds is often
// enough to watch, and less often where pricing would take more than this share of a core.
constexpr double kProjectEvery_s = 5.0, kProjectShare = 0.01;
// The peak is measured anew so often (20 ms a time): what the machine can do at its quietest.
constexpr double kPeakEvery_s = 60.0;

// What rank 0 decides before a step, from one look at its clock.
struct Decision {
  double elapsed_s = 0, end_s = 0;
  bool is_wallclock_over = false, is_interrupted = false, is_checkpoint_due = false;
};

// How far a checkpoint has come.
struct Progress {
  bool is_resumed = false;
  int64_t steps = 0, average_progress = 0;
  PhaseSteps phases;
};
static_assert(StopPredictor::kWindow + 1 <= kStepTimes, "a checkpoint holds what it is told of");
static_assert(std::is_trivially_copyable_v<Decision> && std::is_trivially_copyable_v<Progress>,
              "ranks tell each other their bytes");

class NullObserver final : public TrainObserver {
 public:
  void on_step(const StepReport& /*report*/) override {}
  void on_validation(int64_t, double, double, double) override {}
  void on_note(const std::string& /*line*/) override {}
};

class Trainer {
 public:
  Trainer(const TrainSetup& setup, Comm& comm)
      : s_(setup),
        comm_(comm),
        is_first_(comm.rank() == 0),
        start_s_(is_first_ ? setup.clock->now_s() : 0.0),
        observer_(is_first_ ? *setup.observer : null_observer_),
        step_(setup, comm),
        predictor_(setup.train, setup.rest_s) {
    if (is_first_ && setup.project_bytes) start_projector();
    if (is_first_ && !setup.checkpoint_file.empty()) {
      writer_.emplace(setup.checkpoint_file, sizes_of_state(step_));
    }
    in_flight_.reserve(TrainStep::kInFlight);
    resume();
    step_.start_at(steps_);
  }

  TrainResult run() {
    last_checkpoint_s_ = is_first_ ? now_s() : 0.0;
    StopReason reason = StopReason::kMaxSteps;
    Decision decision = decide();
    while (steps_ < s_.train.max_steps) {
      if (decision.is_interrupted || decision.is_wallclock_over) {
        reason = decision.is_interrupted ? StopReason::kInterrupted : StopReason::kWallclock;
        break;
      }
      try_step(decision);
      decision = decide();
    }
    collect(/*all=*/true);
    if (reason == StopReason::kWallclock) {
      observer_.on_note(fmt::format("stopping_early: wallclock_cap train_time:{:.0f}ms step:{}/{}",
                                    1000 * end_of_last_step_s_, steps_, s_.train.max_steps));
    }
    save_checkpoint();  // a failure to pack must not cost the training
    finish_checkpoint();
    const Average average = s_.train.average;
    if (average != Average::kNone && average != Average::kBest) {
      std::string name(choice_name(average));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c == '_' ? ' ' : static_cast<char>(c - 'a' + 'A'); });
      observer_.on_note(fmt::format("{}:applying {} weights", choice_name(average), name));
    }
    std::vector<AveragedWeights> averages = list_averages();
    AveragedWeights first = std::move(averages.front());
    averages.erase(averages.begin());
    return {.steps = steps_,
            .tokens = steps_ * s_.train.batch_tokens,
            .train_s = steps_ > 0 ? end_of_last_step_s_ : decision.elapsed_s,
            .reserve_s = predictor_.reserve_s(),
            .last_loss_nats = last_loss_,
            .stop_reason = reason,
            .averaging = std::move(first.averaging),
            .exported = std::move(first.exported),
            .others = std::move(averages)};
  }

 private:
  // Seconds of training: the clock without validation passes, plus what a resumed run has behind
  // it.
  double now_s() { return earlier_s_ + s_.clock->now_s() - start_s_ - paused_s_; }

  std::vector<AveragedWeights> list_averages() {
    const Averager& averager = step_.averager();
    std::vector<AveragedWeights> averages;
    for (const Average candidate : averager.candidates()) {
      averages.push_back({averager.describe(candidate), averager.download(candidate)});
    }
    return averages;
  }

  // Training goes on without the projection where no thread for it can be started.
  void start_projector() {
    try {
      projector_.emplace(s_.project_bytes);
    } catch (const std::system_error& error) {
      observer_.on_note(fmt::format("projection:failed step:0 {}; see ulimit -u", error.what()));
    }
  }

  // The same on every rank.
  Decision decide() {
    Decision d;
    if (is_first_) {
      d.is_interrupted = s_.stop_requested && s_.stop_requested();
      if (!s_.recorded.empty()) {
        take_recorded(d);
        comm_.host().broadcast(&d, sizeof d, /*root=*/0);
        return d;
      }
      d.elapsed_s = now_s();
      d.end_s = predictor_.end_s();
      const auto under_way = static_cast<int64_t>(in_flight_.size());
      d.is_wallclock_over = !predictor_.steps_fit(d.elapsed_s, under_way + 1);
      // Not when training is about to end: its end is a checkpoint.
      // Nor while the one before is still being written, which training would wait for.
      d.is_checkpoint_due = writer_ && writer_->is_idle() && s_.train.checkpoint_every_s > 0 &&
                            d.elapsed_s - last_checkpoint_s_ >= s_.train.checkpoint_every_s &&
                            predictor_.steps_fit(d.elapsed_s, under_way + 2);
    }
    comm_.host().broadcast(&d, sizeof d, /*root=*/0);
    return d;
  }

  void take_recorded(Decision& d) const {
    const auto step = static_cast<size_t>(steps_);
    d.is_wallclock_over = step >= s_.recorded.size();
    if (d.is_wallclock_over) return;
    d.elapsed_s = s_.recorded[step].decided_s;
    d.end_s = s_.recorded[step].end_s;
  }

  // A step that cannot be done - text that cannot be read, no memory - costs no earlier one.
  void try_step(const Decision& decision) {
    try {
      step(decision);
    } catch (const std::exception& error) {
      if (comm_.ranks() > 1) throw;  // it may be another rank's; the last checkpoint stays
      const bool is_kept = rescue();
      if (dynamic_cast<const std::bad_alloc*>(&error) == nullptr) {
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

  // Keeps the last whole step where there is one. What fails on the way is not the failure that
  // matters.
  bool rescue() {
    if (step_.is_updating() || is_lost_ || !writer_ || steps_ == 0) return false;
    try {
      save_checkpoint();
      writer_->wait();
      return writer_->take_failure().empty();
    } catch (const std::exception&) {
      return false;
    }
  }

  void step(const Decision& decision) {
    const auto [steps, elapsed_s, end_s] = std::tuple(steps_, decision.elapsed_s, decision.end_s);
    note_lines(step_.enter_phase(
        schedule_step(s_.train, s_.optimizer, steps, elapsed_s, end_s).fraction, elapsed_s));
    const StepSchedule schedule =
        schedule_in_phase(step_.phases(), s_.train, s_.optimizer, steps, elapsed_s, end_s);
    const double flops = step_.plan().flops();
    const double begun_s = s_.recorded.empty() ? elapsed_s : now_s();
    const TrainStep::Launched launched = step_.launch(schedule);
    ++steps_;
    in_flight_.push_back({steps_, schedule, elapsed_s, end_s, begun_s, launched.event,
                          step_.averager().snapshots(), step_.phases().now(), flops});
    if (launched.is_rounded && !has_qat_begun_) {
      has_qat_begun_ = true;
      observer_.on_note(
          fmt::format("late_qat:enabled step:{} scale:{:.4f}", steps_, schedule.lr_multiplier));
    }
    if (launched.has_cut_documents && !std::exchange(has_told_of_cuts_, true)) {
      observer_.on_note(fmt::format("packed:documents longer than {} tokens are cut step:{}",
                                    step_.phases().seq_len(step_.phases().now()), steps_));
    }
    if (launched.has_swa_begun) observer_.on_note(fmt::format("swa:start step:{}", steps_));
    collect(/*all=*/false);
    if (s_.train.val_every > 0 && steps_ % s_.train.val_every == 0 && s_.validate) validate();
    if (decision.is_checkpoint_due) {
      save_checkpoint();
      last_checkpoint_s_ = decision.elapsed_s;
    }
  }

  // Takes the numbers of the steps that are done, at the latest when another one has been launched.
  void collect(bool all) {
    while (!in_flight_.empty()) {
      const InFlight done = in_flight_.front();
      const bool must = all || static_cast<int64_t>(in_flight_.size()) >= TrainStep::kInFlight;
      if (!must && !s_.device->is_done(done.event)) return;
      s_.device->wait(done.event);
      in_flight_.erase(in_flight_.begin());
      const auto [loss, grad_norm] = step_.numbers(done.step);
      if (!std::isfinite(loss) || !std::isfinite(grad_norm)) fail_non_finite(done.step);
      last_loss_ = loss;
      if (is_first_) report(done, grad_norm);
    }
  }

  struct InFlight {
    int64_t step = 0;
    StepSchedule schedule;
    double decided_s = 0, end_s = 0;
    double begun_s = 0;  // which is not when it was decided if a tape decides
    uint64_t event = 0;
    int64_t swa_snapshots = 0;
    Phase phase;
    double flops = 0;  // of a micro-batch
  };

  void note_lines(const std::string& lines) {
    for (size_t at = 0; at < lines.size();) {
      const size_t end = std::min(lines.find('\n', at), lines.size());
      observer_.on_note(lines.substr(at, end - at));
      at = end + 1;
    }
  }

  void report(const InFlight& done, double grad_norm) {
    const double end_s = now_s();
    const double step_s = end_s - std::max(done.begun_s, end_of_last_step_s_);
    end_of_last_step_s_ = end_s;
    // The last step is of the last phase, and steps may have been shorter before it.
    predictor_.add_step(step_s * step_.phases().slowdown_to_come(done.phase));
    StepReport r;
    r.step = done.step;
    r.loss_nats = last_loss_;
    r.grad_norm = grad_norm;
    r.lr_multiplier = done.schedule.lr_multiplier;
    r.decay_multiplier = done.schedule.decay_multiplier;
    r.decided_s = done.decided_s;
    r.end_s = done.end_s;
    r.swa_snapshots = done.swa_snapshots;
    r.next_window = step_.windows_used(done.step);
    r.step_s = step_s;
    r.train_s = end_s;
    r.tokens_per_s = static_cast<double>(s_.train.batch_tokens) / std::max(step_s, 1e-9);
    if (s_.peak_flops_per_s > 0) {
      if (end_s - last_peak_s_ >= kPeakEvery_s) {
        peak_flops_per_s_ = std::max(peak_flops_per_s_, s_.device->measure_matmul());
        last_peak_s_ = end_s;
      }
      // This rank's part of the work, on its device.
      const double flops = done.flops * static_cast<double>(step_.micro_batches()) /
                           static_cast<double>(comm_.ranks());
      r.speed_of_light = flops / (std::max(step_s, 1e-9) * peak_flops_per_s_);
    }
    r.time_left_s = std::max(predictor_.end_s() - end_s, 0.0);
    r.log = done.step <= 10 || done.step % s_.train.log_every == 0 ||
            done.step == s_.train.max_steps || !predictor_.steps_fit(end_s, 1);
    if (projector_) project(end_s);
    r.projected_bytes = projected_bytes_;
    note_checkpoint_failure();
    observer_.on_step(r);
  }

  // Takes the last answer and asks anew; nothing that is computed here reaches the training.
  void project(double end_s) {
    if (const auto projection = projector_->take()) {
      if (projection->bytes > 0) projected_bytes_ = projection->bytes;
      project_every_s_ = std::max(kProjectEvery_s, projection->cpu_s / kProjectShare);
      if (!projection->failure.empty() && !std::exchange(has_failed_projection_, true)) {
        observer_.on_note(
            fmt::format("projection:failed step:{} {}", projection->step, projection->failure));
      }
    }
    if (!projector_->is_idle()) return;
    if (last_project_s_ >= 0 && end_s - last_project_s_ < project_every_s_) return;
    last_project_s_ = end_s;
    step_.averager().download(projector_->weights());
    projector_->start(steps_);
  }

  void validate() {
    collect(/*all=*/true);
    const double end_s = end_of_last_step_s_, begin_s = is_first_ ? s_.clock->now_s() : 0.0;
    std::vector<HostTensor> weights = step_.weights().download();
    keep_exported(weights);
    const ValidationScore score = s_.validate(weights);
    if (!is_first_) return;
    observer_.on_validation(steps_, end_s, score.loss_nats, score.bits_per_byte);
    paused_s_ += s_.clock->now_s() - begin_s;
  }

  [[noreturn]] void fail_non_finite(int64_t step) {
    is_lost_ = true;  // the weights themselves may be what is bad
    const std::string tensor = step_.plan().find_non_finite();
    std::string kept;
    if (is_first_) {
      const bool has_one =
          !s_.checkpoint_file.empty() && std::filesystem::exists(s_.checkpoint_file);
      kept = has_one
                 ? fmt::format("the last good checkpoint is \"{}\"; ", s_.checkpoint_file.string())
                 : "no checkpoint was written; ";
    }
    throw Error(fmt::format(
        "non-finite loss or gradient in step {}: the first bad tensor is \"{}\"; {}lower "
        "optimizer.matrix_lr, embed_lr or scalar_lr",
        step, tensor.empty() ? "of another micro-batch" : tensor, kept));
  }

  // Of a step that is known to be good; every rank calls it.
  void save_checkpoint() {
    collect(/*all=*/true);
    step_.exchange().gather_state();
    if (!writer_ || steps_ == 0) return;
    note_checkpoint_failure();
    try {
      writer_->start(steps_, [this](CheckpointImage& image) { fill(image); });
    } catch (const std::bad_alloc&) {
      observer_.on_note(fmt::format("checkpoint:failed step:{} out of memory", steps_));
    }
  }

  void finish_checkpoint() {
    if (!writer_) return;
    writer_->wait();
    note_checkpoint_failure();
  }

  void note_checkpoint_failure() {
    if (!writer_) return;
    if (const std::string failure = writer_->take_failure(); !failure.empty()) {
      observer_.on_note(failure);
    }
  }

  void fill(CheckpointImage& image) {
    image.set_head({.identity = s_.identity,
                    .steps = steps_,
                    .train_s = now_s(),
                    .last_loss_nats = last_loss_,
                    .average_progress = step_.averager().progress(),
                    .step_times_s = predictor_.steps_to_keep_s(),
                    .phases = step_.phases().steps()});
    download_state(step_, image);
  }

  // Rank 0 reads, the others get it from there.
  void resume() {
    Progress progress;
    if (is_first_ && !s_.checkpoint_file.empty()) {
      if (const auto c = read_checkpoint(s_.checkpoint_file, s_.identity)) {
        upload_state(step_, *c, s_.checkpoint_file);
        take_progress(c->head);
        progress = {.is_resumed = true,
                    .steps = steps_,
                    .average_progress = c->head.average_progress,
                    .phases = c->head.phases};
      }
    }
    comm_.host().broadcast(&progress, sizeof progress, /*root=*/0);
    if (!progress.is_resumed) return;
    steps_ = progress.steps;
    step_.averager().set_progress(progress.average_progress);
    if (has_phases(s_.train)) step_.phases().set_steps(progress.phases);
    broadcast_state(step_);
    observer_.on_note(
        fmt::format("resume:checkpoint step:{} train_time:{:.0f}ms", steps_, 1000 * earlier_s_));
  }

  void take_progress(const CheckpointHead& head) {
    steps_ = head.steps;
    earlier_s_ = end_of_last_step_s_ = head.train_s;
    last_loss_ = head.last_loss_nats;
    for (const double seconds : head.step_times_s) predictor_.add_step(seconds);
  }

  const TrainSetup& s_;
  Comm& comm_;
  const bool is_first_;  // rank 0
  const double start_s_;
  double earlier_s_ = 0, paused_s_ = 0;
  NullObserver null_observer_;
  TrainObserver& observer_;
  TrainStep step_;
  StopPredictor predictor_;
  std::vector<InFlight> in_flight_;  // the oldest first
  bool has_qat_begun_ = false;       // said of this part of the run
  bool has_told_of_cuts_ = false;    // likewise
  int64_t steps_ = 0;                // launched
  bool is_lost_ = false;             // a number was not finite
  double end_of_last_step_s_ = 0, last_loss_ = 0;
  double last_project_s_ = -1, last_checkpoint_s_ = 0, last_peak_s_ = 0;
  double peak_flops_per_s_ = s_.peak_flops_per_s;  // the best so far
  int64_t projected_bytes_ = 0;
  double project_every_s_ = kProjectEvery_s;
  bool has_failed_projection_ = false;
  std::optional<SizeProjector> projector_;
  std::optional<CheckpointWriter> writer_;
};

}  // namespace

TrainResult train(const TrainSetup& setup) {
  std::unique_ptr<Comm> single;
  if (setup.comm == nullptr) single = make_single_comm();
  Comm& comm = setup.comm == nullptr ? *single : *setup.comm;
  PG_CHECK(setup.train.seq_len == setup.batches->seq_len(), "batches of the recipe's seq_len");
  PG_CHECK(setup.batches->held_out() == held_out_tokens(setup.train), "text that it holds out");
  check_batches(setup.train, comm.ranks());
  check_training(setup.model, setup.train, setup.optimizer);
  check_phases(setup.model, setup.train, setup.batches->loader());
  std::optional<Trainer> trainer;
  TrainResult result;
  fail_on_throw(comm, [&] {  // told while the buffers are there that others may be reading
    trainer.emplace(setup, comm);
    result = trainer->run();
  });
  return result;
}

}  // namespace pg
