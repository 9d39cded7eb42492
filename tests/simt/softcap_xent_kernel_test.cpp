// The softcap_xent kernels on odd sizes, skipped, equal and missing targets, saturated logits.
#include <gtest/gtest.h>

#include "tests/simt/kernel_harness.h"
#include "tests/simt/softcap_xent_check.h"

namespace pg::kerneltest {
namespace {

constexpr SoftcapXentFamily kProduct = {
    &kernels::softcap_xent, &kernels::softcap_xent_backward<float>,
    &kernels::softcap_xent_backward<bf16>, &kernels::softcap_xent_sides_backward};

class SoftcapXentKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(SoftcapXentKernel, IsRightForRowsOfAWarp) {
  for (const int64_t vocab : {1, 3, 4, 31, 33, 127, 130, 1024}) {
    for (const int64_t targets : {1, 3}) {
      EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 9, .vocab = vocab, .targets = targets}), "")
          << vocab << " with " << targets;
    }
  }
}

TEST_F(SoftcapXentKernel, IsRightForRowsOfABlock) {
  for (const int64_t vocab : {2049, 3001, 8192}) {
    EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 4, .vocab = vocab, .targets = 2}), "") << vocab;
  }
}

TEST_F(SoftcapXentKernel, TakesMoreTargetsThanARowHasThreads) {
  EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 5, .vocab = 50, .targets = 33}), "");
  EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 3, .vocab = 2100, .targets = 300}), "");
}

TEST_F(SoftcapXentKernel, TakesAnyCap) {
  // 500: beyond what exp could take without the running maximum.
  for (const float cap : {1.0f, 15.0f, 500.0f}) {
    EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 4, .vocab = 77, .targets = 1, .cap = cap}), "")
        << cap;
  }
}

TEST_F(SoftcapXentKernel, TakesEveryFormOfLogits) {
  for (const int64_t vocab : {77, 2053}) {
    EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 4, .vocab = vocab, .targets = 2, .cap = 0.0f}),
              "");
    EXPECT_EQ(
        check_softcap_xent(
            kProduct,
            {.rows = 4, .vocab = vocab, .targets = 2, .cap = 11.5f, .shift = 5.0f, .width = 15.0f}),
        "");
  }
}

TEST_F(SoftcapXentKernel, TakesACapOfEachSide) {
  for (const int64_t vocab : {1, 77, 2052}) {
    EXPECT_EQ(
        check_softcap_xent(
            kProduct, {.rows = 40, .vocab = vocab, .targets = 2, .cap = 35.0f, .has_sides = true}),
        "")
        << vocab;
    EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 5,
                                            .vocab = vocab,
                                            .targets = 1,
                                            .cap = 35.0f,
                                            .offset = 1,
                                            .accumulate = true,
                                            .z_loss = 0.01f,
                                            .has_row_weights = true,
                                            .has_sides = true}),
              "")
        << vocab;
  }
}

TEST_F(SoftcapXentKernel, TakesWeightsOfRowsAndTheSquareOfTheNormaliser) {
  for (const int64_t vocab : {77, 2053}) {
    EXPECT_EQ(
        check_softcap_xent(
            kProduct,
            {.rows = 6, .vocab = vocab, .targets = 2, .z_loss = 0.01f, .has_row_weights = true}),
        "");
  }
}

TEST_F(SoftcapXentKernel, IsRightForMisalignedTensors) {
  for (const int64_t vocab : {64, 99, 2052}) {
    EXPECT_EQ(check_softcap_xent(kProduct, {.rows = 3, .vocab = vocab, .targets = 2, .offset = 1}),
              "")
        << vocab;
  }
}

TEST_F(SoftcapXentKernel, AddsWhenAccumulating) {
  for (const int64_t vocab : {64, 99, 2052}) {
    EXPECT_EQ(
        check_softcap_xent(kProduct, {.rows = 3, .vocab = vocab, .targets = 2, .accumulate = true}),
        "")
        << vocab;
  }
}

TEST_F(SoftcapXentKernel, UniformLogitsCostLogVocab) {
  const int64_t vocab = 1000;
  const DeviceArray<float> logits(std::vector<float>(vocab, 3.0f)), loss({0.0f}), weights({1.0f});
  const DeviceArray<int32_t> targets({421});
  kernels::softcap_xent({loss.data(), false}, {}, logits.data(), targets.data(), weights.data(),
                        {30.0f, 0.0f, 30.0f, 0.0f, nullptr, nullptr}, 1, vocab, 1, nullptr);
  EXPECT_NEAR(loss.fetch()[0], std::log(1000.0), 1e-5);
}

TEST_F(SoftcapXentKernel, NanLogitGivesNanLoss) {
  std::vector<float> values(100, 1.0f);
  values[57] = NAN;
  const DeviceArray<float> logits(values), loss({0.0f}), weights({1.0f});
  const DeviceArray<int32_t> targets({3});
  kernels::softcap_xent({loss.data(), false}, {}, logits.data(), targets.data(), weights.data(),
                        {30.0f, 0.0f, 30.0f, 0.0f, nullptr, nullptr}, 1, 100, 1, nullptr);
  EXPECT_TRUE(std::isnan(loss.fetch()[0]));
}

}  // namespace
}  // namespace pg::kerneltest
