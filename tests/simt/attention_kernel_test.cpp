// The attention kernels where one run of an op does not show it: races, misaligned outputs, and what
// a row's bits may depend on.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "tests/simt/attention_check.h"
#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {
namespace {

using kernels::AttentionSizes;

// Both passes of the product.
template <class T>
std::string check(const AttentionCase& shape) {
  const std::string error = check_attention(AttentionForward<T>{&kernels::attention<T>}, shape);
  if (!error.empty()) return "forward: " + error;
  return check_attention(AttentionBackward<T>{&kernels::attention_backward<T>}, shape);
}

class AttentionKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

AttentionSizes sizes(int64_t tokens, int64_t heads, int64_t kv_heads, int64_t head_dim) {
  return {.batch = 1,
          .tokens = tokens,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .scale = 0.3f};
}

TEST_F(AttentionKernel, OnTensorCoresIsRightUnderEverySchedule) {
  // Blocks with a full and with a last query tile, several key tiles, all head sizes.
  for (const AttentionSizes& s :
       {sizes(150, 2, 1, 16), sizes(70, 1, 1, 32), sizes(66, 2, 1, 64), sizes(35, 1, 1, 128)}) {
    EXPECT_EQ(check<bf16>({.sizes = s}), "") << s.head_dim;
  }
}

TEST_F(AttentionKernel, WithoutTensorCoresIsRightUnderEverySchedule) {
  EXPECT_EQ(check<float>({.sizes = sizes(37, 2, 1, 9)}), "");
  EXPECT_EQ(check<bf16>({.sizes = sizes(33, 1, 1, 24)}), "");
}

// [tokens], of sequences that begin at 0 and at `begins`.
std::vector<int32_t> starts_at(int64_t tokens, const std::vector<int32_t>& begins) {
  std::vector<int32_t> starts(static_cast<size_t>(tokens), 0);
  for (const int32_t begin : begins) {
    std::fill(starts.begin() + begin, starts.end(), begin);
  }
  return starts;
}

TEST_F(AttentionKernel, IsRightForPackedSequencesUnderEverySchedule) {
  // Within and at the edges of fragments, warps, tiles and blocks; of one row; a first tile that is odd.
  const std::vector<int32_t> starts = starts_at(290, {1, 16, 17, 63, 100, 128, 192, 193, 280});
  for (const int64_t dim : {16, 32, 64, 128}) {
    EXPECT_EQ(check<bf16>({.sizes = sizes(290, 2, 1, dim), .starts = starts}), "") << dim;
  }
  EXPECT_EQ(check<float>({.sizes = sizes(90, 2, 1, 9), .starts = std::span(starts).first(90)}), "");
}

TEST_F(AttentionKernel, IsRightForMisalignedOutputsAndViews) {
  for (const size_t offset : {1u, 2u}) {
    EXPECT_EQ(check<bf16>({.sizes = sizes(20, 2, 1, 16), .offset = offset, .gap = 8}), "");
    EXPECT_EQ(check<float>({.sizes = sizes(20, 2, 1, 16), .offset = offset, .gap = 3}), "");
  }
}

TEST_F(AttentionKernel, AddsWhenAccumulating) {
  for (const size_t offset : {0u, 1u}) {
    const AttentionCase shape = {
        .sizes = sizes(20, 1, 1, 16), .offset = offset, .gap = 8, .accumulate = true};
    EXPECT_EQ(check<bf16>(shape), "");
    EXPECT_EQ(check<float>(shape), "");
  }
}

// y of queries first .. first + tokens of a sequence whose values from token `changed` on are
// others.
template <class T>
std::vector<T> outputs(int64_t first, int64_t tokens, int64_t changed, int64_t dim, size_t offset) {
  const int64_t keys = first + tokens;
  std::vector<T> parts[3];
  for (uint64_t part = 0; part < 3; ++part) {
    parts[part] = normal_values<T>(keys * dim, 2.0, part);
    const std::vector<T> other = normal_values<T>(keys * dim, 40.0, 10 + part);
    for (size_t i = static_cast<size_t>(changed * dim); i < other.size(); ++i) {
      parts[part][i] = other[i];
    }
  }
  const std::vector<T> queries(parts[0].begin() + first * dim, parts[0].end());
  const DeviceArray<T> q(queries), k(parts[1]), v(parts[2]), y(queries, offset);
  const AttentionSizes s = {.batch = 1,
                            .tokens = tokens,
                            .heads = 1,
                            .kv_heads = 1,
                            .head_dim = dim,
                            .first = first,
                            .scale = 0.25f};
  kernels::attention<T>({y.data(), false}, {}, q.data(), k.data(), v.data(), dim, s, nullptr);
  return y.fetch();
}

template <class T>
void expect_same_bytes(const T* a, const T* b, int64_t count, const char* what) {
  EXPECT_EQ(std::memcmp(a, b, static_cast<size_t>(count) * sizeof(T)), 0) << what;
}

// What a scorer's laws rest on: not a bit of an output comes from later tokens, nor from how many
// queries are asked for at once, nor from where it is written.
template <class T>
void expect_bits_of_past_alone(int64_t dim) {
  const int64_t tokens = 140, changed = 100;
  const auto whole = outputs<T>(0, tokens, tokens, dim, 0);
  const auto other_future = outputs<T>(0, tokens, changed, dim, 0);
  expect_same_bytes(whole.data(), other_future.data(), changed * dim, "another future");
  const auto shorter = outputs<T>(0, changed, changed, dim, 1);
  expect_same_bytes(whole.data(), shorter.data(), changed * dim, "no future, misaligned");
}

TEST_F(AttentionKernel, BitsOfARowComeFromItsPastAlone) {
  expect_bits_of_past_alone<bf16>(16);
  expect_bits_of_past_alone<bf16>(64);
  expect_bits_of_past_alone<float>(8);
}

TEST_F(AttentionKernel, LeavesOutWhatIsNotAsked) {
  const AttentionSizes s = sizes(20, 2, 2, 16);
  const std::vector<bf16> x = normal_values<bf16>(20 * 32, 1.0, 1);
  const DeviceArray<bf16> in(x), out(x);
  const DeviceArray<float> lse(std::vector<float>(40, 0.0f)), delta(std::vector<float>(40, 0.0f));
  kernels::attention<bf16>({}, {lse.data(), false}, in.data(), in.data(), in.data(), 32, s,
                           nullptr);
  EXPECT_NE(lse.fetch()[39], 0.0f);
  kernels::attention_backward<bf16>({}, {}, {out.data(), false}, 32, in.data(), in.data(),
                                    lse.data(), in.data(), in.data(), in.data(), 32, delta.data(),
                                    s, nullptr);
  EXPECT_NE(std::memcmp(out.fetch().data(), x.data(), x.size() * sizeof(bf16)), 0);
}

}  // namespace
}  // namespace pg::kerneltest
