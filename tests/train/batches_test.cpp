#include "src/train/batches.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "src/data/corpus/write_shard.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

// Ids that tell their own position: make_ids with a modulus above the count.
class BatchesTest : public testing::Test {
 protected:
  TokenStream make_stream(int64_t tokens) const {
    write_shard(folder_ / "b.bin", make_ids(tokens, 60'000));
    return TokenStream::open((folder_ / "b.bin").string(), 60'000);
  }
  DataFolder folder_;
};

std::vector<int64_t> list_starts(const Batches& batches, int64_t first, int64_t count) {
  std::vector<int64_t> starts;
  for (int64_t i = first; i < first + count; ++i) starts.push_back(batches.window_start(i));
  return starts;
}

TEST_F(BatchesTest, SequentialWindowsFollowEachOtherAndWrap) {
  const TokenStream stream = make_stream(42);
  const Batches batches(stream, Loader::kSequential, 1, 10);
  EXPECT_EQ(batches.windows_per_epoch(), 4);
  EXPECT_EQ(list_starts(batches, 0, 6), (std::vector<int64_t>{0, 10, 20, 30, 0, 10}));
}

TEST_F(BatchesTest, SequentialIgnoresTheSeed) {
  const TokenStream stream = make_stream(1000);
  EXPECT_EQ(list_starts(Batches(stream, Loader::kSequential, 1, 7), 0, 300),
            list_starts(Batches(stream, Loader::kSequential, 2, 7), 0, 300));
}

TEST_F(BatchesTest, RandomLoadersVisitEveryWindowOnceAnEpoch) {
  constexpr int64_t kTokens = 300;
  const TokenStream stream = make_stream(kTokens);
  for (const Loader loader : {Loader::kCoprime, Loader::kShuffled}) {
    for (int64_t seq_len = 1; seq_len < kTokens; ++seq_len) {  // from 299 windows down to one
      const Batches batches(stream, loader, 5, seq_len);
      const int64_t windows = batches.windows_per_epoch();
      for (int64_t epoch = 0; epoch < 3; ++epoch) {
        const std::vector<int64_t> starts = list_starts(batches, epoch * windows, windows);
        const std::set<int64_t> distinct(starts.begin(), starts.end());
        ASSERT_EQ(distinct.size(), starts.size()) << "sequence length " << seq_len;
        const int64_t phase = *distinct.begin();
        ASSERT_GE(phase, 0);
        ASSERT_LT(phase, seq_len);
        for (const int64_t start : starts) ASSERT_EQ((start - phase) % seq_len, 0);
        ASSERT_LE(*distinct.rbegin() + seq_len + 1, kTokens);  // the last target lies inside
      }
    }
  }
}

TEST_F(BatchesTest, RandomLoadersLoseLessThanTwoWindowsOfTheStream) {
  const TokenStream stream = make_stream(300);
  for (int64_t seq_len = 1; seq_len < 300; ++seq_len) {
    const int64_t windows = Batches(stream, Loader::kShuffled, 5, seq_len).windows_per_epoch();
    EXPECT_GT((windows + 2) * seq_len, 299);
  }
}

TEST_F(BatchesTest, EpochsAndSeedsGiveOtherOrders) {
  const TokenStream stream = make_stream(4000);
  for (const Loader loader : {Loader::kCoprime, Loader::kShuffled}) {
    const Batches batches(stream, loader, 1, 16);
    const int64_t windows = batches.windows_per_epoch();
    EXPECT_NE(list_starts(batches, 0, windows), list_starts(batches, windows, windows));
    EXPECT_NE(list_starts(batches, 0, windows),
              list_starts(Batches(stream, loader, 2, 16), 0, windows));
  }
}

TEST_F(BatchesTest, ShuffledOrderHasNoTrend) {
  const TokenStream stream = make_stream(40'000);
  const Batches batches(stream, Loader::kShuffled, 3, 16);
  const std::vector<int64_t> starts = list_starts(batches, 0, batches.windows_per_epoch());
  // Of a random permutation of n, n/2 neighbours ascend, with variance (n+1)/12; five standard
  // deviations allowed.
  const auto n = static_cast<double>(starts.size());
  double ascents = 0;
  for (size_t i = 1; i < starts.size(); ++i) ascents += starts[i] > starts[i - 1] ? 1 : 0;
  EXPECT_NEAR(ascents, (n - 1) / 2, 5 * std::sqrt((n + 1) / 12));
  // The first quarter covers the whole stream evenly: the mean start, variance of a uniform draw.
  const size_t quarter = starts.size() / 4;
  const double mean =
      std::accumulate(starts.begin(), starts.begin() + static_cast<int64_t>(quarter), 0.0) /
      static_cast<double>(quarter);
  EXPECT_NEAR(mean, 20'000, 5 * 40'000 / std::sqrt(12.0 * static_cast<double>(quarter)));
}

// Numbers of an independent implementation of the formulas in batches.cpp; they cross an epoch's
// end at index 14.
TEST_F(BatchesTest, OrdersAreTheSameOnEveryMachine) {
  const TokenStream stream = make_stream(1000);
  EXPECT_EQ(list_starts(Batches(stream, Loader::kCoprime, 42, 64), 10, 8),
            (std::vector<int64_t>{8, 840, 776, 712, 67, 3, 835, 771}));
  EXPECT_EQ(list_starts(Batches(stream, Loader::kShuffled, 42, 64), 10, 8),
            (std::vector<int64_t>{520, 264, 840, 72, 195, 131, 771, 3}));
}

TEST_F(BatchesTest, TargetsAreTheNextIds) {
  const TokenStream stream = make_stream(1000);
  for (const Loader loader : {Loader::kSequential, Loader::kCoprime, Loader::kShuffled}) {
    const Batches batches(stream, loader, 9, 32);
    std::vector<int32_t> ids(3 * 32), targets(3 * 32);
    batches.read(100, 3, ids, targets);
    for (size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ(ids[i], batches.window_start(100 + static_cast<int64_t>(i) / 32) +
                            static_cast<int64_t>(i) % 32);
      EXPECT_EQ(targets[i], ids[i] + 1);
    }
  }
}

TEST_F(BatchesTest, HeldOutTokensAreInNoWindow) {
  const TokenStream stream = make_stream(1000);
  const TokenStream shorter = [&] {
    write_shard(folder_ / "c.bin", make_ids(900, 60'000));
    return TokenStream::open((folder_ / "c.bin").string(), 60'000);
  }();
  for (const Loader loader : {Loader::kSequential, Loader::kCoprime, Loader::kShuffled}) {
    const Batches batches(stream, loader, 9, 32, /*held_out=*/100);
    // As if the text ended there.
    EXPECT_EQ(list_starts(batches, 0, 200), list_starts(Batches(shorter, loader, 9, 32), 0, 200));
    EXPECT_EQ(list_starts(batches.with_windows(8, 4), 0, 200),
              list_starts(Batches(shorter, loader, 9, 32).with_windows(8, 4), 0, 200));
    const std::vector<int32_t> held_out = batches.read_held_out();
    ASSERT_EQ(held_out.size(), 100u);
    EXPECT_EQ(held_out.front(), 900);  // ids tell their position
    EXPECT_EQ(held_out.back(), 999);
  }
  EXPECT_TRUE(Batches(stream, Loader::kShuffled, 9, 32).read_held_out().empty());
}

TEST_F(BatchesTest, HoldingOutTooMuchIsAnError) {
  const TokenStream stream = make_stream(100);
  for (const int64_t held_out : {95, 200}) {
    EXPECT_TRUE(says(catch_error([&] { Batches(stream, Loader::kShuffled, 1, 10, held_out); }),
                     "or a smaller train.held_out_tokens"));
  }
}

TEST_F(BatchesTest, ShortStreamIsAnError) {
  const TokenStream stream = make_stream(10);
  EXPECT_TRUE(says(catch_error([&] { Batches(stream, Loader::kShuffled, 1, 10); }),
                   "too few tokens for one window: 10, a window of sequence length 10 needs 11"));
  EXPECT_EQ(Batches(stream, Loader::kShuffled, 1, 9).windows_per_epoch(), 1);
}

}  // namespace
}  // namespace pg
