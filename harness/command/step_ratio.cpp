#include "harness/command/step_ratio.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "harness/command/interrupt.h"
#include "harness/command/rank_steps.h"
#include "harness/command/run_steps.h"
#include "quant/method/round_to_grid.h"
#include "src/base/check.h"
#include "src/device/registry/make_device.h"
#include "src/train/trainer.h"

namespace pg {
namespace {

class StepTimes final : public TrainObserver {
 public:
  void on_step(const StepReport& report) override { seconds_.push_back(report.step_s); }
  void on_validation(int64_t, double, double, double) override {}
  void on_note(const std::string&) override {}
  double mean_s() {
    PG_CHECK(seconds_.size() > 1, "a rehearsal of two steps at least");
    seconds_[0] = seconds_[1];
    return std::accumulate(seconds_.begin(), seconds_.end(), 0.0) /
           static_cast<double>(seconds_.size());
  }

 private:
  std::vector<double> seconds_;
};

// A recipe with its text, ready to train for a few steps again and again.
class Rehearsal {
 public:
  Rehearsal(Recipe recipe, int64_t steps, Clock& clock)
      : recipe_(shorten(std::move(recipe), steps)),
        text_(recipe_),
        device_(make_device(recipe_.track.device)),
        clock_(clock) {}

  double step_s() {
    StepTimes times;
    TrainSetup setup;
    setup.model = recipe_.model;
    setup.train = recipe_.train;
    setup.optimizer = recipe_.optimizer;
    setup.device = device_.get();
    setup.batches = &text_.batches;
    setup.prefix_of = list_token_prefixes(recipe_);
    if (recipe_.train.late_qat_lr > 0) {
      setup.round_weights = [this](const std::vector<HostTensor>& weights) {
        return round_to_grid(recipe_.model, weights, recipe_.quant);
      };
    }
    setup.clock = &clock_;
    setup.observer = &times;
    setup.stop_requested = is_interrupt_requested;
    if (train(setup).stop_reason == StopReason::kInterrupted) {
      throw Interrupted("interrupted while step times were measured; none is kept of this arm");
    }
    return times.mean_s();
  }

 private:
  // What is counted in steps keeps its part of the training, so that phases and late work do.
  static Recipe shorten(Recipe recipe, int64_t steps) {
    TrainConfig& train = recipe.train;
    const auto scaled = [&](int64_t of) { return of * steps / train.max_steps; };
    train.warmdown_steps = scaled(train.warmdown_steps);
    train.lr_warmup_steps = std::min(scaled(train.lr_warmup_steps), steps - 1);
    train.swa_every = std::max<int64_t>(1, scaled(train.swa_every));
    train.lawa_every = std::max<int64_t>(1, scaled(train.lawa_every));
    train.max_steps = steps;
    train.wallclock_s = 0;
    train.val_every = 0;
    return recipe;
  }

  const Recipe recipe_;
  const RunText text_;
  const std::unique_ptr<Device> device_;
  Clock& clock_;
};

}  // namespace

std::vector<double> measure_step_ratios(const Recipe& base, const Recipe& arm,
                                        const RatioOptions& options, Clock& clock,
                                        const std::function<void(const std::string&)>& show) {
  Rehearsal ours(arm, options.steps, clock), theirs(base, options.steps, clock);
  std::vector<double> ratios;
  for (int64_t round = 0; round < options.rounds; ++round) {
    if (show) show(fmt::format("round {} of {}", round + 1, options.rounds));
    const double base_s = theirs.step_s();
    ratios.push_back(ours.step_s() / base_s);
  }
  return ratios;
}

}  // namespace pg
