// fp16 conversion against the definition of the format.
#include "quant/format/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pg {
namespace {

TEST(Half, EveryFiniteValueSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<uint16_t>(h);
    if (!is_finite_half(half)) continue;
    ASSERT_EQ(half_from_float(float_from_half(half)), half) << h;
  }
}

TEST(Half, ValuesFollowTheDefinition) {
  for (uint32_t h = 0; h < 0x7c00; ++h) {
    const int exponent = static_cast<int>(h >> 10), mantissa = static_cast<int>(h & 1023);
    const double expected =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    ASSERT_EQ(float_from_half(static_cast<uint16_t>(h)), expected) << h;
    ASSERT_EQ(float_from_half(static_cast<uint16_t>(h | 0x8000)), -expected) << h;
  }
}

TEST(Half, MidpointsRoundToEven) {
  for (uint32_t h = 0; h + 1 < 0x7c00; ++h) {
    const float low = float_from_half(static_cast<uint16_t>(h));
    const float high = float_from_half(static_cast<uint16_t>(h + 1));
    const float middle = 0.5f * (low + high);  // exact
    ASSERT_EQ(half_from_float(middle), h % 2 == 0 ? h : h + 1) << h;
    ASSERT_EQ(half_from_float(std::nextafter(middle, low)), h);
    ASSERT_EQ(half_from_float(std::nextafter(middle, high)), h + 1);
  }
}

TEST(Half, LargeValuesBecomeInfinity) {
  EXPECT_EQ(half_from_float(65519.0f), 0x7bff);
  EXPECT_EQ(half_from_float(65520.0f), kHalfInfinity);
  EXPECT_EQ(half_from_float(-1e30f), 0x8000 | kHalfInfinity);
  EXPECT_FALSE(is_finite_half(half_from_float(NAN)));
}

}  // namespace
}  // namespace pg
