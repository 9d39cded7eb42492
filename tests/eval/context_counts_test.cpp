// The lazily grown tables say what plain tables of every order would say: checked against maps.
#include "eval/mix/context_counts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "src/base/rng.h"

namespace pg {
namespace {

using Context = std::vector<int32_t>;  // oldest token first

// Successor -> count of each context, of all orders in one map.
class BruteForceCounts {
 public:
  BruteForceCounts(int min_order, int max_order) : min_order_(min_order), max_order_(max_order) {}
  const std::map<int32_t, uint32_t>* find(int order) const {
    const auto tokens = static_cast<size_t>(order - 1);
    if (tokens > history_.size()) return nullptr;
    const auto found = counts_.find(Context(history_.end() - order + 1, history_.end()));
    return found == counts_.end() ? nullptr : &found->second;
  }
  void learn(int32_t token) {
    for (int order = min_order_; order <= max_order_; ++order) {
      if (static_cast<size_t>(order - 1) > history_.size()) break;
      ++counts_[Context(history_.end() - order + 1, history_.end())][token];
    }
    history_.push_back(token);
  }

 private:
  int min_order_, max_order_;
  Context history_;
  std::map<Context, std::map<int32_t, uint32_t>> counts_;
};

void expect_equal(const SeenContext& seen, const std::map<int32_t, uint32_t>& counts) {
  uint32_t total = 0;
  std::map<int32_t, uint32_t> found;
  for (const Successor successor : seen.successors) {
    found[successor.token] = successor.count;
    total += successor.count;
  }
  ASSERT_EQ(found, counts);
  ASSERT_EQ(seen.total, total);
  ASSERT_TRUE(std::is_sorted(seen.successors.begin(), seen.successors.end(),
                             [](Successor a, Successor b) { return a.count > b.count; }));
}

void expect_exact(const std::vector<int32_t>& tokens, int min_order, int max_order) {
  SCOPED_TRACE(testing::Message() << "orders " << min_order << " to " << max_order);
  ContextCounts counts(min_order, max_order, static_cast<int64_t>(tokens.size()));
  BruteForceCounts brute(min_order, max_order);
  for (size_t t = 0; t < tokens.size(); ++t) {
    SCOPED_TRACE(testing::Message() << "position " << t);
    std::vector<SeenContext> seen(ContextCounts::kMaxOrder);
    seen.resize(static_cast<size_t>(counts.seen_contexts(seen)));
    size_t next = 0;
    for (int order = max_order; order >= min_order; --order) {
      const auto* expected = brute.find(order);
      if (expected == nullptr) continue;
      ASSERT_LT(next, seen.size()) << "order " << order << " is missing";
      ASSERT_EQ(seen[next].order, order);
      ASSERT_NO_FATAL_FAILURE(expect_equal(seen[next], *expected));
      ++next;
    }
    ASSERT_EQ(next, seen.size());
    counts.learn(tokens[t]);
    brute.learn(tokens[t]);
  }
}

// A stream that repeats itself often, at random distances, with few errors.
std::vector<int32_t> make_repetitive(size_t size, uint64_t vocab, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<int32_t> tokens;
  for (uint64_t draw = 0; tokens.size() < size; draw += 3) {
    if (tokens.empty() || rng.below(draw, 20) == 0) {
      tokens.push_back(static_cast<int32_t>(rng.below(draw + 1, vocab)));
      continue;
    }
    const size_t from = rng.below(draw + 1, tokens.size());
    const size_t length = rng.below(draw + 2, 20);
    for (size_t i = 0; i < length; ++i) tokens.push_back(tokens[from + i]);
  }
  tokens.resize(size);
  return tokens;
}

TEST(ContextCounts, EqualPlainCountsOfEveryOrder) {
  for (const uint64_t vocab : {1, 2, 5, 60, 1024}) {
    SCOPED_TRACE(testing::Message() << "vocabulary " << vocab);
    const auto tokens = make_repetitive(1500, vocab, vocab);
    ASSERT_NO_FATAL_FAILURE(expect_exact(tokens, 2, 10));
    ASSERT_NO_FATAL_FAILURE(expect_exact(tokens, 4, 7));
    ASSERT_NO_FATAL_FAILURE(expect_exact(tokens, 16, 16));
  }
}

TEST(ContextCounts, HoldThousandsOfSuccessorsOfOneContext) {
  constexpr int kSuccessors = 6000;
  ContextCounts counts(2, 3, 4 * kSuccessors);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kSuccessors; ++i) {
      counts.learn(65535);
      counts.learn(i);
    }
  }
  counts.learn(65535);
  std::array<SeenContext, 3> seen;
  const int contexts = counts.seen_contexts(seen);
  ASSERT_GE(contexts, 1);
  const SeenContext& shortest = seen[static_cast<size_t>(contexts) - 1];
  EXPECT_EQ(shortest.order, 2);
  EXPECT_EQ(shortest.total, 2u * kSuccessors);
  ASSERT_EQ(shortest.successors.size(), size_t{kSuccessors});
  for (const Successor successor : shortest.successors) ASSERT_EQ(successor.count, 2);
}

TEST(ContextCounts, HalveRatherThanOverflow) {
  ContextCounts counts(2, 2, 300000);
  for (int i = 0; i < 200000; ++i) counts.learn(i % 100 == 99 ? 2 : 1);
  SeenContext seen;
  ASSERT_EQ(counts.seen_contexts({&seen, 1}), 1);
  counts.learn(1);
  ASSERT_EQ(counts.seen_contexts({&seen, 1}), 1);
  ASSERT_EQ(seen.successors.size(), 2u);
  EXPECT_EQ(seen.successors[0].token, 1);
  const double share = seen.successors[1].count / static_cast<double>(seen.total);
  EXPECT_NEAR(share, 0.01, 0.001);
}

TEST(ContextCounts, FullTablesKeepCountingWhatTheyHold) {
  const auto tokens = make_repetitive(60000, 1024, 9);
  ContextCounts counts(2, 10, 0);  // room for a few thousand tokens
  int64_t before = 0;
  for (size_t t = 0; t < tokens.size(); ++t) {
    counts.learn(tokens[t]);
    if (t == tokens.size() / 2) before = counts.contexts();
  }
  EXPECT_EQ(counts.contexts(), before) << "not full: the test tests nothing";
  std::vector<SeenContext> seen(10);
  EXPECT_GE(counts.seen_contexts(seen), 1);
}

TEST(ContextCounts, TakeBoundedMemory) {
  const CounterRng rng(4, kStreamTest);
  constexpr int64_t kTokens = 200000;
  ContextCounts counts(2, 10, kTokens);
  for (uint64_t i = 0; i < kTokens; ++i) counts.learn(static_cast<int32_t>(rng.below(i, 1024)));
  // 62M tokens in 6 GB are 96 bytes a token, the match model's 4 to 8 included.
  EXPECT_LT(counts.memory_bytes(), 88 * kTokens);
}

}  // namespace
}  // namespace pg
