// What a step may not do: wait for the device, allocate; and what runs beside it.
#include "src/train/train_step.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/comm/comm_single.h"
#include "src/train/batch_prefetch.h"
#include "src/train/checkpoint_writer.h"
#include "tests/plan/allocation_counter.h"
#include "tests/train/late_device.h"
#include "tests/train/lock_counter.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

class TrainStepTest : public TrainerTest {
 protected:
  // What count(body) says of two steps after the first four.
  template <class Count>
  int64_t count_in_steps(const Count& count) {
    setup_.train.gradient_leaves = 2;
    const auto comm = make_single_comm();
    TrainStep step(setup_, *comm);
    step.start_at(0);
    for (int i = 0; i < 4; ++i) step.launch({});
    return count([&] {
      step.launch({});
      step.launch({.lr_multiplier = 0.5, .warmdown = 0.5});
    });
  }
};

TEST_F(TrainStepTest, TheOnlyWaitIsForTheStepBefore) {
  const TrainResult on_time = train(setup_);
  const std::vector<StepReport> want = std::exchange(recorder_.steps, {});
  LateDevice late("cpu");
  setup_.device = &late;
  std::vector<size_t> waits_before_report;
  int64_t in_steps = -1;
  setup_.stop_requested = [&] {  // once before each step
    if (in_steps < 0) in_steps = late.synchronizations + late.blocking_downloads;
    waits_before_report.push_back(late.waits.size());
    EXPECT_EQ(late.synchronizations + late.blocking_downloads, in_steps);
    return false;
  };
  const TrainResult result = train(setup_);
  expect_same(on_time.exported, result.exported);
  ASSERT_EQ(recorder_.steps.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(recorder_.steps[i].step, want[i].step);
    EXPECT_EQ(recorder_.steps[i].loss_nats, want[i].loss_nats);
    EXPECT_EQ(recorder_.steps[i].grad_norm, want[i].grad_norm);
  }
  // The first step is launched without a wait; each one after waits for the one before, no more.
  ASSERT_EQ(late.waits.size(), want.size());
  for (size_t i = 0; i + 1 < late.waits.size(); ++i) EXPECT_EQ(late.waits[i], 1u) << i;
  for (size_t i = 1; i < waits_before_report.size(); ++i) {
    EXPECT_EQ(waits_before_report[i], i - 1) << i;
  }
}

// A checkpoint is of a step whose numbers are known to be finite, also where they come late.
TEST_F(TrainStepTest, ALateNonFiniteStepIsNeverKept) {
  LateDevice late("cpu");
  setup_.device = &late;
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  setup_.train.checkpoint_every_s = 1e-9;
  setup_.optimizer.scalar_lr = setup_.optimizer.embed_lr = setup_.optimizer.matrix_lr = 10;
  setup_.optimizer.adam_weight_decay = setup_.optimizer.muon_weight_decay = 10;
  setup_.train.max_steps = 1000;
  EXPECT_THROW(train(setup_), Error);
  const auto kept = read_checkpoint(setup_.checkpoint_file, 0);
  ASSERT_TRUE(kept);
  EXPECT_GE(kept->head.steps, 1);  // one that was still being written may be left out
  EXPECT_LE(kept->head.steps, recorder_.steps.back().step);
  for (const float value : kept->array(CheckpointArray::kMasters)) {
    ASSERT_TRUE(std::isfinite(value));
  }
}

TEST_F(TrainStepTest, ARepeatedStepTakesNoLock) {
  EXPECT_EQ(count_in_steps([](const auto& steps) { return count_locks(steps); }), 0);
  std::mutex mutex;
  EXPECT_EQ(count_locks([&] { const std::lock_guard lock(mutex); }), PG_LOCKS_ARE_COUNTED);
}

TEST_F(TrainStepTest, ARepeatedStepAllocatesNothing) {
  const int threads = thread_count();
  set_thread_count(1);
  EXPECT_EQ(count_in_steps([](const auto& steps) { return count_allocations(steps); }), 0);
  setup_.optimizer.aurora_iterations = 2;
  setup_.optimizer.normuon = NorMuon::kModded;
  setup_.optimizer.newton_schulz_scaling = NewtonSchulzScaling::kAol;
  setup_.optimizer.ema_nesterov_beta = 0.6;
  setup_.optimizer.ema_nesterov_start = 0;
  setup_.train.lawa_every = 1;
  for (const Average average : {Average::kEmaSwa, Average::kLawa}) {
    setup_.train.average = average;
    EXPECT_EQ(count_in_steps([](const auto& steps) { return count_allocations(steps); }), 0);
  }
  set_thread_count(threads);
}

// Nor in any phase, once it has begun.
TEST_F(TrainStepTest, StepsOfAPhaseAllocateNothing) {
  const int threads = thread_count();
  set_thread_count(1);
  setup_.model.loop_first = setup_.model.loop_last = 1;
  setup_.model.loop_passes = 2;
  setup_.train.loop_from = 0.8;
  setup_.train.bag_inputs = true;
  setup_.train.bag_targets = 4;
  const auto comm = make_single_comm();
  TrainStep step(setup_, *comm);
  step.start_at(0);
  for (const double fraction : {0.1, 0.4, 0.9}) {
    const auto take = [&] {
      step.enter_phase(fraction);
      step.launch({.fraction = fraction});
    };
    for (int i = 0; i < 4; ++i) take();
    EXPECT_EQ(count_allocations([&] {
                take();
                take();
              }),
              0)
        << fraction;
  }
  set_thread_count(threads);
}

TEST_F(TrainStepTest, BatchesComeInTheirOrderAndAFailureIsThrownWhereItIsNeeded) {
  std::vector<int64_t> asked;
  std::atomic<int64_t> last_asked = -1;
  bool has_failed = false;
  const LossTargets loss_targets(setup_.train);
  BatchPrefetch prefetch(*batches_, loss_targets, 2, [&](int64_t k) {
    if (k == 2 && !std::exchange(has_failed, true)) throw Error("the shard is away");
    asked.push_back(k);
    last_asked = k;
    last_asked.notify_all();
    return 7 * k;
  });
  std::vector<int32_t> ids(64), targets(64);
  const auto expect_next = [&](int64_t k) {
    const MicroBatch& batch = prefetch.next();
    batches_->read(7 * k, 2, ids, targets);
    EXPECT_EQ(batch.ids, ids);
    EXPECT_EQ(batch.targets, targets);
  };
  expect_next(0);
  last_asked.wait(0);  // for ever, if the next one were not read ahead
  expect_next(1);
  EXPECT_THROW(prefetch.next(), Error);  // it failed on the other thread, ahead
  for (const int64_t k : {2, 3, 4}) expect_next(k);
  for (size_t k = 0; k < 5; ++k) EXPECT_EQ(asked[k], static_cast<int64_t>(k));
}

TEST_F(TrainStepTest, ACheckpointIsWrittenBesideItsStarter) {
  const std::filesystem::path file = folder_ / "checkpoint.bin";
  CheckpointSizes sizes;
  sizes.fill(0);
  sizes.front() = size_t{16} << 20;  // 64 MiB: tens of milliseconds of work
  CheckpointWriter writer(file, sizes);
  writer.start(3, [](CheckpointImage& image) {
    CheckpointHead head;
    head.steps = 3;
    image.set_head(head);
  });
  EXPECT_FALSE(writer.is_idle());
  EXPECT_FALSE(std::filesystem::exists(file));
  writer.wait();
  EXPECT_TRUE(writer.is_idle());
  EXPECT_EQ(writer.take_failure(), "");
  EXPECT_EQ(peek_checkpoint_steps(file), 3);
}

}  // namespace
}  // namespace pg
