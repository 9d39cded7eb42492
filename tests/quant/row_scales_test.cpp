// Scale choices by hand, and what snapping may and may not do to a scale.
#include "quant/method/row_scales.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/base/threads.h"
#include "tests/quant/gptq_reference.h"

namespace pg {
namespace {

TEST(RowScales, SdclipIsTheUnbiasedStdByHand) {
  // Mean 2, squared deviations 1 + 1 + 4 + 4 = 10 over 3; a constant row has std 0: the floor.
  const std::vector<float> values = {1, 3, 4, 0, 5, 5, 5, 5};
  const std::vector<float> scales = sdclip_scales(values, 2, 4, 12.85, 31);
  EXPECT_FLOAT_EQ(scales[0], static_cast<float>(12.85 * std::sqrt(10.0 / 3) / 31));
  EXPECT_EQ(scales[1], 1e-10f);
}

TEST(RowScales, HessianSdclipByHand) {
  // std 1/sqrt(2) and 2/sqrt(2); sum |w| diag = 3 and 2: r = 1.2 and 0.8.
  const std::vector<float> values = {0, 1, 2, 0}, diagonal = {1, 3};
  const std::vector<float> scales = sdclip_hessian_scales(values, 2, 2, diagonal, 10, 0.5, 31);
  EXPECT_FLOAT_EQ(scales[0], static_cast<float>(10 * 1.1 * std::sqrt(0.5) / 31));
  EXPECT_FLOAT_EQ(scales[1], static_cast<float>(10 * 0.9 * std::sqrt(2.0) / 31));
}

TEST(RowScales, HessianSdclipWithoutStrengthOrSignalIsSdclip) {
  const std::vector<float> values = random_matrix(70, 30, 1), ones(30, 1.0f), zeros(30);
  const std::vector<float> plain = sdclip_scales(values, 70, 30, 13, 31);
  EXPECT_EQ(sdclip_hessian_scales(values, 70, 30, ones, 13, 0, 31), plain);
  EXPECT_EQ(sdclip_hessian_scales(values, 70, 30, zeros, 13, 0.175, 31), plain);
  EXPECT_NE(sdclip_hessian_scales(values, 70, 30, ones, 13, 0.175, 31), plain);
}

TEST(RowScales, TernaryIsTheMeanMagnitude) {
  const std::vector<float> values = {1, -3, 0, 0, 0, 0};
  EXPECT_EQ(ternary_scales(values, 2, 3), (std::vector<float>{4.0f / 3, 1e-10f}));
}

TEST(RowScales, ThreadCountChangesNothing) {
  const std::vector<float> values = random_matrix(300, 77, 2), diagonal(77, 2.0f);
  const auto run = [&](int threads) {
    const int before = thread_count();
    set_thread_count(threads);
    std::vector<float> scales = sdclip_hessian_scales(values, 300, 77, diagonal, 13, 0.2, 31);
    set_thread_count(before);
    return scales;
  };
  EXPECT_EQ(run(1), run(4));
}

}  // namespace
}  // namespace pg
