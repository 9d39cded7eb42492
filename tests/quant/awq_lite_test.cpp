// The salient group by hand, and what must move it.
#include "quant/method/awq_lite.h"

#include <gtest/gtest.h>

#include <vector>

namespace pg {
namespace {

TEST(AwqLite, ScoreByHand) {
  // Two rows, 66 columns: the second group has two columns. mean|w| = 2, RMS 1 and 3.
  std::vector<float> values(2 * 66, 0.0f), diagonal(66, 1.0f);
  for (const size_t c : {64, 65}) values[c] = 1, values[66 + c] = -3;
  diagonal[65] = 9;
  const SalientColumns best = find_salient_columns(values, 2, 66, diagonal);
  EXPECT_EQ(best.first_column, 64);
  EXPECT_DOUBLE_EQ(best.score, 2 * 1 + 2 * 3);
}

TEST(AwqLite, BothWeightsAndInputsCount) {
  std::vector<float> values(3 * 192, 0.1f), diagonal(192, 1.0f);
  const auto first = [&] { return find_salient_columns(values, 3, 192, diagonal).first_column; };
  EXPECT_EQ(first(), 0);  // the first of equals
  diagonal[100] = 25;
  EXPECT_EQ(first(), 64);
  values[190] = -4;
  EXPECT_EQ(first(), 128);
}

TEST(AwqLite, ScoreIsAMeanOverRows) {
  const std::vector<float> few(2 * 64, 0.5f), many(9 * 64, 0.5f), diagonal(64, 4.0f);
  EXPECT_DOUBLE_EQ(find_salient_columns(few, 2, 64, diagonal).score, 64);
  EXPECT_DOUBLE_EQ(find_salient_columns(many, 9, 64, diagonal).score, 64);
}

}  // namespace
}  // namespace pg
