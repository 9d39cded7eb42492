// What single instructions of PTX give: values of the PTX ISA 9.0, chapter 9.7, worked out by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/simt/ptx/ptx_snippet.h"

namespace pg::ptx {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(PtxInstructions, IntegersWrapAndKeepTheirSigns) {
  EXPECT_EQ(evaluate<uint32_t>("add.s32 %r1, 2147483647, 1;"), 0x80000000u);
  EXPECT_EQ(evaluate<uint64_t>("sub.s64 %d1, 3, 5;"), ~uint64_t{1});
  EXPECT_EQ(evaluate<uint32_t>("mul.lo.s32 %r1, -3, 7;"), static_cast<uint32_t>(-21));
  EXPECT_EQ(evaluate<uint64_t>("mul.lo.s64 %d1, -3, 4294967296;"), 0 - (uint64_t{3} << 32));
  EXPECT_EQ(evaluate<uint32_t>("mul.hi.u32 %r1, -1, -1;"), 0xfffffffeu);
  EXPECT_EQ(evaluate<uint32_t>("mul.hi.s32 %r1, -1, 5;"), 0xffffffffu);
  EXPECT_EQ(evaluate<uint64_t>("mul.wide.s32 %d1, -2, 3;"), static_cast<uint64_t>(-6));
  EXPECT_EQ(evaluate<uint64_t>("mul.wide.u32 %d1, -1, 2;"), 0x1fffffffeu);
  EXPECT_EQ(evaluate<uint32_t>("mad.lo.s32 %r1, -3, 7, 22;"), 1u);
  EXPECT_EQ(evaluate<uint32_t>("div.s32 %r1, -7, 2;"), static_cast<uint32_t>(-3));
  EXPECT_EQ(evaluate<uint32_t>("div.u32 %r1, -2, 2;"), 0x7fffffffu);
  EXPECT_EQ(evaluate<uint64_t>("rem.s64 %d1, -7, 4;"), static_cast<uint64_t>(-3));
  EXPECT_EQ(evaluate<uint32_t>("min.s32 %r1, -1, 1;"), 0xffffffffu);
  EXPECT_EQ(evaluate<uint64_t>("max.s64 %d1, -1, 1;"), 1u);
  EXPECT_EQ(evaluate<uint64_t>("neg.s64 %d1, 5;"), static_cast<uint64_t>(-5));
  EXPECT_EQ(evaluate<uint32_t>("abs.s32 %r1, -5;"), 5u);
}

TEST(PtxInstructions, ShiftsPastTheWidthLeaveNothingOrTheSign) {
  EXPECT_EQ(evaluate<uint32_t>("shl.b32 %r1, 3, 31;"), 0x80000000u);
  EXPECT_EQ(evaluate<uint32_t>("shl.b32 %r1, 3, 32;"), 0u);
  EXPECT_EQ(evaluate<uint64_t>("shl.b64 %d1, 3, 32;"), uint64_t{3} << 32);
  EXPECT_EQ(evaluate<uint32_t>("shr.u32 %r1, -1, 31;"), 1u);
  EXPECT_EQ(evaluate<uint32_t>("shr.s32 %r1, -8, 1;"), static_cast<uint32_t>(-4));
  EXPECT_EQ(evaluate<uint32_t>("shr.s32 %r1, -8, 77;"), 0xffffffffu);
  EXPECT_EQ(evaluate<uint64_t>("shr.u64 %d1, -1, 64;"), 0u);
}

TEST(PtxInstructions, BitsAreCombinedInsertedAndCounted) {
  EXPECT_EQ(evaluate<uint32_t>("and.b32 %r1, 12, 10;"), 8u);
  EXPECT_EQ(evaluate<uint32_t>("or.b32 %r1, 12, 10;"), 14u);
  EXPECT_EQ(evaluate<uint32_t>("xor.b32 %r1, 12, 10;"), 6u);
  EXPECT_EQ(evaluate<uint64_t>("not.b64 %d1, 0;"), ~uint64_t{0});
  EXPECT_EQ(evaluate<uint32_t>("popc.b32 %r1, 255;"), 8u);
  EXPECT_EQ(evaluate<uint64_t>("bfi.b64 %d1, 7, 0, 32, 2;"), uint64_t{3} << 32);
  EXPECT_EQ(evaluate<uint64_t>("bfi.b64 %d1, 5, -1, 32, 32;"), 0x5ffffffffu);
  EXPECT_EQ(evaluate<uint32_t>("mov.b64 {%r2, %r1}, 0x0000000500000003;"), 5u);
  EXPECT_EQ(evaluate<uint32_t>("mov.b64 {%r1, %r2}, 0x0000000500000003;"), 3u);
  EXPECT_EQ(evaluate<uint64_t>("mov.u32 %r2, 3; mov.u32 %r3, 5; mov.b64 %d1, {%r2, %r3};"),
            0x500000003u);
  EXPECT_EQ(evaluate<uint16_t>("mov.b32 {%h2, %h1}, 0x00050003;"), 5);
  EXPECT_EQ(evaluate<uint32_t>("mov.u16 %h1, 3; mov.u16 %h2, 5; mov.b32 %r1, {%h1, %h2};"),
            0x50003u);
}

TEST(PtxInstructions, ComparisonsKnowSignsAndNaN) {
  EXPECT_TRUE(evaluate<bool>("setp.lt.s32 %p1, -1, 1;"));
  EXPECT_FALSE(evaluate<bool>("setp.lt.u32 %p1, -1, 1;"));
  EXPECT_TRUE(evaluate<bool>("setp.ge.s64 %p1, 4, 4;"));
  EXPECT_FALSE(evaluate<bool>("setp.gt.s64 %p1, 4, 4;"));
  EXPECT_TRUE(evaluate<bool>("setp.eq.s16 %p1, 65537, 1;"));
  EXPECT_TRUE(evaluate<bool>("setp.le.s64 %p1, -5000000000, 0;"));
  const std::string nan = constant(kNaN), one = constant(1.0f), two = constant(2.0f);
  EXPECT_TRUE(evaluate<bool>("setp.lt.f32 %p1, " + one + ", " + two + ";"));
  EXPECT_FALSE(evaluate<bool>("setp.leu.f32 %p1, " + two + ", " + one + ";"));
  for (const char* name : {"eq", "ne", "lt", "le", "gt", "ge"}) {
    EXPECT_FALSE(
        evaluate<bool>(std::string("setp.") + name + ".f32 %p1, " + nan + ", " + one + ";"));
    EXPECT_TRUE(
        evaluate<bool>(std::string("setp.") + name + "u.f32 %p1, " + nan + ", " + one + ";"));
  }
  EXPECT_TRUE(evaluate<bool>("setp.nan.f32 %p1, " + nan + ", " + one + ";"));
  EXPECT_FALSE(evaluate<bool>("setp.nan.f32 %p1, " + one + ", " + one + ";"));
  EXPECT_EQ(evaluate<uint32_t>("mov.pred %p2, -1; selp.b32 %r1, 7, 9, %p2;"), 7u);
  EXPECT_EQ(evaluate<uint32_t>("mov.pred %p2, 0; selp.b32 %r1, 7, 9, %p2;"), 9u);
  EXPECT_TRUE(evaluate<bool>("mov.pred %p2, -1; mov.pred %p3, 0; xor.pred %p1, %p2, %p3;"));
  EXPECT_FALSE(evaluate<bool>("mov.pred %p2, -1; not.pred %p1, %p2;"));
}

TEST(PtxInstructions, GuardsAndBranchesChoose) {
  const std::string start = "setp.lt.s32 %p2, 1, 2; mov.u32 %r1, 1; ";
  EXPECT_EQ(evaluate<uint32_t>(start + "@%p2 mov.u32 %r1, 2;"), 2u);
  EXPECT_EQ(evaluate<uint32_t>(start + "@!%p2 mov.u32 %r1, 2;"), 1u);
  EXPECT_EQ(evaluate<uint32_t>(start + "@%p2 bra $L__a;\n mov.u32 %r1, 2;\n$L__a:\n"), 1u);
  EXPECT_EQ(evaluate<uint32_t>("mov.u32 %r1, 0;\n$L__a:\n add.s32 %r1, %r1, 1;\n"
                               "setp.lt.u32 %p2, %r1, 10;\n @%p2 bra $L__a;\n"),
            10u);
}

TEST(PtxInstructions, ScopesHaveRegistersOfTheirOwn) {
  EXPECT_EQ(evaluate<uint32_t>("mov.u32 %r1, 4;\n{\n.reg .b32 %r1;\n mov.u32 %r1, 9;\n}\n"), 4u);
}

TEST(PtxInstructions, FloatsRoundAsTheyAreTold) {
  const std::string third = constant(1.0f / 3), three = constant(3.0f);
  EXPECT_EQ(evaluate<float>("mul.f32 %f1, " + third + ", " + three + ";"), 1.0f / 3 * 3);
  // Not rounded between product and sum.
  EXPECT_EQ(
      evaluate<float>("fma.rn.f32 %f1, " + third + ", " + three + ", " + constant(-1.0f) + ";"),
      0x1p-25f);
  const std::string tiny = constant(0x1p-30f), one = constant(1.0f);
  EXPECT_EQ(evaluate<float>("fma.rn.f32 %f1, " + tiny + ", " + constant(-1.0f) + ", " + one + ";"),
            1.0f);
  EXPECT_EQ(evaluate<float>("fma.rm.f32 %f1, " + tiny + ", " + constant(-1.0f) + ", " + one + ";"),
            1.0f - 0x1p-24f);
  EXPECT_EQ(evaluate<float>("fma.rm.f32 %f1, " + tiny + ", " + one + ", " + one + ";"), 1.0f);
  EXPECT_EQ(evaluate<double>("rcp.rn.f64 %g1, " + constant(3.0) + ";"), 1.0 / 3);
  EXPECT_EQ(evaluate<double>("sqrt.rn.f64 %g1, " + constant(2.0) + ";"), std::sqrt(2.0));
  EXPECT_EQ(evaluate<float>("rsqrt.approx.f32 %f1, " + constant(4.0f) + ";"), 0.5f);
  EXPECT_EQ(evaluate<float>("ex2.approx.ftz.f32 %f1, " + constant(-3.0f) + ";"), 0.125f);
  EXPECT_EQ(evaluate<float>("ex2.approx.f32 %f1, " + constant(-140.0f) + ";"), 0x1p-140f);
  EXPECT_EQ(evaluate<float>("ex2.approx.ftz.f32 %f1, " + constant(-140.0f) + ";"), 0.0f);
  EXPECT_NEAR(evaluate<double>("rcp.approx.ftz.f64 %g1, " + constant(3.0) + ";"), 1.0 / 3, 1e-6);
}

TEST(PtxInstructions, ExtremesAndSigns) {
  const std::string nan = constant(kNaN), two = constant(2.0f), zero = constant(-0.0f);
  EXPECT_EQ(evaluate<float>("max.f32 %f1, " + nan + ", " + two + ";"), 2.0f);
  EXPECT_EQ(evaluate<float>("min.f32 %f1, " + two + ", " + constant(-1.0f) + ";"), -1.0f);
  EXPECT_EQ(evaluate<float>("copysign.f32 %f1, " + zero + ", " + two + ";"), -2.0f);
  EXPECT_EQ(evaluate<float>("neg.f32 %f1, " + two + ";"), -2.0f);
  EXPECT_EQ(evaluate<double>("abs.f64 %g1, " + constant(-2.5) + ";"), 2.5);
  EXPECT_EQ(evaluate<float>("mov.pred %p2, 0; selp.f32 %f1, " + nan + ", " + two + ", %p2;"), 2.0f);
}

TEST(PtxInstructions, Conversions) {
  EXPECT_EQ(evaluate<uint64_t>("cvt.s64.s32 %d1, -5;"), static_cast<uint64_t>(-5));
  EXPECT_EQ(evaluate<uint64_t>("cvt.u64.u32 %d1, -5;"), 0xfffffffbu);
  EXPECT_EQ(evaluate<uint32_t>("cvt.u32.u64 %r1, 0x500000003;"), 3u);
  EXPECT_EQ(evaluate<uint32_t>("mov.u16 %h1, -2; cvt.u32.u16 %r1, %h1;"), 0xfffeu);
  EXPECT_EQ(evaluate<uint32_t>("mov.u16 %h1, -2; cvt.s32.s16 %r1, %h1;"), 0xfffffffeu);
  EXPECT_EQ(evaluate<float>("cvt.rn.f32.s32 %f1, -16777217;"), -16777216.0f);
  EXPECT_EQ(evaluate<float>("cvt.rn.f32.f64 %f1, " + constant(1.0 + 0x1p-24) + ";"), 1.0f);
  EXPECT_EQ(evaluate<double>("cvt.f64.f32 %g1, " + constant(0.1f) + ";"), double{0.1f});
  EXPECT_EQ(evaluate<double>("cvt.rzi.f64.f64 %g1, " + constant(-2.7) + ";"), -2.0);
  EXPECT_EQ(evaluate<float>("cvt.sat.f32.f32 %f1, " + constant(1.5f) + ";"), 1.0f);
  EXPECT_EQ(evaluate<float>("cvt.sat.f32.f32 %f1, " + constant(-1.5f) + ";"), 0.0f);
  EXPECT_EQ(evaluate<float>("cvt.sat.f32.f32 %f1, " + constant(kNaN) + ";"), 0.0f);
}

TEST(PtxInstructions, Bf16RoundsToEven) {
  EXPECT_EQ(evaluate<uint16_t>("cvt.rn.bf16.f32 %h1, " + constant(1.0f) + ";"), 0x3f80);
  EXPECT_EQ(evaluate<uint16_t>("cvt.rn.bf16.f32 %h1, 0f3F808000;"), 0x3f80);
  EXPECT_EQ(evaluate<uint16_t>("cvt.rn.bf16.f32 %h1, 0f3F818000;"), 0x3f82);
  EXPECT_EQ(evaluate<uint16_t>("cvt.rn.bf16.f32 %h1, 0f3F808001;"), 0x3f81);
  EXPECT_EQ(evaluate<uint16_t>("cvt.rn.bf16.f32 %h1, 0f7F7FFFFF;"), 0x7f80);
  EXPECT_EQ(evaluate<uint16_t>("cvt.rn.bf16.f32 %h1, 0f7F800001;"), 0x7fff);
  EXPECT_EQ(
      evaluate<uint32_t>("cvt.rn.bf16x2.f32 %r1, " + constant(1.0f) + ", " + constant(2.0f) + ";"),
      0x3f804000u);
}

}  // namespace
}  // namespace pg::ptx
