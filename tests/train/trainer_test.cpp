// The trainer: it learns, keeps its cap, resumes to the very same weights, survives a full disk and
// names a bad tensor.
#include "src/train/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <ctime>
#include <new>
#include <thread>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/base/threads.h"
#include "src/files/write_file.h"
#include "src/model/model.h"
#include "src/train/checkpoint.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

TEST_F(TrainerTest, LearnsARepeatedText) {
  setup_.train.max_steps = 80;
  setup_.train.warmdown_steps = 40;
  const TrainResult result = train(setup_);
  EXPECT_NEAR(recorder_.steps.front().loss_nats, std::log(61.0), 0.1);
  // Knowing only which 16 ids occur costs ln 16 = 2.77; half of that needs the context.
  EXPECT_LT(result.last_loss_nats, 1.38);
  EXPECT_EQ(result.steps, 80);
  EXPECT_EQ(result.tokens, 80 * 256);
  EXPECT_EQ(result.stop_reason, StopReason::kMaxSteps);
}

TEST_F(TrainerTest, EveryParameterMoves) {
  setup_.train.average = Average::kNone;
  const TrainResult result = train(setup_);
  Weights start(*device_, list_params(setup_.model), false);
  start.initialise(static_cast<uint64_t>(setup_.train.seed));
  const auto initial = start.download();
  for (size_t i = 0; i < initial.size(); ++i) {
    EXPECT_NE(initial[i].values, result.exported[i].values)
        << initial[i].spec.name << " never moved";
  }
}

TEST_F(TrainerTest, TheExportedWeightsAreTheAverage) {
  const TrainResult ema = train(setup_);
  const std::vector<StepReport> ema_steps = std::exchange(recorder_.steps, {});
  setup_.train.average = Average::kNone;
  const TrainResult none = train(setup_);
  EXPECT_NE(ema.exported[0].values, none.exported[0].values);
  ASSERT_EQ(recorder_.steps.size(), ema_steps.size());
  for (size_t i = 0; i < ema_steps.size(); ++i) {  // averaging watches, it never steers
    EXPECT_EQ(recorder_.steps[i].loss_nats, ema_steps[i].loss_nats) << i;
    EXPECT_EQ(recorder_.steps[i].grad_norm, ema_steps[i].grad_norm) << i;
  }
}

// Over the last four of twelve steps the rate falls to 0.75, 0.5, 0.25.
TEST_F(TrainerTest, AStepTellsOfTheSnapshotsBehindIt) {
  setup_.train.average = Average::kSwa;
  setup_.train.swa_start_lr = 0.9;
  setup_.train.swa_every = 2;
  const TrainResult result = train(setup_);
  ASSERT_EQ(recorder_.steps.size(), 12u);
  for (const StepReport& report : recorder_.steps) {
    EXPECT_EQ(report.swa_snapshots, report.step < 10 ? 0 : report.step < 12 ? 1 : 2) << report.step;
  }
  EXPECT_EQ(result.averaging, "swa of 2");
}

TEST_F(TrainerTest, AResumedRunEndsWithTheSameWeights) {
  const TrainResult whole = train(setup_);
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  setup_.train.checkpoint_every_s = 1e-9;  // after every step
  int polls = 0;
  setup_.stop_requested = [&] { return ++polls > 5; };
  const TrainResult half = train(setup_);
  EXPECT_EQ(half.steps, 5);
  EXPECT_EQ(half.stop_reason, StopReason::kInterrupted);
  setup_.stop_requested = nullptr;
  const TrainResult rest = train(setup_);
  EXPECT_TRUE(recorder_.has_note("resume:checkpoint step:5"));
  EXPECT_EQ(rest.steps, whole.steps);
  expect_same(whole.exported, rest.exported);
}

TEST_F(TrainerTest, TheSizeOfACheckpointIsKnownBefore) {
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  setup_.train.max_steps = 20;  // more than the step times that are kept
  for (const Average average : {Average::kNone, Average::kEma}) {
    std::filesystem::remove(setup_.checkpoint_file);
    setup_.train.average = average;
    train(setup_);
    EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(setup_.checkpoint_file)),
              checkpoint_bytes(
                  checkpoint_sizes(list_params(setup_.model), setup_.train, setup_.optimizer)));
  }
}

// The end of training is a checkpoint too: when packing fails, nothing is trained again.
TEST_F(TrainerTest, AFinishedTrainingIsKept) {
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  const TrainResult first = train(setup_);
  recorder_.steps.clear();
  const TrainResult again = train(setup_);
  EXPECT_TRUE(recorder_.steps.empty());
  expect_same(first.exported, again.exported);
}

TEST_F(TrainerTest, ACheckpointOfAnotherRecipeIsRefused) {
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  setup_.train.checkpoint_every_s = 1e-9;
  train(setup_);
  setup_.identity = 2;
  EXPECT_THROW(train(setup_), Error);
  setup_.identity = 0;
  Bytes bytes = read_file(setup_.checkpoint_file);
  bytes[bytes.size() / 2] ^= 1;
  write_file_atomic(setup_.checkpoint_file, bytes);
  EXPECT_THROW(train(setup_), Error);
  bytes.resize(bytes.size() / 2);
  write_file_atomic(setup_.checkpoint_file, bytes);
  EXPECT_THROW(train(setup_), Error);
}

TEST_F(TrainerTest, ThreadCountNeverChangesTheWeights) {
  const int threads = thread_count();
  set_thread_count(1);
  const TrainResult one = train(setup_);
  set_thread_count(3);
  const TrainResult three = train(setup_);
  set_thread_count(threads);
  expect_same(one.exported, three.exported);
}

TEST_F(TrainerTest, TheLastStepEndsBeforeTheCap) {
  TickingClock clock(0.01);
  setup_.clock = &clock;
  setup_.train.max_steps = 100000;
  setup_.train.wallclock_s = 1.0;
  const TrainResult result = train(setup_);
  EXPECT_EQ(result.stop_reason, StopReason::kWallclock);
  EXPECT_LE(result.train_s, 1.0);
  EXPECT_GT(result.train_s, 0.9);
  EXPECT_TRUE(recorder_.has_note("stopping_early: wallclock_cap"));
  EXPECT_TRUE(recorder_.steps.back().log);
}

// A tick is 0.01 s and no step is longer than another: what was rehearsed and a margin are kept free,
// or as much as the recipe allows. The learning rate has come down when training ends.
TEST_F(TrainerTest, TimeIsKeptFreeForWhatComesAfter) {
  setup_.train.max_steps = 100000;
  setup_.train.wallclock_s = 1.0;
  setup_.train.warmdown_form = WarmdownForm::kFraction;
  setup_.train.warmdown_fraction = 0.5;
  setup_.rest_s = 0.4;
  for (const double most_s : {0.0, 0.25, 0.75}) {
    TickingClock clock(0.01);
    setup_.clock = &clock;
    setup_.train.reserve_s = most_s;
    const TrainResult result = train(setup_);
    const double kept_s = most_s == 0.25 ? 0.25 : 0.5;
    EXPECT_NEAR(result.reserve_s, kept_s, 1e-9);
    EXPECT_EQ(result.stop_reason, StopReason::kWallclock);
    EXPECT_LE(result.train_s, 1.0 - kept_s);
    EXPECT_GT(result.train_s, 0.9 - kept_s);
    const StepReport last = std::exchange(recorder_.steps, {}).back();
    EXPECT_LE(last.end_s, 1.0 - kept_s);
    EXPECT_NEAR(last.lr_multiplier, 1.0 - (last.decided_s / last.end_s - 0.5) / 0.5, 1e-12);
    EXPECT_LT(last.lr_multiplier, 0.2);
  }
}

TEST_F(TrainerTest, WhatLeavesNoTimeLeavesNoStep) {
  setup_.train.wallclock_s = 1.0;
  setup_.rest_s = 0.9;
  EXPECT_EQ(train(setup_).steps, 0);
}

TEST_F(TrainerTest, ANonFiniteLossNamesATensorAndKeepsTheCheckpoint) {
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  setup_.train.checkpoint_every_s = 1e-9;
  setup_.optimizer.scalar_lr = 10;
  setup_.optimizer.embed_lr = 10;
  setup_.optimizer.matrix_lr = 10;
  setup_.optimizer.adam_weight_decay = 10;  // p (1 - 100): grows a hundredfold a step
  setup_.optimizer.muon_weight_decay = 10;
  setup_.train.max_steps = 1000;
  try {
    train(setup_);
    FAIL() << "the run should not have survived";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("first bad tensor"), std::string::npos)
        << error.what();
    // The update of the bad step changed nothing, so that its weights are not what is found.
    EXPECT_EQ(std::string(error.what()).find("first bad tensor is \"tok_emb\""), std::string::npos)
        << error.what();
  }
  // Whatever was written last is whole: it ends with the hash of what stands before.
  const Bytes last = read_file(setup_.checkpoint_file);
  const auto body = std::span(last).first(last.size() - sizeof(Sha256));
  const Sha256 hash = sha256(body);
  EXPECT_TRUE(
      std::equal(hash.begin(), hash.end(), last.begin() + static_cast<int64_t>(body.size())));
}

TEST_F(TrainerTest, AFailedCheckpointDoesNotEndTheRun) {
  setup_.checkpoint_file = "/proc/pg_no_such_place/checkpoint.bin";
  setup_.train.checkpoint_every_s = 1e-9;
  const TrainResult result = train(setup_);
  EXPECT_EQ(result.steps, 12);
  EXPECT_TRUE(recorder_.has_note("checkpoint:failed"));
}

// Whatever fails after a step, that step is kept, and the training goes on from it to the same
// weights.
TEST_F(TrainerTest, AFailureBetweenStepsKeepsTheLastStep) {
  const TrainResult whole = train(setup_);
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  setup_.train.val_every = 7;
  setup_.validate = [](const std::vector<HostTensor>&) -> ValidationScore {
    throw Error("cannot read the text");
  };
  EXPECT_THROW(train(setup_), Error);
  setup_.train.val_every = 0;
  const TrainResult rest = train(setup_);
  EXPECT_TRUE(recorder_.has_note("resume:checkpoint step:7"));
  expect_same(whole.exported, rest.exported);
}

TEST_F(TrainerTest, RunningOutOfMemorySaysWhatToLowerAndKeepsTheLastStep) {
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  setup_.train.val_every = 3;
  setup_.validate = [](const std::vector<HostTensor>&) -> ValidationScore {
    throw std::bad_alloc();
  };
  try {
    train(setup_);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("lower train.micro_batch_tokens"), std::string::npos);
  }
  setup_.train.val_every = 0;
  train(setup_);
  EXPECT_TRUE(recorder_.has_note("resume:checkpoint step:3"));
}

TEST_F(TrainerTest, ValidationRunsOnItsGridAndOffTheClock) {
  setup_.train.val_every = 4;
  setup_.validate = [](const std::vector<HostTensor>&) { return ValidationScore{1.0, 2.0}; };
  train(setup_);
  EXPECT_EQ(recorder_.validations, 3);
}

TEST_F(TrainerTest, PricingNeverChangesTheWeights) {
  const TrainResult without = train(setup_);
  std::atomic<int64_t> jobs = 0;
  setup_.project_bytes = [&](const std::vector<HostTensor>& weights) {
    ++jobs;
    jobs.notify_all();
    std::atomic<int64_t> elements = 0;
    // A loop of its own must not disturb the trainer's.
    parallel_chunks(static_cast<int64_t>(weights.size()), [&](int64_t i) {
      elements += weights[static_cast<size_t>(i)].spec.elements();
    });
    return elements.load();
  };
  TickingClock clock(10);  // due at every step
  setup_.clock = &clock;
  const size_t steps_before = recorder_.steps.size();
  setup_.stop_requested = [&] {
    if (recorder_.steps.size() > steps_before) jobs.wait(0);  // so that steps run beside it
    return false;
  };
  const TrainResult with = train(setup_);
  EXPECT_GE(jobs, 1);
  expect_same(without.exported, with.exported);
}

// Steps go on while the projector is stuck, and what it says at last is heard.
TEST_F(TrainerTest, ASlowProjectionIsHeardOfLater) {
  constexpr int64_t kReleasedAt = 6, kBytes = 123456;
  std::atomic<bool> is_released = false;
  setup_.project_bytes = [&](const std::vector<HostTensor>&) {
    is_released.wait(false);
    return kBytes;
  };
  bool is_heard = false;
  setup_.stop_requested = [&] {
    if (static_cast<int64_t>(recorder_.steps.size()) == kReleasedAt) {
      is_released = true;
      is_released.notify_all();
    }
    is_heard = !recorder_.steps.empty() && recorder_.steps.back().projected_bytes > 0;
    return is_heard;
  };
  setup_.train.max_steps = 100000;
  const TrainResult result = train(setup_);
  EXPECT_TRUE(is_heard);
  EXPECT_GT(result.steps, kReleasedAt);
  EXPECT_EQ(recorder_.steps[kReleasedAt - 1].projected_bytes, 0);
  EXPECT_EQ(recorder_.steps.back().projected_bytes, kBytes);
}

// What is priced is the average that would be exported, of the step that asked.
TEST_F(TrainerTest, TheAverageOfTheMomentIsPriced) {
  setup_.train.max_steps = 100000;
  setup_.stop_requested = [&] { return recorder_.steps.size() == 1; };
  const TrainResult one_step = train(setup_);
  std::vector<HostTensor> priced;
  std::atomic<bool> is_priced = false;
  setup_.project_bytes = [&](const std::vector<HostTensor>& weights) {
    if (priced.empty()) priced = weights;
    is_priced = true;
    return int64_t{1};
  };
  setup_.stop_requested = [&] { return is_priced.load(); };
  train(setup_);  // the projector has ended before it returns
  expect_same(one_step.exported, priced);
}

// A price that takes long is asked for seldom: of a core it never takes more than a hundredth.
TEST_F(TrainerTest, ADearProjectionIsAskedForSeldom) {
  constexpr double kCost_s = 0.2, kEvery_s = 100 * kCost_s;
  TickingClock clock(1);
  setup_.clock = &clock;
  setup_.train.max_steps = 12;
  std::atomic<int> begun = 0, ended = 0;
  setup_.project_bytes = [&](const std::vector<HostTensor>&) {
    ++begun;
    timespec now = {}, start = {};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    const auto seconds = [](const timespec& t) {
      return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
    };
    do {
      ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    } while (seconds(now) - seconds(start) < kCost_s);
    ++ended;
    return int64_t{1};
  };
  setup_.stop_requested = [&] {  // prices take no time by the test's clock
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    while (begun != ended) std::this_thread::yield();
    return false;
  };
  train(setup_);
  EXPECT_GE(ended, 2);
  EXPECT_LE(ended, 1 + clock.now_s() / kEvery_s);
}

TEST_F(TrainerTest, AFailedProjectionIsNotedOnceAndEndsNothing) {
  std::atomic<int> jobs = 0;
  setup_.project_bytes = [&](const std::vector<HostTensor>&) -> int64_t {
    ++jobs;
    throw Error("no scale");
  };
  TickingClock clock(10);
  setup_.clock = &clock;
  setup_.train.max_steps = 100000;
  setup_.stop_requested = [&] { return jobs >= 4; };
  train(setup_);
  EXPECT_EQ(std::ranges::count(recorder_.notes, "projection:failed step:1 no scale"), 1);
  EXPECT_EQ(recorder_.notes.size(), 2u);  // and the one on averaging
}

TEST_F(TrainerTest, ANonFiniteLossEndsTheProjectorToo) {
  setup_.optimizer.scalar_lr = setup_.optimizer.embed_lr = setup_.optimizer.matrix_lr = 10;
  setup_.optimizer.adam_weight_decay = setup_.optimizer.muon_weight_decay = 10;
  setup_.train.max_steps = 1000;
  setup_.project_bytes = [](const std::vector<HostTensor>&) { return int64_t{1}; };
  EXPECT_THROW(train(setup_), Error);
}

TEST_F(TrainerTest, BatchSizesThatDoNotFitAreErrors) {
  setup_.train.micro_batch_tokens = 100;
  EXPECT_THROW(train(setup_), Error);
  setup_.train.micro_batch_tokens = 96;
  EXPECT_THROW(train(setup_), Error);
}

}  // namespace
}  // namespace pg
