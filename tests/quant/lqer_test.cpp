// Low-rank corrections: what they must recover, their ranges, and that decoding is exact.
#include "quant/method/lqer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quant/format/half.h"
#include "src/base/threads.h"
#include "tests/quant/gptq_reference.h"

namespace pg {
namespace {

double squared_norm(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

// error minus its approximation.
std::vector<float> remainder_of(const std::vector<float>& error, int64_t rows, int64_t cols,
                                const LowRank& low_rank) {
  std::vector<float> sum(error.size());
  add_low_rank(low_rank, rows, cols, sum);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = error[i] - sum[i];
  return sum;
}

// P Q with P [rows, rank], Q [rank, cols] Gaussian, plus noise.
std::vector<float> low_rank_matrix(size_t rows, size_t cols, size_t rank, double noise) {
  const auto p = random_matrix(static_cast<int64_t>(rows), static_cast<int64_t>(rank), 1, 0.1);
  const auto q = random_matrix(static_cast<int64_t>(rank), static_cast<int64_t>(cols), 2, 0.1);
  auto out = random_matrix(static_cast<int64_t>(rows), static_cast<int64_t>(cols), 3, noise);
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t k = 0; k < rank; ++k) out[i] += p[i / cols * rank + k] * q[k * cols + i % cols];
  }
  return out;
}

// |A B - A' B'| <= |A - A'| |B| + |A'| |B - B'|, each code within half a scale, |B|_2 = 1.
double code_error_bound(const LowRank& fit) {
  const auto a_scale = static_cast<double>(float_from_half(fit.a_scale));
  double b_squares = 0, a_squares = 0;
  for (size_t i = 0; i < fit.b.size(); ++i) {
    const uint16_t scale = fit.b_scales[i / static_cast<size_t>(fit.group)];
    b_squares += std::pow(0.5 * static_cast<double>(float_from_half(scale)), 2);
  }
  for (const int8_t code : fit.a) a_squares += std::pow(code * a_scale, 2);
  const double a_error = 0.5 * a_scale * std::sqrt(static_cast<double>(fit.a.size()));
  // 1 + 2^-10: the scales are rounded to fp16, so the largest value may lie past the last tie.
  return (a_error + std::sqrt(a_squares * b_squares)) * (1 + 0x1p-10);
}

TEST(Lqer, RecoversALowRankMatrixUpToItsCodes) {
  for (const auto& [rows, cols] : {std::pair{160, 48}, std::pair{48, 160}}) {
    const std::vector<float> error =
        low_rank_matrix(static_cast<size_t>(rows), static_cast<size_t>(cols), 4, 0);
    const LowRank fit = fit_low_rank(error, rows, cols, {.group = 32});
    const double left = squared_norm(remainder_of(error, rows, cols, fit));
    EXPECT_LE(std::sqrt(left), code_error_bound(fit)) << rows;
    EXPECT_LT(left, 0.75 * squared_norm(error)) << rows;
  }
}

TEST(Lqer, FindsTheLeadingDirectionsUnderNoise) {
  const std::vector<float> error = low_rank_matrix(300, 96, 2, 0.002);
  const double all = squared_norm(error);
  double last = all;
  for (const int rank : {1, 2, 4}) {
    const LowRank fit = fit_low_rank(error, 300, 96, {.rank = rank});
    const double left = squared_norm(remainder_of(error, 300, 96, fit));
    EXPECT_LT(left, last + 0.01 * all) << rank;  // two directions are all there is
    last = left;
  }
  EXPECT_LT(last, 0.75 * all);  // two bits a number: as in the test above
}

TEST(Lqer, CodesFillTheirRangesAndScalesFollowTheGroups) {
  const std::vector<float> error = random_matrix(90, 50, 5, 0.01);
  const LowRank fit = fit_low_rank(error, 90, 50, {.rank = 3, .group = 64});
  EXPECT_EQ(fit.a.size(), 90u * 3);
  EXPECT_EQ(fit.b.size(), 3u * 50);
  EXPECT_EQ(fit.b_scales.size(), 3u);  // 150 codes in groups of 64
  EXPECT_GE(*std::min_element(fit.a.begin(), fit.a.end()), -2);
  EXPECT_EQ(*std::max_element(fit.a.begin(), fit.a.end()), 1);
  for (size_t begin = 0; begin < 150; begin += 64) {
    const auto first = fit.b.begin() + static_cast<int64_t>(begin);
    const auto last = fit.b.begin() + static_cast<int64_t>(std::min<size_t>(begin + 64, 150));
    const auto [low, high] = std::minmax_element(first, last);
    EXPECT_GE(*low, -8);
    EXPECT_LE(*high, 7);
    EXPECT_GE(std::max<int>(-*low, *high), 7);
  }
}

TEST(Lqer, ZeroErrorGivesNothing) {
  std::vector<float> values(12 * 8);
  const LowRank fit = fit_low_rank(values, 12, 8, {.rank = 2, .group = 4});
  add_low_rank(fit, 12, 8, values);
  EXPECT_EQ(values, std::vector<float>(12 * 8));
}

TEST(Lqer, ThreadCountChangesNothing) {
  const std::vector<float> error = random_matrix(200, 96, 6, 0.01);
  const auto run = [&](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    const LowRank fit = fit_low_rank(error, 200, 96, {});
    std::vector<float> values = error;
    add_low_rank(fit, 200, 96, values);
    set_thread_count(before);
    return std::tuple(fit.a, fit.a_scale, fit.b, fit.b_scales, values);
  };
  EXPECT_EQ(run(1), run(4));
}

// By hand: scales 0.5 and 2, 0.25; value + sum of (a 0.5) (b scale).
TEST(LowRank, AddsByHand) {
  const LowRank low_rank{.rank = 2,
                         .group = 3,
                         .a = {1, -2, 0, 1},
                         .a_scale = half_from_float(0.5f),
                         .b = {7, -8, 1, 2, 3, -4},
                         .b_scales = {half_from_float(2.0f), half_from_float(0.25f)}};
  std::vector<float> values = {1, 1, 1, 0, 0, 0};
  add_low_rank(low_rank, 2, 3, values);
  EXPECT_EQ(values,
            (std::vector<float>{1 + 7 - 0.5f, 1 - 8 - 0.75f, 1 + 1 + 1.0f, 0.25f, 0.375f, -0.5f}));
}

TEST(LowRank, RankZeroAddsNothing) {
  std::vector<float> values = {1, 2};
  add_low_rank({}, 1, 2, values);
  EXPECT_EQ(values, (std::vector<float>{1, 2}));
}

// Every bit, against a product that is fused and one that is not: both are exact, so they agree.
TEST(LowRank, DecodesTheSameBitsWithAndWithoutFusedMultiplyAdd) {
  const int64_t rows = 65, cols = 130;
  const std::vector<float> error = random_matrix(rows, cols, 7, 0.013);
  const LowRank fit = fit_low_rank(error, rows, cols, {.rank = 4, .group = 32});
  std::vector<float> values = random_matrix(rows, cols, 8);
  const std::vector<float> before = values;
  add_low_rank(fit, rows, cols, values);
  for (size_t i = 0; i < values.size(); ++i) {
    double fused = 0;
    volatile double separate = 0;
    for (size_t k = 0; k < 4; ++k) {
      const double a = fit.a[i / 130 * 4 + k] * static_cast<double>(float_from_half(fit.a_scale));
      const size_t at = k * 130 + i % 130;
      const double b = fit.b[at] * static_cast<double>(float_from_half(fit.b_scales[at / 32]));
      volatile double product = a * b;
      separate = separate + product;
      fused = std::fma(a, b, fused);
    }
    ASSERT_EQ(fused, separate);
    ASSERT_EQ(values[i], static_cast<float>(static_cast<double>(before[i]) + fused)) << i;
  }
}

}  // namespace
}  // namespace pg
