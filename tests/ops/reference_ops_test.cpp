// The specification against numbers worked out by hand: what the op tests cannot see is an error in
// the reference itself.
#include "src/device/reference/reference_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "src/base/error.h"
#include "src/device/reference/reference_values.h"
#include "src/device/registry/make_device.h"
#include "tests/ops/op_case.h"

namespace pg::optest {
namespace {

In ids_of(const std::vector<int32_t>& ids) { return {ids.data(), DType::kI32}; }

TEST(ReferenceValues, RoundToBf16Once) {
  using reference::round_to_bf16;
  for (const float v : {0.0f, 1.0f, -1.0f, 3.14159f, 1e-40f, 65504.0f, -2.7e38f}) {
    EXPECT_EQ(round_to_bf16(static_cast<double>(v)).bits, bf16(v).bits) << v;
  }
  // 1 + 2^-8 is half way between 1 and 1 + 2^-7: to even; a hair above or below decides.
  const double half = 1.0 + 0x1p-8, hair = 0x1p-40;
  EXPECT_EQ(static_cast<float>(round_to_bf16(half)), 1.0f);
  EXPECT_EQ(static_cast<float>(round_to_bf16(half + hair)), 1.0f + 0x1p-7f);
  EXPECT_EQ(static_cast<float>(round_to_bf16(half + 0x1p-7)), 1.0f + 0x1p-6f);
  EXPECT_EQ(static_cast<float>(round_to_bf16(half + 0x1p-7 - hair)), 1.0f + 0x1p-7f);
  EXPECT_TRUE(
      std::isnan(static_cast<float>(round_to_bf16(std::numeric_limits<double>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(static_cast<float>(round_to_bf16(1e300))));
}

TEST(ReferenceOps, LinearMultipliesByRowsOfTheWeight) {
  const Values x = {1, 2}, w = {3, 4, 5, 6, 7, 8};
  Values y(3), dx(2), dw(6);
  ReferenceOps ops;
  ops.linear(out_of(y), in_of(x), in_of(w), {}, 1, 2, 3);
  EXPECT_EQ(y, (Values{11, 17, 23}));
  ops.linear_dx(out_of(dx), in_of(Values{1, 0, 2}), in_of(w), 1, 2, 3);
  EXPECT_EQ(dx, (Values{17, 20}));
  ops.linear_dw(out_of(dw), in_of(Values{1, 0, 2}), in_of(x), 1, 2, 3);
  EXPECT_EQ(dw, (Values{1, 2, 0, 0, 2, 4}));
}

TEST(ReferenceOps, BigramHashIsThePublicOne) {
  std::vector<int32_t> hashed(4);
  const std::vector<int32_t> tokens = {5, 9, 1023, 1};
  ReferenceOps().bigram_hash({hashed.data(), DType::kI32, false}, ids_of(tokens), 4, 2, 2048, 0,
                             false);
  // (36313 * 9) xor (27191 * 5) = 326817 xor 135955 = 454578; mod 2047 = 144.
  // (36313 * 1) xor (27191 * 1023) = 36313 xor 27816393 = 27851792; mod 2047 = 310.
  EXPECT_EQ(hashed, (std::vector<int32_t>{2047, 144, 2047, 310}));
}

TEST(ReferenceOps, TrigramHashIsThePublicOne) {
  std::vector<int32_t> hashed(4);
  const std::vector<int32_t> tokens = {5, 9, 1023, 1};
  ReferenceOps().bigram_hash({hashed.data(), DType::kI32, false}, ids_of(tokens), 4, 4, 2048, 0,
                             true);
  // (36313 * 1023) xor (27191 * 9) xor (51497 * 5) = 37126149; mod 2047 = 1757; likewise of 1, 1023, 9.
  EXPECT_EQ(hashed, (std::vector<int32_t>{2047, 2047, 1757, 1125}));
}

TEST(ReferenceOps, SmearMixesInThePreviousTokenOfTheSameRow) {
  const Values x = {1, 2, 3, 4}, gate = {std::log(3.0)};  // sigmoid = 3/4
  Values y(4);
  ReferenceOps().smear(out_of(y), in_of(x), in_of(gate), 4, 2, 1, 0);
  const Values want = {0.25, 0.25 * 2 + 0.75 * 1, 0.75, 0.25 * 4 + 0.75 * 3};
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], want[i], 1e-15);
}

TEST(ReferenceOps, TokenSmearAddsTheTokenBeforeButNotToABos) {
  // Rows of 4 tokens, a zero w: the gate is 1/2, times a scale of 3. Token 2 is the BOS.
  const Values x = {1, 2, 4, 8};
  const std::vector<int32_t> ids = {5, 6, 1, 7};
  Values y(4);
  ReferenceOps().token_smear(out_of(y), in_of(x), {ids.data(), DType::kI32}, in_of(Values{0}),
                             in_of(Values{3}), {4, 4, 1, 1, 1, 0});
  EXPECT_EQ(y, (Values{1, 2 + 1.5 * 1, 4, 8 + 1.5 * 4}));
}

TEST(ReferenceOps, GatesAreTheirFormulas) {
  const Values x = {3}, z = {5}, gate = {std::log(3.0)};  // sigmoid = 3/4
  Values y(1);
  ReferenceOps().swiglu(out_of(y), in_of(gate), in_of(z), 1, 1);
  EXPECT_NEAR(y[0], 0.75 * std::log(3.0) * 5, 1e-15);
  ReferenceOps().gated_mix(out_of(y), in_of(x), in_of(z), in_of(Values{2}), in_of(gate), 1, 1);
  EXPECT_NEAR(y[0], 0.75 * 3 + 0.25 * 2 * 5, 1e-15);
  ReferenceOps().blend(out_of(y), in_of(x), in_of(Values{2}), in_of(z), in_of(gate), false, 1, 1);
  EXPECT_NEAR(y[0], 2 * 3 + std::log(3.0) * 5, 1e-14);
  ReferenceOps().blend(out_of(y), in_of(x), {}, in_of(z), in_of(gate), true, 1, 1);
  EXPECT_NEAR(y[0], 3 + 0.75 * 5, 1e-15);
  // Two heads of one channel that read the first of n's two: 2 sigmoid(0.5 w n + b).
  const Values heads = {3, 7}, n = {2, 9}, w = {std::log(3.0), 0}, b = {0, -std::log(3.0)};
  Values gated(2);
  ReferenceOps().gate_heads(out_of(gated), in_of(heads), in_of(n), in_of(w), in_of(b),
                            {1, 2, 2, 1, 1, 0.5f, 2});
  EXPECT_NEAR(gated[0], 2 * 0.75 * 3, 1e-15);
  EXPECT_NEAR(gated[1], 2 * 0.25 * 7, 1e-15);
}

TEST(ReferenceOps, RmsnormDividesByTheRootMeanSquare) {
  Values y(2), rstd(1);
  ReferenceOps().rmsnorm(out_of(y), out_of(rstd), in_of(Values{3, 4}), 2.0f, 0.0f, 1, 2);
  EXPECT_NEAR(rstd[0], 1.0 / std::sqrt(12.5), 1e-15);
  EXPECT_NEAR(y[0], 6.0 / std::sqrt(12.5), 1e-15);
}

TEST(ReferenceOps, RopeTurnsThePairOfHalvesByTheTable) {
  // One head of 4, R = 2: (1, 1) turned by 90 degrees is (s, -s) with s = 1; the rest passes
  // through.
  const Values x = {1, 1, 1, 1}, table = {0.0, 1.0}, gain = {2.0};
  Values y(4), rstd(1);
  ReferenceOps().qk_norm_rope(out_of(y), out_of(rstd), in_of(x), in_of(gain), in_of(table), 0.0f,
                              {1, 1, 1, 4, 2});
  EXPECT_EQ(y, (Values{2, -2, 2, 2}));
}

TEST(ReferenceOps, AttentionIsCausalAndAveragesEqualScores) {
  // Zero queries: token t sees the mean of values 0..t, and lse = log(t + 1).
  const Values q(6, 0.0), k = {1, 2, 3, 4, 5, 6}, v = {2, 0, 4, 0, 9, 0};
  Values y(6), lse(3);
  ReferenceOps().attention(out_of(y), out_of(lse), in_of(q), in_of(k), in_of(v),
                           {1, 3, 1, 1, 2, 1});
  const Values want = {2, 0, 3, 0, 5, 0};
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], want[i], 1e-15);
  for (size_t t = 0; t < 3; ++t) EXPECT_NEAR(lse[t], std::log(static_cast<double>(t) + 1), 1e-15);
}

TEST(ReferenceOps, AttentionLseIsLaidOutByHead) {
  // Two tokens, two heads, one kv head; scale q k is 0 for head 0 and log 3 for head 1 on every
  // key.
  const Values q = {0, std::log(3.0), 0, std::log(3.0)}, k = {1, 1}, v = {5, 7};
  Values y(4), lse(4);
  ReferenceOps().attention(out_of(y), out_of(lse), in_of(q), in_of(k), in_of(v),
                           {1, 2, 2, 1, 1, 1});
  const Values want = {0, std::log(2.0), std::log(3.0), std::log(6.0)};
  for (size_t i = 0; i < lse.size(); ++i) EXPECT_NEAR(lse[i], want[i], 1e-15);
}

TEST(ReferenceOps, XsaRemovesTheDirectionOfTheValue) {
  Values y(2);
  ReferenceOps().xsa(out_of(y), in_of(Values{3, 5}), in_of(Values{0, 2}), {1, 1, 1, 1, 2, 1});
  EXPECT_EQ(y, (Values{3, 0}));
}

TEST(ReferenceOps, UniformLogitsCostLogOfTheVocabulary) {
  const Values logits(8, 1.5), weights = {1.0, 0.5};
  Values loss(2), lse(2);
  // The second row's first target is skipped, with its weight.
  const std::vector<int32_t> targets = {0, 3, -1, 2};
  ReferenceOps().softcap_xent(out_of(loss), out_of(lse), in_of(logits), ids_of(targets),
                              in_of(weights), 30.0f, 2, 4, 2);
  EXPECT_NEAR(loss[0], 1.5 * std::log(4.0), 1e-14);
  EXPECT_NEAR(loss[1], 0.5 * std::log(4.0), 1e-14);
  EXPECT_NEAR(lse[0], std::log(4.0) + 30.0 * std::tanh(0.05), 1e-14);
}

TEST(ReferenceOps, LogProbsAndEntropyOfRowsWorkedOutByHand) {
  Values log_probs(8), entropy(2);
  // atanh(1/2) under a cap of 2 ln 3 gives ln 3: probabilities 1/2 and three times 1/6.
  const double cap = 2 * std::log(3.0), z = cap * std::atanh(0.5);
  ReferenceOps().softcap_log_probs(out_of(log_probs), out_of(entropy),
                                   in_of(Values{4, 4, 4, 4, z, 0, 0, 0}), static_cast<float>(cap),
                                   2, 4);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(log_probs[i], -std::log(4.0), 1e-14);
  EXPECT_NEAR(entropy[0], std::log(4.0), 1e-14);
  // The cap is rounded to f32.
  EXPECT_NEAR(log_probs[4], -std::log(2.0), 1e-6);
  for (size_t i = 5; i < 8; ++i) EXPECT_NEAR(log_probs[i], -std::log(6.0), 1e-6);
  EXPECT_NEAR(entropy[1], 0.5 * std::log(2.0) + 0.5 * std::log(6.0), 1e-6);
}

TEST(ReferenceOps, ClipScalesToTheMaximalNorm) {
  Values coefficient(1);
  ReferenceOps ops;
  ops.clip_coefficient(out_of(coefficient), in_of(Values{16}), 1.0f);
  EXPECT_NEAR(coefficient[0], 0.25, 1e-6);
  ops.clip_coefficient(out_of(coefficient), in_of(Values{0.16}), 1.0f);
  EXPECT_EQ(coefficient[0], 1.0);
  ops.clip_coefficient(out_of(coefficient), in_of(Values{16}), 0.0f);
  EXPECT_EQ(coefficient[0], 1.0);
}

TEST(ReferenceOps, FirstAdamwStepMovesByTheLearningRate) {
  Values p = {1.0, -2.0}, m = {0, 0}, v = {0, 0};
  const Values step = {/*lr*/ 0.5,
                       /*beta1*/ 0.75,
                       /*beta2*/ 0.5,
                       /*epsilon*/ 0.0,
                       /*weight_decay*/ 0.25,
                       /*bias1*/ 0.25,
                       /*bias2*/ 0.5};
  ReferenceOps().adamw(out_of(p), out_of(m), out_of(v), in_of(Values{4, -4}), in_of(Values{0.5}),
                       in_of(step), /*cautious=*/false, 2);
  // The update is lr sign(g); decay takes lr wd = 1/8 of p.
  EXPECT_EQ(p, (Values{0.875 - 0.5, -1.75 + 0.5}));
  EXPECT_EQ(m, (Values{0.5, -0.5}));
  EXPECT_EQ(v, (Values{2, 2}));
}

TEST(ReferenceOps, MuonMomentumLooksAhead) {
  Values u(2), m = {4, 0};
  ReferenceOps().muon_momentum(out_of(u), out_of(m), in_of(Values{2, 6}), in_of(Values{0.5}),
                               in_of(Values{0.5}), false, {1, 1, 2, 2});
  EXPECT_EQ(m, (Values{3, 3}));
  EXPECT_EQ(u, (Values{2.5, 4.5}));
}

TEST(ReferenceOps, NewtonSchulzMapsSingularValuesAndIgnoresOrientation) {
  // diag(3, 4) / 5 has singular values 0.6 and 0.8; f(s) = 2 s - 1.5 s^3 + 0.5 s^5.
  const auto f = [](double s) { return 2 * s - 1.5 * std::pow(s, 3) + 0.5 * std::pow(s, 5); };
  const std::vector<NewtonSchulzCoefficients> steps = {{2.0f, -1.5f, 0.5f}};
  Values wide = {3, 0, 0, 0, 4, 0}, tall = {3, 0, 0, 4, 0, 0};
  ReferenceOps().newton_schulz(out_of(wide), steps, NewtonSchulzStart::kNorm, {1, 2, 3, 6});
  ReferenceOps().newton_schulz(out_of(tall), steps, NewtonSchulzStart::kNorm, {1, 3, 2, 6});
  EXPECT_NEAR(wide[0], f(0.6), 1e-7);
  EXPECT_NEAR(wide[4], f(0.8), 1e-7);
  EXPECT_EQ(wide[0], tall[0]);
  EXPECT_EQ(wide[4], tall[3]);
}

TEST(MakeDevice, NamesThosePresentWhenTheNameIsUnknown) {
  try {
    make_device("abacus");
    FAIL() << "no such device";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("\"abacus\""), std::string::npos) << message;
    for (const char* name : {"cpu:bf16", "reference:f64", "simt"}) {
      EXPECT_NE(message.find(name), std::string::npos) << message;
    }
  }
}

TEST(MakeDevice, GivesEachDeviceItsName) {
  for (const char* name : {"cpu:bf16", "cpu:exact", "reference", "reference:f64", "simt"}) {
    EXPECT_EQ(make_device(name)->name(), name);
  }
  EXPECT_EQ(make_device("reference:f64")->compute_dtype(), DType::kF64);
  EXPECT_EQ(make_device("cpu:bf16")->compute_dtype(), DType::kBF16);
}

TEST(MakeDevice, GivesDevicesThatCopyWithinThemselves) {
  for (const char* name : {"cpu", "reference", "simt"}) {
    const std::unique_ptr<Device> device = make_device(name);
    const DeviceBuffer from(*device, 5), to(*device, 5);
    const std::string text = "abcde";
    device->upload(from.data(), text.data(), text.size());
    device->copy(to.data(), from.data(), 4);
    std::string back(5, '?');
    device->download(back.data(), to.data(), back.size());
    EXPECT_EQ(back, std::string("abcd\0", 5)) << name;
  }
}

}  // namespace
}  // namespace pg::optest
