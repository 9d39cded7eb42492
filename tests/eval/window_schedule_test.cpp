// Every target of a stream is scored once, whatever the lengths: checked by counting.
#include "eval/score/window_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "src/base/error.h"
#include "src/data/tokenizer.h"

namespace pg {
namespace {

// Counts how often each target is scored and checks what must hold for any window.
void expect_exact_cover(int64_t targets, int64_t context, int64_t stride) {
  SCOPED_TRACE(testing::Message() << "targets " << targets << ", context " << context << ", stride "
                                  << stride);
  const std::vector<EvalWindow> windows = plan_windows(0, {1, targets + 1}, {context, stride});
  std::vector<int> times_scored(static_cast<size_t>(targets) + 1, 0);
  int64_t next = 1;
  for (const EvalWindow& window : windows) {
    ASSERT_GE(window.begin, 0);
    ASSERT_GE(window.score_from, 0);
    ASSERT_GT(window.scored(), 0);
    ASSERT_LE(window.length, context);
    ASSERT_LE(window.begin + window.length, targets);
    ASSERT_EQ(window.first_target(), next) << "not in stream order";
    ASSERT_EQ(window.end_target() - window.first_target(), window.scored());
    for (int64_t target = next; target < window.end_target(); ++target) {
      ++times_scored[static_cast<size_t>(target)];
      const int64_t seen = target - window.begin;  // its own input included
      ASSERT_GT(seen, std::min(target - 1, context - stride)) << "too little context at " << target;
    }
    next = window.end_target();
  }
  ASSERT_EQ(std::count(times_scored.begin(), times_scored.end(), 1), targets);
}

TEST(WindowSchedule, ScoresEveryTargetExactlyOnce) {
  for (int64_t targets = 1; targets <= 40; ++targets) {
    for (int64_t context = 1; context <= 17; ++context) {
      for (int64_t stride = 1; stride <= context; ++stride) {
        ASSERT_NO_FATAL_FAILURE(expect_exact_cover(targets, context, stride));
      }
    }
  }
}

TEST(WindowSchedule, CoversStreamsOfTheRealSizes) {
  for (const int64_t targets : {2047, 2048, 2049, 62021, 62021 + 64}) {
    for (const int64_t stride : {64, 1536, 2048}) {
      ASSERT_NO_FATAL_FAILURE(expect_exact_cover(targets, 2048, stride));
    }
  }
}

TEST(WindowSchedule, MatchesThePublishedOneWhereThatScoresOnce) {
  const std::vector<EvalWindow> expected = {
      {.begin = 0, .length = 8, .score_from = 0},
      {.begin = 3, .length = 8, .score_from = 5},
      {.begin = 6, .length = 8, .score_from = 5},
      {.begin = 9, .length = 6, .score_from = 5},
  };
  EXPECT_EQ(plan_windows(0, {1, 16}, {8, 3}), expected);
}

TEST(WindowSchedule, PlainModeHasNoOverlap) {
  const std::vector<EvalWindow> expected = {
      {.begin = 0, .length = 4, .score_from = 0},
      {.begin = 4, .length = 4, .score_from = 0},
      {.begin = 8, .length = 1, .score_from = 0},
  };
  EXPECT_EQ(plan_windows(0, {1, 10}, {4, 4}), expected);
}

TEST(WindowSchedule, ContextOfATargetDoesNotDependOnTheStreamsEnd) {
  const std::vector<EvalWindow> all = plan_windows(0, {1, 201}, {16, 5});
  for (int64_t targets = 1; targets < 200; ++targets) {
    const std::vector<EvalWindow> cut = plan_windows(0, {1, targets + 1}, {16, 5});
    for (size_t i = 0; i < cut.size(); ++i) {
      ASSERT_EQ(cut[i].begin, all[i].begin);
      ASSERT_EQ(cut[i].score_from, all[i].score_from);
    }
  }
}

TEST(WindowSchedule, ARangeGetsTheWindowsOfTheWhole) {
  const WindowShape shape = {16, 5};
  const std::vector<EvalWindow> all = plan_windows(0, {1, 201}, shape);
  for (int64_t first = 1; first < 201; first += 7) {
    for (int64_t end = first + 1; end <= 201; end += 9) {
      int64_t next = first;
      for (const EvalWindow& window : plan_windows(0, {first, end}, shape)) {
        const auto whole = std::find_if(all.begin(), all.end(),
                                        [&](const EvalWindow& w) { return w.end_target() > next; });
        ASSERT_EQ(window.begin, whole->begin);
        ASSERT_EQ(window.first_target(), next);
        next = window.end_target();
        ASSERT_EQ(next, std::min(end, whole->end_target()));
      }
      ASSERT_EQ(next, end);
    }
  }
}

// A stream whose documents begin at the given positions.
std::vector<int32_t> make_documents(int64_t tokens, const std::vector<size_t>& starts) {
  std::vector<int32_t> stream(static_cast<size_t>(tokens), 9);
  for (const size_t start : starts) stream[start] = kBosId;
  return stream;
}

TEST(WindowSchedule, DocumentWindowsNeverReachBackOverABos) {
  // An empty document, one of a single token, one longer than the context, one cut by the end.
  const std::vector<int32_t> tokens = make_documents(60, {0, 9, 10, 12, 50});
  const WindowShape shape = {8, 3};
  for (int64_t first = 1; first < 61; ++first) {
    for (int64_t end = first + 1; end <= 61; ++end) {
      int64_t next = first;
      for (const EvalWindow& window : plan_document_windows(tokens, {first, end}, shape)) {
        ASSERT_EQ(window.first_target(), next);
        ASSERT_GT(window.scored(), 0);
        ASSERT_LE(window.length, shape.context);
        for (int64_t i = window.begin + 1; i < window.begin + window.length; ++i) {
          ASSERT_NE(tokens[static_cast<size_t>(i)], kBosId) << "window at " << window.begin;
        }
        next = window.end_target();
      }
      ASSERT_EQ(next, end);
    }
  }
}

TEST(WindowSchedule, ADocumentsWindowsAreThoseOfItsTextAlone) {
  const WindowShape shape = {8, 3};
  const std::vector<int32_t> tokens = make_documents(60, {0, 20});
  std::vector<EvalWindow> expected = plan_windows(0, {1, 21}, shape);
  for (EvalWindow window : plan_windows(0, {1, 41}, shape)) {
    window.begin += 20;
    expected.push_back(window);
  }
  EXPECT_EQ(plan_document_windows(tokens, {1, 61}, shape), expected);
}

TEST(WindowSchedule, RefusesWhatHasNoMeaning) {
  EXPECT_THROW(check_window_shape({0, 1}), Error);
  EXPECT_THROW(check_window_shape({8, 0}), Error);
  EXPECT_THROW(plan_windows(0, {1, 11}, {8, 9}), Error);
}

}  // namespace
}  // namespace pg
