// Seeded bugs in attention: each must be caught by the checks that the product's kernels pass.
#include <gtest/gtest.h>

#include <array>
#include <span>

#include "tests/simt/mutants.h"

namespace pg::kerneltest {
namespace {

// Sequences that begin at 0, 3, 67, 68 and 140 of the rows.
constexpr auto kStarts = [] {
  std::array<int32_t, 150> starts = {};
  for (int t = 0; t < 150; ++t) {
    for (const int32_t begin : {3, 67, 68, 140}) {
      if (t >= begin) starts[static_cast<size_t>(t)] = begin;
    }
  }
  return starts;
}();

// Groups of heads and views; two blocks of queries over several key tiles; scores whose maximum
// grows; packed sequences.
constexpr AttentionCase kCases[] = {
    {.sizes = {1, 100, 4, 2, 16, 0, 0.5f}, .gap = 8, .accumulate = true},
    {.sizes = {1, 150, 2, 1, 16, 0, 0.7f}},
    {.sizes = {1, 150, 1, 1, 16, 0, 4.0f}},
    {.sizes = {1, 150, 2, 1, 16, 0, 0.7f}, .starts = kStarts},
};
constexpr AttentionCase kPlainCases[] = {
    {.sizes = {1, 67, 1, 1, 8, 0, 1.0f}},
    {.sizes = {1, 67, 1, 1, 8, 0, 1.0f}, .starts = std::span(kStarts).first(67)}};

template <class Family>
void expect_caught(const std::vector<Mutant<Family>>& mutants, std::span<const AttentionCase> cases,
                   const Family& product) {
  for (const Mutant<Family>& mutant : mutants) {
    std::string error;
    for (const AttentionCase& shape : cases) {
      if (error.empty()) error = check_attention(mutant.family, shape);
    }
    EXPECT_NE(error, "") << "not caught: " << mutant.name;
    testing::Test::RecordProperty(mutant.name, error);  // how, for --gtest_output=xml
  }
  for (const AttentionCase& shape : cases) EXPECT_EQ(check_attention(product, shape), "");
}

TEST(Mutants, OfAttentionAreAllCaught) {
  expect_caught<AttentionForward<bf16>>(attention_mutants(), kCases, {&kernels::attention<bf16>});
}

TEST(Mutants, OfAttentionBackwardAreAllCaught) {
  expect_caught<AttentionBackward<bf16>>(attention_backward_mutants(), kCases,
                                         {&kernels::attention_backward<bf16>});
}

TEST(Mutants, OfPlainAttentionAreAllCaught) {
  expect_caught<AttentionForward<float>>(attention_plain_mutants(), kPlainCases,
                                         {&kernels::attention<float>});
}

}  // namespace
}  // namespace pg::kerneltest
