// A match is real: the tokens before it agree over the length it tells; its confidence is earned.
#include "eval/mix/match_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "tests/eval/mixer_fixture.h"

namespace pg {
namespace {

constexpr int kMinLength = 6;

// Feeds tokens one by one and calls check(prediction, history) before each.
template <class Check>
void run(std::span<const int32_t> tokens, MatchModel& model, const Check& check) {
  std::vector<uint16_t> history;
  for (const int32_t token : tokens) {
    check(model.predict(history), history, token);
    model.learn(history, token);
    history.push_back(static_cast<uint16_t>(token));
    model.find(history);
  }
}

// Longest agreement of the end of the history with an earlier place that `token` followed; -1: any
// token.
int longest_agreement(const std::vector<uint16_t>& history, int32_t token) {
  int longest = 0;
  const auto size = static_cast<int>(history.size());
  const auto at = [&](int i) { return history[static_cast<size_t>(i)]; };
  for (int place = 1; place < size; ++place) {
    if (token >= 0 && at(place) != token) continue;
    int agreed = 0;
    while (agreed < place && at(place - 1 - agreed) == at(size - 1 - agreed)) ++agreed;
    longest = std::max(longest, agreed);
  }
  return longest;
}

TEST(MatchModel, PredictsWhatFollowedAnAgreement) {
  const auto tokens = make_repetitive_tokens(1500, 50, 1);
  MatchModel model(kMinLength, 1500);
  int predicted = 0, possible = 0, right = 0;
  run(tokens, model, [&](MatchModel::Prediction match, const auto& history, int32_t token) {
    possible += longest_agreement(history, -1) >= kMinLength ? 1 : 0;
    if (match.length == 0) return;
    ++predicted;
    right += match.token == token ? 1 : 0;
    ASSERT_GE(match.length, kMinLength);
    ASSERT_LE(match.length, longest_agreement(history, match.token));
  });
  EXPECT_GT(possible, 500);
  // Places share slots now and then, and a lost match is one token late.
  EXPECT_GT(predicted, possible * 9 / 10);
  EXPECT_GT(right, predicted / 2);
}

TEST(MatchModel, ConfidenceFollowsHits) {
  auto tokens = make_uniform_tokens(600, 1000, 2);
  tokens.insert(tokens.end(), tokens.begin(), tokens.end());
  MatchModel model(kMinLength, 1200);
  std::array<float, MatchModel::kBuckets> first = {}, last = {};
  run(tokens, model, [&](MatchModel::Prediction match, const auto&, int32_t) {
    const auto bucket = static_cast<size_t>(match.bucket);
    if (first[bucket] == 0) first[bucket] = match.confidence;
    last[bucket] = match.confidence;
  });
  EXPECT_GT(last[MatchModel::kBuckets - 1], first[MatchModel::kBuckets - 1]);
  EXPECT_GT(last[MatchModel::kBuckets - 1], 0.97f);
}

TEST(MatchModel, ConfidenceFollowsMisses) {
  // The same eight tokens, each time followed by another one.
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 500; ++i) {
    for (int32_t k = 0; k < 8; ++k) tokens.push_back(k);
    tokens.push_back(100 + i);
  }
  MatchModel model(8, static_cast<int64_t>(tokens.size()));
  float last = 1;
  int matches = 0;
  run(tokens, model, [&](MatchModel::Prediction match, const auto&, int32_t) {
    if (match.length == 0) return;
    ++matches;
    last = match.confidence;
  });
  EXPECT_GT(matches, 400);
  EXPECT_LT(last, 0.05f);
}

TEST(MatchModel, LongerStreamsThanExpectedOnlyStopAddingPlaces) {
  const auto tokens = make_repetitive_tokens(20000, 50, 3);
  MatchModel model(kMinLength, 10);
  int late = 0;
  run(tokens, model, [&](MatchModel::Prediction match, const auto& history, int32_t) {
    late += match.length > 0 && history.size() > 15000 ? 1 : 0;
  });
  EXPECT_GT(late, 0);
}

}  // namespace
}  // namespace pg
