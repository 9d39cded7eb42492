// Sums and log probabilities on odd sizes, misaligned tensors and rows of either layout. The tree's
// order is checked bit for bit.
#include <gtest/gtest.h>

#include "tests/simt/kernel_harness.h"
#include "tests/simt/reduce_check.h"

namespace pg::kerneltest {
namespace {

constexpr ReduceFamily kSums = {&kernels::sum_pieces_of_values, &kernels::sum_pieces_of_squares,
                                &kernels::sum_tree, &kernels::clip_coefficient};
constexpr LogProbsFamily kLogProbs = {&kernels::softcap_log_probs};

class ReduceKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(ReduceKernel, PiecesAreRight) {
  EXPECT_EQ(check_sums(kSums, {.elements = 1}), "");
  EXPECT_EQ(check_sums(kSums, {.matrices = 2, .elements = 131, .gap = 3}), "");
  EXPECT_EQ(check_sums(kSums, {.matrices = 2, .elements = 16384 + 1028, .gap = 4}), "");
  EXPECT_EQ(check_sums(kSums, {.matrices = 1, .elements = 16384 + 9, .offset = 1}), "");
}

TEST_F(ReduceKernel, TheTreeAddsNeighboursFirst) {
  for (const int64_t count : {1, 2, 3, 7, 9, 255, 257, 2047, 2048, 2049, 5000}) {
    EXPECT_EQ(check_tree(kSums, count), "") << count;
  }
}

TEST_F(ReduceKernel, TheSumOfNothingIsZero) {
  const DeviceArray<double> sum({7.0});
  kernels::sum_tree({sum.data(), false}, nullptr, 1.0, nullptr, 0, nullptr);
  EXPECT_EQ(sum.fetch()[0], 0.0);
}

TEST_F(ReduceKernel, TheCoefficientClipsAndWarns) { EXPECT_EQ(check_clip(kSums), ""); }

TEST_F(ReduceKernel, LogProbsAreRight) {
  for (const int64_t vocab : {1, 3, 33, 130, 1024, 1027, 2052, 8203}) {
    EXPECT_EQ(check_log_probs(kLogProbs, {.rows = vocab > 1024 ? 2 : 9, .vocab = vocab}), "")
        << vocab;
  }
  EXPECT_EQ(check_log_probs(kLogProbs, {.rows = 3, .vocab = 64, .offset = 1}), "");
  EXPECT_EQ(check_log_probs(kLogProbs, {.rows = 3, .vocab = 67, .accumulate = true}), "");
  EXPECT_EQ(check_log_probs(kLogProbs, {.rows = 3, .vocab = 67, .shift = 5.0f}), "");
  EXPECT_EQ(check_log_probs(kLogProbs, {.rows = 3, .vocab = 67, .has_sides = true}), "");
  // All far below 0, where a stray 0 would be the largest.
  EXPECT_EQ(check_log_probs(kLogProbs, {.rows = 3, .vocab = 67, .cap = 0.0f, .mean = -500}), "");
}

TEST_F(ReduceKernel, AlignmentNeverChangesABit) {
  const int64_t count = 3000;
  const std::vector<float> x = normal_values<float>(count, 3.0, 5);
  SameBytes same;
  for (const size_t offset : {0u, 1u}) {
    const DeviceArray<float> values(x, offset), log_probs(x, offset), entropy({0.0f});
    const DeviceArray<double> sums({0.0});
    kernels::sum_pieces_of_squares(sums.data(), values.data(), {1, 1, count, count}, 1, nullptr);
    kernels::softcap_log_probs({log_probs.data(), false}, {entropy.data(), false}, values.data(),
                               30.0f, 0.0f, 30.0f, nullptr, 1, count, nullptr);
    EXPECT_EQ(same.check("sums", sums.fetch()), "");
    EXPECT_EQ(same.check("log_probs", log_probs.fetch()), "");
    EXPECT_EQ(same.check("entropy", entropy.fetch()), "");
  }
}

}  // namespace
}  // namespace pg::kerneltest
