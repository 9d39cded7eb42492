// GPTQ against its published form in double, against round-to-nearest, and each option of its grid.
#include "quant/method/gptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "tests/quant/gptq_reference.h"

namespace pg {
namespace {

std::vector<int8_t> round_nearest(const std::vector<float>& values, size_t cols,
                                  const std::vector<float>& scales, int max_code) {
  std::vector<int8_t> codes;
  for (size_t i = 0; i < values.size(); ++i) {
    const float code = std::nearbyint(values[i] / scales[i / cols]);
    codes.push_back(static_cast<int8_t>(
        std::clamp(code, static_cast<float>(-max_code), static_cast<float>(max_code))));
  }
  return codes;
}

std::vector<float> subtract(const std::vector<float>& values, const std::vector<int8_t>& codes,
                            size_t cols, const std::vector<float>& scales) {
  std::vector<float> difference;
  for (size_t i = 0; i < values.size(); ++i) {
    difference.push_back(values[i] - static_cast<float>(codes[i]) * scales[i / cols]);
  }
  return difference;
}

double sum(const Doubles& values) {
  double total = 0;
  for (const double v : values) total += v;
  return total;
}

// A code may differ from the published form's only where that one stood at a tie, within what fp32
// can move a target: one rounding for each error fed back, for U and for the division. Past such
// a place a row is another row. 200 columns make three blocks and a part, 70 rows a chunk and one.
TEST(Gptq, EqualsThePublishedFormInDouble) {
  const int64_t rows = 70, cols = 200;
  const std::vector<float> values = random_matrix(rows, cols, 1);
  const std::vector<float> hessian = correlated_hessian(cols, 2);
  std::vector<float> scales;
  for (int64_t r = 0; r < rows; ++r) scales.push_back(0.2f + 0.01f * static_cast<float>(r));
  const int max_code = 5;  // some weights clip
  const GptqFactor factor = factor_hessian(hessian, cols, kDamping);
  const GptqResult fast =
      quantize_gptq(values, rows, cols, factor, {.max_code = max_code, .row_scales = scales});
  const Published published = quantize_published(values, 70, 200, hessian, scales, max_code);
  int same_rows = 0;
  for (size_t r = 0; r < 70; ++r) {
    // Largest sum of |w| + sum_j |e_j U_jk| over the row's targets, in scales.
    double bound = 0;
    Doubles sums(200);
    for (size_t k = 0; k < 200; ++k) {
      const auto c = static_cast<size_t>(factor.order[k]);
      const auto w = static_cast<double>(values[r * 200 + c]),
                 scale = static_cast<double>(scales[r]);
      bound = std::max(bound, (sums[k] + std::fabs(w)) / scale);
      const double error = std::fabs(w - published.codes[r * 200 + c] * scale);
      for (size_t j = k + 1; j < 200; ++j) {
        sums[j] += error * std::fabs(static_cast<double>(factor.feedback[k * 200 + j]));
      }
    }
    const double tolerance = 203 * 0x1p-24 * bound;
    bool same = true;
    for (size_t k = 0; k < 200; ++k) {
      const size_t i = r * 200 + static_cast<size_t>(factor.order[k]);
      same = fast.codes[i] == published.codes[i];
      if (same) continue;
      EXPECT_LE(published.tie_distances[i], tolerance) << "row " << r << " place " << k;
      break;
    }
    same_rows += same;
  }
  EXPECT_GE(same_rows, 60);
  EXPECT_EQ(*std::max_element(fast.codes.begin(), fast.codes.end()), max_code);
  EXPECT_NE(fast.codes, round_nearest(values, 200, scales, max_code));
}

TEST(Gptq, FactorMultipliesBackToTheDampedHessian) {
  const size_t n = 150;
  const std::vector<float> hessian = correlated_hessian(150, 5);
  const GptqFactor f = factor_hessian(hessian, 150, kDamping);
  const double damping = kDamping * mean_diagonal(hessian, n);
  for (size_t i = 0; i < n; ++i) {
    ASSERT_EQ(f.feedback[i * n + i], 1.0f);
    if (i > 0) {
      const auto a = static_cast<size_t>(f.order[i - 1]), b = static_cast<size_t>(f.order[i]);
      ASSERT_GE(hessian[a * n + a], hessian[b * n + b]);
    }
    for (size_t j = 0; j < n; ++j) {
      double product = 0, scale = 0;
      for (size_t k = 0; k < n; ++k) {
        if (k < i) {
          ASSERT_EQ(f.feedback[i * n + k], 0.0f);
        }
        const double term = static_cast<double>(f.feedback[i * n + k]) *
                            static_cast<double>(f.conditional[k]) *
                            static_cast<double>(f.feedback[j * n + k]);
        product += term;
        scale += std::fabs(term);
      }
      const auto want = static_cast<double>(
          hessian[static_cast<size_t>(f.order[i]) * n + static_cast<size_t>(f.order[j])]);
      // Three factors stored in fp32.
      ASSERT_NEAR(product, want + (i == j) * damping, 3 * 0x1p-24 * scale) << i << " " << j;
    }
  }
}

TEST(Gptq, BeatsRoundingToNearestOnCorrelatedInputs) {
  const int64_t rows = 48, cols = 160;
  const std::vector<float> values = random_matrix(rows, cols, 3), scales(48, 0.4f);
  const std::vector<float> hessian = correlated_hessian(cols, 4);
  const GptqResult gptq = quantize_gptq(values, rows, cols, factor_hessian(hessian, cols, kDamping),
                                        {.max_code = 31, .row_scales = scales});
  const auto error_of = [&](const std::vector<int8_t>& codes) {
    return sum(hessian_row_errors(subtract(values, codes, 160, scales), rows, cols, hessian));
  };
  EXPECT_LT(error_of(gptq.codes), 0.5 * error_of(round_nearest(values, 160, scales, 31)));
}

TEST(Gptq, DiagonalHessianRoundsToNearest) {
  const int64_t rows = 9, cols = 130;
  const std::vector<float> values = random_matrix(rows, cols, 6), scales(9, 0.3f);
  std::vector<float> hessian(130 * 130);
  for (size_t c = 0; c < 130; ++c) hessian[c * 131] = 1.0f + static_cast<float>(c % 7);
  const GptqResult q = quantize_gptq(values, rows, cols, factor_hessian(hessian, cols, kDamping),
                                     {.max_code = 7, .row_scales = scales});
  EXPECT_EQ(q.codes, round_nearest(values, 130, scales, 7));
}

TEST(Gptq, RowErrorsAreThoseOfTheDampedHessian) {
  const int64_t rows = 66, cols = 140;
  const std::vector<float> values = random_matrix(rows, cols, 7), scales(66, 0.25f);
  std::vector<float> hessian = correlated_hessian(cols, 8);
  const GptqResult q = quantize_gptq(values, rows, cols, factor_hessian(hessian, cols, kDamping),
                                     {.max_code = 31, .row_scales = scales});
  const auto damping = static_cast<float>(kDamping * mean_diagonal(hessian, 140));
  for (size_t c = 0; c < 140; ++c) hessian[c * 141] += damping;
  const Doubles want =
      hessian_row_errors(subtract(values, q.codes, 140, scales), rows, cols, hessian);
  for (size_t r = 0; r < 66; ++r) {
    EXPECT_NEAR(q.row_errors[r], want[r], 140 * 0x1p-23 * want[r]) << r;
  }
}

TEST(Gptq, DeadColumnsGetZeroAndDisturbNobody) {
  const int64_t rows = 5, cols = 70;
  const std::vector<float> values = random_matrix(rows, cols, 9), scales(5, 0.25f);
  std::vector<float> hessian = correlated_hessian(cols, 10);
  std::vector<float> without_values, without_hessian;
  for (size_t i = 0; i < 70; ++i) hessian[i * 70 + 33] = hessian[33 * 70 + i] = 0;
  for (size_t i = 0; i < 70 * 70; ++i) {
    if (i / 70 != 33 && i % 70 != 33) without_hessian.push_back(hessian[i]);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % 70 != 33) without_values.push_back(values[i]);
  }
  const RoundingGrid grid{.max_code = 31, .row_scales = scales};
  const GptqFactor factor = factor_hessian(hessian, cols, kDamping);
  const GptqResult q = quantize_gptq(values, rows, cols, factor, grid);
  const GptqResult without = quantize_gptq(
      without_values, rows, cols - 1, factor_hessian(without_hessian, cols - 1, kDamping), grid);
  EXPECT_EQ(std::count(factor.dead.begin(), factor.dead.end(), 1), 1);
  std::vector<int8_t> rest;
  for (size_t i = 0; i < q.codes.size(); ++i) {
    if (i % 70 != 33) {
      rest.push_back(q.codes[i]);
    } else {
      EXPECT_EQ(q.codes[i], 0);
    }
  }
  EXPECT_EQ(rest, without.codes);
}

// Powers of two scale every number of the sweep exactly.
TEST(Gptq, ColumnFactorsMultiplyTheScale) {
  const int64_t rows = 8, cols = 96;
  const std::vector<float> values = random_matrix(rows, cols, 11), scales(8, 0.3f);
  const std::vector<float> hessian = correlated_hessian(cols, 12);
  std::vector<float> factors(96, 1.0f), halves(96, 0.5f), half_scales(8, 0.15f);
  const GptqFactor factor = factor_hessian(hessian, cols, kDamping);
  const auto codes_of = [&](std::span<const float> row_scales, std::span<const float> col_factors) {
    return quantize_gptq(values, rows, cols, factor,
                         {.max_code = 31, .row_scales = row_scales, .col_factors = col_factors})
        .codes;
  };
  EXPECT_EQ(codes_of(scales, factors), codes_of(scales, {}));
  EXPECT_EQ(codes_of(scales, halves), codes_of(half_scales, {}));
  factors[40] = 4.0f;  // one coarse column: its codes shrink, others' scale stays
  const std::vector<int8_t> plain = codes_of(scales, {}), coarse = codes_of(scales, factors);
  for (size_t r = 0; r < 8; ++r) {
    const auto left = static_cast<double>(values[r * 96 + 40]) - 1.2 * coarse[r * 96 + 40];
    EXPECT_LT(std::fabs(left), 3.0);
    EXPECT_LE(std::abs(coarse[r * 96 + 40]), std::abs(plain[r * 96 + 40]) + 1);
  }
  EXPECT_NE(plain, coarse);
}

TEST(Gptq, FineColumnsHaveTheirOwnScalesAndRange) {
  const int64_t rows = 8, cols = 130;
  const std::vector<float> values = random_matrix(rows, cols, 13), scales(8, 0.5f);
  const std::vector<float> fine_scales(8, 0.03125f);
  std::vector<float> hessian(130 * 130);
  for (size_t c = 0; c < 130; ++c) hessian[c * 131] = 1.0f + static_cast<float>(c % 5);
  const GptqResult q = quantize_gptq(values, rows, cols, factor_hessian(hessian, cols, kDamping),
                                     {.max_code = 3,
                                      .row_scales = scales,
                                      .fine_begin = 64,
                                      .fine_end = 128,
                                      .fine_max_code = 60,
                                      .fine_row_scales = fine_scales});
  const std::vector<int8_t> coarse = round_nearest(values, 130, scales, 3);
  const std::vector<int8_t> fine = round_nearest(values, 130, fine_scales, 60);
  for (size_t i = 0; i < q.codes.size(); ++i) {
    const bool is_fine = i % 130 >= 64 && i % 130 < 128;
    ASSERT_EQ(q.codes[i], is_fine ? fine[i] : coarse[i]) << i;
  }
}

TEST(Gptq, ZeroScaleGivesZeroCodesAndKeepsOtherRows) {
  const int64_t rows = 3, cols = 66;
  const std::vector<float> values = random_matrix(rows, cols, 14);
  const GptqFactor factor = factor_hessian(correlated_hessian(cols, 15), cols, kDamping);
  const std::vector<float> scales = {0.2f, 0.2f, 0.2f}, with_zero = {0.2f, 0, 0.2f};
  const GptqResult all =
      quantize_gptq(values, rows, cols, factor, {.max_code = 31, .row_scales = scales});
  const GptqResult q =
      quantize_gptq(values, rows, cols, factor, {.max_code = 31, .row_scales = with_zero});
  for (size_t i = 0; i < q.codes.size(); ++i) {
    ASSERT_EQ(q.codes[i], i / 66 == 1 ? 0 : all.codes[i]) << i;
  }
  EXPECT_TRUE(std::isfinite(q.row_errors[1]));
}

TEST(Gptq, ThreadCountChangesNothing) {
  const int64_t rows = 200, cols = 300;
  const std::vector<float> values = random_matrix(rows, cols, 18), scales(200, 0.3f);
  const std::vector<float> hessian = correlated_hessian(cols, 19);
  const auto run = [&](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    const GptqFactor factor = factor_hessian(hessian, cols, kDamping);
    GptqResult result =
        quantize_gptq(values, rows, cols, factor, {.max_code = 31, .row_scales = scales});
    const Doubles errors = hessian_row_errors(values, rows, cols, hessian);
    result.row_errors.insert(result.row_errors.end(), errors.begin(), errors.end());
    set_thread_count(before);
    return std::pair(factor, result);
  };
  const auto one = run(1), four = run(4);
  EXPECT_EQ(one.first.feedback, four.first.feedback);
  EXPECT_EQ(one.first.conditional, four.first.conditional);
  EXPECT_EQ(one.second.codes, four.second.codes);
  EXPECT_EQ(one.second.row_errors, four.second.row_errors);
}

TEST(Gptq, HessianRowErrorsEqualTheDoubleSum) {
  const std::vector<float> e = random_matrix(3, 20, 20), h = correlated_hessian(20, 21);
  const Doubles errors = hessian_row_errors(e, 3, 20, h);
  for (size_t r = 0; r < 3; ++r) {
    double want = 0;
    for (size_t i = 0; i < 20; ++i) {
      for (size_t j = 0; j < 20; ++j) {
        want += static_cast<double>(e[r * 20 + i]) * static_cast<double>(h[i * 20 + j]) *
                static_cast<double>(e[r * 20 + j]);
      }
    }
    EXPECT_NEAR(errors[r], want, 1e-12 * std::fabs(want)) << r;
  }
}

TEST(Gptq, RefusesAHessianThatIsNotPositiveDefinite) {
  EXPECT_THROW(factor_hessian(std::vector<float>{1, 2, 2, 1}, 2, kDamping), Error);
  EXPECT_THROW(factor_hessian(std::vector<float>{NAN, 0, 0, 1}, 2, kDamping), Error);
  EXPECT_THROW(factor_hessian(std::vector<float>{1, 0, 0, INFINITY}, 2, kDamping), Error);
}

}  // namespace
}  // namespace pg
