// Any number of ranks gives the same bytes, a checkpoint of four goes on with one, and a rank that
// fails ends them all.
#include <gtest/gtest.h>

#include <array>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/train/optimizer.h"
#include "src/train/rank_work.h"
#include "tests/train/late_device.h"
#include "tests/train/ranks_fixture.h"

namespace pg {
namespace {

using Ranks = RanksTest;

TEST_F(Ranks, AnyNumberOfRanksAndThreadsGivesTheSameWeights) {
  const int threads = thread_count();
  for (const char* name : {"cpu:bf16", "cpu:exact"}) {
    device_name_ = name;
    recorder_.steps.clear();
    const TrainResult one = train_on(1);
    const std::vector<StepReport> steps = recorder_.steps;
    for (const int ranks : {2, 4, 8}) {
      for (const int count : {1, 2, 8}) {
        set_thread_count(count);
        recorder_.steps.clear();
        others_.clear();
        const TrainResult several = train_on(ranks);
        expect_same(one.exported, several.exported);
        ASSERT_EQ(others_.size(), static_cast<size_t>(ranks - 1));
        for (const TrainResult& other : others_) expect_same(one.exported, other.exported);
        ASSERT_EQ(recorder_.steps.size(), steps.size());
        for (size_t i = 0; i < steps.size(); ++i) {
          EXPECT_EQ(recorder_.steps[i].loss_nats, steps[i].loss_nats) << i;
          EXPECT_EQ(recorder_.steps[i].grad_norm, steps[i].grad_norm) << i;
        }
      }
    }
    set_thread_count(threads);
  }
}

// The GPU's kernels, launched by ranks that share nothing but what they exchange.
TEST_F(Ranks, AnyNumberOfRanksOfTheKernelsGivesTheSameWeights) {
  device_name_ = "simt";
  setup_.train.max_steps = 2;
  const TrainResult one = train_on(1);
  for (const int ranks : {2, 4}) expect_same(one.exported, train_on(ranks).exported);
}

// Devices whose memory no other may touch, as GPUs: what ranks exchange goes through their hosts.
TEST_F(Ranks, DevicesWithMemoryOfTheirOwnGiveTheSameWeights) {
  setup_.train.max_steps = 2;
  device_name_ = "cpu";
  const TrainResult one = train_on(1);
  const std::vector<StepReport> steps = std::exchange(recorder_.steps, {});
  device_name_ = "fenced";
  for (const int ranks : {2, 4}) {
    recorder_.steps.clear();
    expect_same(one.exported, train_on(ranks).exported);
    ASSERT_EQ(recorder_.steps.size(), steps.size());
    EXPECT_EQ(recorder_.steps.back().loss_nats, steps.back().loss_nats);
  }
  setup_.train.sums = Sums::kFast;
  const TrainResult fast = train_on(4);
  device_name_ = "cpu";
  expect_same(fast.exported, train_on(4).exported);
}

// Rank 0's decisions go from host to host: no rank waits for its device but for the step before.
TEST_F(Ranks, NoRankWaitsForItsDeviceWithinAStep) {
  constexpr int kRanks = 4;
  struct Waits {
    int64_t blocking = 0;
    size_t events = 0;
  };
  const auto count_waits = [&](int64_t steps) {
    setup_.train.max_steps = steps;
    std::array<Waits, kRanks> waits;
    run_ranks(kRanks, [&](Comm& comm) {
      LateDevice device(device_name_);
      TrainSetup setup = setup_;
      setup.device = &device;
      setup.comm = &comm;
      train(setup);
      for (const uint64_t age : device.waits) EXPECT_LE(age, 1u);
      waits[static_cast<size_t>(comm.rank())] = {
          device.synchronizations + device.blocking_downloads, device.waits.size()};
    });
    return waits;
  };
  const auto few = count_waits(4), many = count_waits(9);
  for (size_t rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(many[rank].blocking, few[rank].blocking) << "rank " << rank;  // begin and end alone
    EXPECT_EQ(many[rank].events, few[rank].events + 5) << "rank " << rank;
  }
}

TEST_F(Ranks, FastSumsTrainAlikeButAreNotTheSameSums) {
  train_on(4);
  const std::vector<StepReport> ordered = std::exchange(recorder_.steps, {});
  setup_.train.sums = Sums::kFast;
  train_on(4);
  // In four parts one after the other, not as a tree: the same up to a few roundings of the parts.
  EXPECT_NEAR(recorder_.steps[0].grad_norm, ordered[0].grad_norm, 1e-6 * ordered[0].grad_norm);
  EXPECT_NE(recorder_.steps[0].grad_norm, ordered[0].grad_norm);
}

// Leaves change the order of a sum and nothing else: all micro-batches are in it.
TEST_F(Ranks, LeavesAddUpTheSameGradient) {
  setup_.train.max_steps = 1;
  train_on(1);
  const StepReport eight = recorder_.steps.back();
  setup_.train.gradient_leaves = 1;
  const TrainResult one = train_on(1);
  // The mean of eight micro-batches either way, in f64; each gradient's sum differs by a few
  // roundings.
  EXPECT_NEAR(recorder_.steps.back().loss_nats, eight.loss_nats, 1e-12);
  EXPECT_NEAR(recorder_.steps.back().grad_norm, eight.grad_norm, 1e-5 * eight.grad_norm);
  setup_.train.gradient_leaves = 8;
  setup_.train.max_steps = 6;
  const TrainResult leaves = train_on(1);
  setup_.train.gradient_leaves = 2;
  EXPECT_NE(train_on(1).exported[0].values, leaves.exported[0].values);
}

TEST_F(Ranks, ACheckpointOfFourRanksGoesOnWithOneAndBack) {
  const TrainResult whole = train_on(1);
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  for (const auto& [before, after] : {std::pair{4, 1}, {1, 4}, {4, 2}}) {
    std::filesystem::remove(setup_.checkpoint_file);
    int polls = 0;
    setup_.stop_requested = [&] { return ++polls > 3; };
    const TrainResult half = train_on(before);
    EXPECT_EQ(half.steps, 3);
    EXPECT_EQ(half.stop_reason, StopReason::kInterrupted);
    setup_.stop_requested = nullptr;
    recorder_.notes.clear();
    const TrainResult rest = train_on(after);
    EXPECT_TRUE(recorder_.has_note("resume:checkpoint step:3"));
    EXPECT_EQ(rest.steps, whole.steps);
    expect_same(whole.exported, rest.exported);
  }
}

TEST_F(Ranks, ThatDoNotDivideTheLeavesAreRefused) {
  setup_.train.gradient_leaves = 2;
  try {
    train_on(4);
    FAIL() << "four ranks for two leaves";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("train.gradient_leaves \"2\""), std::string::npos)
        << error.what();
  }
  setup_.train.gradient_leaves = 3;
  EXPECT_THROW(train_on(1), Error);
  setup_.train.gradient_leaves = 16;  // more than micro-batches
  EXPECT_THROW(train_on(1), Error);
}

// The one that stops at the clock: rank 0's.
TEST_F(Ranks, StopByTheClockOfRankZero) {
  TickingClock clock(0.01);
  setup_.clock = &clock;
  setup_.train.max_steps = 100000;
  setup_.train.wallclock_s = 1.0;
  const TrainResult result = train_on(2);
  EXPECT_EQ(result.stop_reason, StopReason::kWallclock);
  EXPECT_LE(result.train_s, 1.0);
  EXPECT_GT(result.train_s, 0.9);
  ASSERT_EQ(others_.size(), 1u);
  EXPECT_EQ(others_[0].steps, result.steps);
}

// The work table of any number of ranks: each parameter is stepped once, and the load is even.
TEST_F(Ranks, EachParameterHasOneOwner) {
  const ModelConfig record;  // 11 x 512
  const Weights weights(*device_, list_params(record), /*with_gradients=*/true);
  for (const int ranks : {1, 2, 3, 4, 8}) {
    const WorkTable table = divide_work(weights, ranks);
    std::vector<uint8_t> owners(static_cast<size_t>(weights.flat_elements()), 0);
    std::vector<uint8_t> sums(static_cast<size_t>(table.sums), 0);
    std::vector<double> load;
    for (const RankWork& rank : table.ranks) {
      std::vector<Stretch> all = rank.adamw_stretches;
      for (const auto& bank : rank.bank_stretches) all.insert(all.end(), bank.begin(), bank.end());
      for (const Stretch& s : all) {
        for (int64_t i = 0; i < s.elements; ++i) ++owners[static_cast<size_t>(s.offset + i)];
      }
      for (const Stretch& s : rank.sum_stretches) {
        for (int64_t i = 0; i < s.elements; ++i) ++sums[static_cast<size_t>(s.offset + i)];
      }
      load.push_back(0);
      for (const MuonWork& work : rank.muon) {
        const double side = static_cast<double>(std::min(work.shape.rows, work.shape.cols));
        load.back() +=
            static_cast<double>(work.shape.count) * side * side *
            (2.0 * static_cast<double>(std::max(work.shape.rows, work.shape.cols)) + side);
      }
    }
    EXPECT_EQ(std::count(owners.begin(), owners.end(), 1), weights.flat_elements()) << ranks;
    EXPECT_EQ(std::count(sums.begin(), sums.end(), 1), table.sums) << ranks;
    const auto [least, most] = std::minmax_element(load.begin(), load.end());
    // Largest first to the least loaded: ranks differ by the largest matrix at most.
    EXPECT_LE(*most - *least, 512.0 * 512 * (2 * 1536 + 512)) << ranks;
  }
}

TEST_F(Ranks, TheOptimizerIsFewCalls) {
  const ModelConfig record;
  Weights weights(*device_, list_params(record), /*with_gradients=*/true);
  EXPECT_LE(Optimizer(weights, OptimizerConfig{}).ops_per_step(), 110);
}

// An observer that throws stands for whatever fails on one rank.
TEST_F(Ranks, AFailureOfOneEndsAll) {
  class Failing final : public TrainObserver {
   public:
    void on_step(const StepReport& report) override {
      if (report.step == 3) throw Error("the log is gone");
    }
    void on_validation(int64_t, double, double, double) override {}
    void on_note(const std::string&) override {}
  } failing;
  setup_.observer = &failing;
  setup_.train.max_steps = 1000;
  try {
    train_on(4);
    FAIL() << "it should have ended";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the log is gone"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pg
