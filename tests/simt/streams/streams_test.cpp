// The device of a GPU, its graphs and its ranks in any order that streams and events allow: the same numbers,
// and no access that nothing orders. And what a seeded bug of them is caught by.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "kernels/simt/simt_races.h"
#include "tests/simt/fake_cuda/fake_ranks.h"
#include "tests/simt/streams/stream_check.h"
#include "tests/simt/streams/stream_mutants.h"
#include "tests/train/trajectory.h"

namespace pg {
namespace {

using fake_cuda::Order;

class Streams : public FakeRanks {
 protected:
  Streams() {
    simt::watch_accesses(false);  // shared memory has a test of its own
    setup_.train.batch_tokens = 512;
    setup_.train.gradient_leaves = 4;
  }

  // The exported weights of so many ranks in an order, in which nothing may be out of it.
  TrainResult train_in(Order order, uint64_t seed, int ranks) {
    fake_cuda::order_streams(order, seed);
    fake_cuda::watch_order(true);
    others_.clear();
    TrainResult result = train_on(ranks);
    for (const std::string& fault : fake_cuda::take_faults()) {
      ADD_FAILURE() << name_of(order) << ", seed " << seed << ": " << fault;
    }
    fake_cuda::watch_order(false);
    return result;
  }
};

TEST_F(Streams, ThePiecesOfWorkAreInOrder) {
  EXPECT_EQ(check_all_orders(&pg_make_cuda_device), "");
}

TEST_F(Streams, TwoGpusTrainAlikeInEveryOrder) {
  const TrainResult one = train_on(1);
  exchange_ = ExchangeBy::kDevices;
  for (const Order order : {Order::kLastGiven, Order::kComputeFirst, Order::kSideFirst}) {
    expect_same(one.exported, train_in(order, 1, 2).exported);
  }
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    expect_same(one.exported, train_in(Order::kRandom, seed, 2).exported);
  }
}

TEST_F(Streams, FourGpusTrainAlikeInRandomOrder) {
  const TrainResult one = train_on(1);
  exchange_ = ExchangeBy::kDevices;
  expect_same(one.exported, train_in(Order::kRandom, 3, 4).exported);
  exchange_ = ExchangeBy::kHosts;
  expect_same(one.exported, train_in(Order::kRandom, 4, 4).exported);
}

// Twenty steps with most switches on, whose work is recorded and repeated.
TEST_F(Streams, RepeatedStepsHaveTheBitsOfStepsGivenAnewInAnyOrder) {
  const RichTrajectory rich(DType::kBF16);
  fake_cuda::order_streams(Order::kRandom, 11);
  fake_cuda::watch_order(true);
  {
    const auto device = make_fake_gpu(DType::kBF16);
    const RichTrajectory::Repeats repeats = rich.compare_repeats(*device);
    EXPECT_TRUE(repeats.have_same_bits);
    EXPECT_GT(repeats.count, 18 * 2);
  }
  EXPECT_EQ(fake_cuda::take_faults(), std::vector<std::string>());
}

TEST_F(Streams, EachSeededBugIsCaught) {
  const std::vector<StreamMutant> mutants = stream_mutants();
  EXPECT_GE(mutants.size(), 16u);
  for (const StreamMutant& mutant : mutants) {
    const std::string caught = check_all_orders(mutant.make);
    EXPECT_NE(caught, "") << mutant.name << " was not caught";
    fake_cuda::end_all_streams();
    RecordProperty(mutant.name, caught);
  }
}

// Every wait and record of two ranks' exchange, left out in turn, is found, or nothing needed it: those
// are named here.
TEST_F(Streams, EachEventThatIsLeftOutIsFound) {
  fake_cuda::fail_call(fake_cuda::CallPlace{});
  ASSERT_EQ(check_exchanges(&pg_make_cuda_device), "");
  int64_t found = 0;
  std::set<std::string> missed;
  for (const int gpu : {0, 1}) {
    fake_cuda::fail_call(fake_cuda::CallPlace{});
    ASSERT_EQ(check_exchanges(&pg_make_cuda_device), "");
    const auto calls = fake_cuda::count_calls_of(gpu);
    for (const char* name : {"cudaEventRecord", "cudaStreamWaitEvent"}) {
      for (int64_t n = 1; n <= calls.at(name); ++n) {
        fake_cuda::order_streams(Order::kFirstGiven);
        fake_cuda::watch_order(true);
        fake_cuda::drop_call(fake_cuda::CallPlace{name, n, gpu});
        const std::string fault = check_exchanges(&pg_make_cuda_device);
        fake_cuda::watch_order(false);
        found += fault.empty() ? 0 : 1;
        if (fault.empty()) missed.insert(std::string(name) + ' ' + std::to_string(n));
      }
    }
  }
  EXPECT_GT(found, 0);
  EXPECT_EQ(missed, std::set<std::string>());
}

}  // namespace
}  // namespace pg
