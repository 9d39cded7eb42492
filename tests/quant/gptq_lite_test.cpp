// The clip search: vectors computed by hand, the published formula written out once more, error
// bounds, and per-row against per-matrix.
#include "quant/method/gptq_lite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "quant/format/half.h"
#include "quant/format/storage_bits.h"
#include "src/base/rng.h"
#include "src/base/threads.h"

namespace pg {
namespace {

std::vector<float> random_matrix(int64_t rows, int64_t cols, uint64_t seed, double outliers = 0) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<float> values;
  for (uint64_t i = 0; i < static_cast<uint64_t>(rows * cols); ++i) {
    const bool is_outlier = rng.uniform((uint64_t{1} << 40) + i) < outliers;
    values.push_back(static_cast<float>(rng.normal(i) * (is_outlier ? 8 : 1)));
  }
  return values;
}

double mean_squared_error(std::span<const float> values, const QuantizedRows& q) {
  const size_t cols = values.size() / q.scales.size();
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double error =
        values[i] - q.codes[i] * static_cast<double>(float_from_half(q.scales[i / cols]));
    sum += error * error;
  }
  return sum / static_cast<double>(values.size());
}

// R = 3, scale 1 (fp16-exact): halves go to the even code.
TEST(GptqLite, RoundsHalvesToEven) {
  const std::vector<float> row = {3, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, -3};
  const QuantizedRows q = quantize_gptq_lite(row, 1, 8, {.bits = 3});
  EXPECT_EQ(float_from_half(q.scales[0]), 1.0f);
  EXPECT_EQ(q.codes, (std::vector<int8_t>{3, 0, 2, 2, 0, -2, -2, -3}));
}

// R = 31 and a row maximum of 62: scale 2; the second largest equals it, so every percentile gives
// that clip.
TEST(GptqLite, SixBitsByHand) {
  const std::vector<float> row = {62, -62, 30, 9.1f, -8.9f, 0};
  const QuantizedRows q = quantize_gptq_lite(row, 1, 6, {.bits = 6});
  EXPECT_EQ(float_from_half(q.scales[0]), 2.0f);
  EXPECT_EQ(q.codes, (std::vector<int8_t>{31, -31, 15, 5, -4, 0}));
}

// The codes must be made with the scale the decoder will see. 1/31 rounds down in fp16 to
// 1057/2^15.
TEST(GptqLite, UsesTheScaleAsRoundedToHalf) {
  const std::vector<float> row = {1.0f, 0.5f, 1.0f, -1.0f};
  const QuantizedRows q = quantize_gptq_lite(row, 1, 4, {.bits = 6});
  EXPECT_EQ(float_from_half(q.scales[0]), 1057.0f / 32768.0f);
  EXPECT_EQ(q.codes, (std::vector<int8_t>{31, 16, 31, -31}));  // 0.5 / scale = 15.50 -> above half
}

// torch.quantile of |row|: linear between order statistics at p (n - 1).
double published_quantile(std::span<const float> row, double p) {
  std::vector<double> sorted;
  for (const float value : row) sorted.push_back(std::fabs(value));
  std::sort(sorted.begin(), sorted.end());
  const double place = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(place));
  const double share = place - std::floor(place);
  return (1 - share) * sorted[below] + share * sorted[std::min(below + 1, sorted.size() - 1)];
}

// What the published code gives a matrix: of each candidate percentile the scale
// max(quantile(|row|) / R, 1 / R) in fp16, codes by round-half-even, and the first candidate with
// the least squared error over the matrix. 8 bits know one percentile only.
QuantizedRows quantize_as_published(const std::vector<float>& values, size_t rows, size_t cols,
                                    int bits) {
  const double limit = (1 << (bits - 1)) - 1;
  std::vector<double> percentiles = {0.999, 0.9995, 0.9999, 0.99999, 1.0};
  if (bits == 8) percentiles = {0.9999984};
  QuantizedRows best;
  double least = std::numeric_limits<double>::infinity();
  for (const double p : percentiles) {
    QuantizedRows tried;
    double error = 0;
    for (size_t r = 0; r < rows; ++r) {
      const double clip = published_quantile(std::span(values).subspan(r * cols, cols), p);
      const uint16_t half = half_from_float(static_cast<float>(std::max(clip / limit, 1 / limit)));
      tried.scales.push_back(half);
      for (size_t c = 0; c < cols; ++c) {
        const float w = values[r * cols + c], scale = float_from_half(half);
        const double code = std::clamp<double>(std::nearbyint(w / scale), -limit, limit);
        tried.codes.push_back(static_cast<int8_t>(code));
        error += std::pow(static_cast<double>(w) - code * static_cast<double>(scale), 2);
      }
    }
    if (error < least) {
      least = error;
      best = tried;
    }
  }
  return best;
}

TEST(GptqLite, GivesThePublishedCodesAtEachWidth) {
  constexpr size_t kRows = 6, kCols = 700;
  for (const int bits : {5, 6, 7, 8}) {
    // Rows far below the floor, about it, and above it.
    std::vector<float> values = random_matrix(kRows, kCols, 21, 0.002);
    for (size_t i = 0; i < values.size(); ++i) {
      const size_t row = i / kCols;
      values[i] *= 0.05f * std::pow(3.0f, static_cast<float>(row));
    }
    const QuantizedRows ours =
        quantize_gptq_lite(values, kRows, kCols, {.bits = bits, .per_row = false});
    const QuantizedRows published = quantize_as_published(values, kRows, kCols, bits);
    EXPECT_EQ(ours.scales, published.scales) << bits;
    EXPECT_EQ(ours.codes, published.codes) << bits;
    EXPECT_EQ(ours.scales[0], half_from_float(1.0f / static_cast<float>(max_code(bits)))) << bits;
    EXPECT_GT(ours.scales[kRows - 1], ours.scales[0]) << bits;
  }
}

TEST(GptqLite, TheFloorScales) {
  const std::vector<float> row = {0.5f, -0.25f};
  const QuantizedRows q = quantize_gptq_lite(row, 1, 2, {.bits = 6, .floor_factor = 62.0 / 64});
  EXPECT_EQ(float_from_half(q.scales[0]), 1.0f / 32);
  EXPECT_EQ(q.codes, (std::vector<int8_t>{16, -8}));
}

TEST(GptqLite, ZeroAndVanishingRowsGetZeroCodes) {
  const std::vector<float> rows = {0, 0, 0, 1e-30f, -1e-38f, 1e-45f};
  const QuantizedRows q = quantize_gptq_lite(rows, 2, 3, {.bits = 6, .floor_factor = 0});
  EXPECT_EQ(q.codes, std::vector<int8_t>(6, 0));
  EXPECT_EQ(q.scales, std::vector<uint16_t>(2, 0));
}

// Within the clip the error is at most half a scale; the row maximum may be clipped, codes never
// leave [-R, R].
TEST(GptqLite, ErrorIsAtMostHalfAScaleWithinTheClip) {
  for (const int bits : {2, 3, 4, 5, 6, 7, 8}) {
    const int64_t rows = 24, cols = 300;
    const std::vector<float> values = random_matrix(rows, cols, 7, 0.002);
    const QuantizedRows q = quantize_gptq_lite(values, rows, cols, {.bits = bits});
    for (size_t i = 0; i < values.size(); ++i) {
      const float scale = float_from_half(q.scales[i / 300]);
      const float clip = scale * static_cast<float>(max_code(bits));
      ASSERT_LE(std::abs(q.codes[i]), max_code(bits));
      if (std::fabs(values[i]) <= clip) {
        // k = 2 roundings of the division and the difference, relative to the value.
        const float rounding = 2 * 0x1p-24f * std::fabs(values[i]);
        ASSERT_LE(std::fabs(values[i] - static_cast<float>(q.codes[i]) * scale),
                  0.5f * scale + rounding);
      } else {
        ASSERT_EQ(std::abs(q.codes[i]), max_code(bits));
      }
    }
  }
}

TEST(GptqLite, PerRowIsNeverWorseThanPerMatrix) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const std::vector<float> values = random_matrix(32, 1024, seed, 0.001);
    const QuantizedRows row = quantize_gptq_lite(values, 32, 1024, {.bits = 5, .per_row = true});
    const QuantizedRows matrix =
        quantize_gptq_lite(values, 32, 1024, {.bits = 5, .per_row = false});
    EXPECT_LE(mean_squared_error(values, row), mean_squared_error(values, matrix)) << seed;
    EXPECT_NE(row.scales, matrix.scales) << seed;  // the switch is not inert
  }
}

// A matrix whose best single percentile is 0.999 although its last row would rather not clip.
TEST(GptqLite, PerMatrixTakesOnePercentileForAllRows) {
  const int64_t rows = 16, cols = 2048;
  const std::vector<float> values = random_matrix(rows, cols, 3, 0.0008);
  const QuantizedRows q = quantize_gptq_lite(values, rows, cols, {.bits = 4, .per_row = false});
  int agreeing_percentiles = 0;
  for (const double p : {0.999, 0.9995, 0.9999, 0.99999, 1.0}) {
    bool agrees = true;
    for (int64_t r = 0; r < rows; ++r) {
      const std::span row(values.data() + r * cols, static_cast<size_t>(cols));
      const double scale = published_quantile(row, p) / 7;
      agrees =
          agrees && q.scales[static_cast<size_t>(r)] == half_from_float(static_cast<float>(scale));
    }
    agreeing_percentiles += agrees;
  }
  EXPECT_EQ(agreeing_percentiles, 1);
}

TEST(GptqLite, ThreadCountChangesNothing) {
  const std::vector<float> values = random_matrix(200, 777, 11);
  const int threads = thread_count();
  set_thread_count(1);
  const QuantizedRows one = quantize_gptq_lite(values, 200, 777, {.per_row = false});
  set_thread_count(3);
  const QuantizedRows three = quantize_gptq_lite(values, 200, 777, {.per_row = false});
  set_thread_count(threads);
  EXPECT_EQ(one.codes, three.codes);
  EXPECT_EQ(one.scales, three.scales);
}

}  // namespace
}  // namespace pg
