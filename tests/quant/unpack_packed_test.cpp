// Strangers' bytes in streams of zstd and lzma: as unpack_hostile_test has them for our own coder.
#include <gtest/gtest.h>

#include "tests/quant/hostile_fixtures.h"

namespace pg {
namespace {

class UnpackPacked : public testing::TestWithParam<Coder> {};
INSTANTIATE_TEST_SUITE_P(Coders, UnpackPacked, testing::Values(Coder::kZstd, Coder::kLzma),
                         [](const auto& info) { return std::string(choice_name(info.param)); });

QuantModel make_packed_model(Coder coder) {
  QuantModel model = make_corrected_model();
  model.coder = coder;
  return model;
}

TEST_P(UnpackPacked, EveryTruncationWithACorrectHashIsRejected) {
  const Bytes file = encode_artifact(make_packed_model(GetParam()));
  const std::span<const uint8_t> body = body_of(file);
  for (size_t n = 0; n < body.size(); ++n) ASSERT_FALSE(unpack(with_hash(body.first(n)))) << n;
}

TEST_P(UnpackPacked, WhatFollowsTheStreamIsRejected) {
  const QuantModel model = make_packed_model(GetParam());
  const Bytes header = encode_header(model);
  Bytes weights = encode_weights(model);
  weights.push_back(0);
  EXPECT_EQ(unpack(join(header, weights)).error(), "the weights are cut short or damaged");
  weights.pop_back();
  const Bytes more = weights;
  weights.insert(weights.end(), more.begin(), more.end());  // zstd: frames that are too much
  EXPECT_EQ(unpack(join(header, weights)).error(), "the weights are cut short or damaged");
}

// Rejected, or another model, which our own coder can hold as well.
TEST_P(UnpackPacked, FlipsWithACorrectHashAreRejectedOrModels) {
  const Bytes file = encode_artifact(make_packed_model(GetParam()));
  Bytes body(body_of(file).begin(), body_of(file).end());
  int rejected = 0, accepted = 0;
  for (size_t bit = 0; bit < 8 * body.size(); bit += 11) {
    body[bit / 8] = static_cast<uint8_t>(body[bit / 8] ^ (1u << (bit % 8)));
    Result<QuantModel> parsed = parse_artifact(with_hash(body));
    ++(parsed ? accepted : rejected);
    if (parsed) {
      parsed.value().coder = Coder::kOwn;
      ASSERT_TRUE(parse_artifact(encode_artifact(parsed.value()))) << bit;
    }
    body[bit / 8] = static_cast<uint8_t>(body[bit / 8] ^ (1u << (bit % 8)));
  }
  EXPECT_GT(rejected, 500);
  EXPECT_GT(accepted, 20);  // in the tokenizer's hash alone
}

TEST_P(UnpackPacked, StreamsOfAnotherCoderAreRejected) {
  const Bytes header = encode_header(make_packed_model(GetParam()));
  for (const Coder other : {Coder::kOwn, Coder::kZstd, Coder::kLzma}) {
    const auto unpacked = unpack(join(header, encode_weights(make_packed_model(other))));
    EXPECT_EQ(unpacked.ok(), other == GetParam()) << choice_name(other);
  }
}

TEST_P(UnpackPacked, NumbersOutOfRangeAreRejected) {
  const QuantModel good = make_packed_model(GetParam());
  const Bytes header = encode_header(good);
  const auto unpack_with = [&](auto change) {
    QuantModel bad = good;
    for (QuantTensor& tensor : bad.tensors) change(tensor);
    return unpack(join(header, encode_weights(bad))).ok();
  };
  EXPECT_TRUE(unpack_with([](QuantTensor&) {}));
  for (const int code : {127, -127, -128}) {  // bytes hold more than 6 bits' codes
    EXPECT_FALSE(unpack_with([&](QuantTensor& t) {
      if (!t.codes.empty() && t.bits == 6) t.codes[0] = static_cast<int8_t>(code);
    })) << code;
  }
  EXPECT_FALSE(unpack_with([](QuantTensor& t) {
    if (!t.codes.empty()) t.codes[0] = -128;
  }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) {
    if (!t.low_rank.b.empty()) t.low_rank.b[0] = 9;
  }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) {
    if (t.bits == 16) t.halves[0] = 0x7c00;
  }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) {
    if (t.bits != 16) t.halves[0] = 0x8000;
  }));
}

// A few kilobytes that unpack to gigabytes: stopped at the model's own size.
TEST_P(UnpackPacked, BombsAreRejectedWithoutMemory) {
  QuantModel bomb = make_packed_model(GetParam());
  for (QuantTensor& tensor : bomb.tensors) {
    if (tensor.codes.empty()) continue;
    tensor.cols = int64_t{1} << 22;
    tensor.rows = 1;
    tensor.codes.assign(static_cast<size_t>(tensor.cols), 0);
    tensor.halves.assign(1, 0);
    tensor.fine = {};
    tensor.low_rank = {};
  }
  const Bytes header = encode_header(make_packed_model(GetParam()));
  const Bytes weights = encode_weights(bomb);
  EXPECT_LT(weights.size(), 100000u);
  EXPECT_EQ(unpack(join(header, weights)).error(), "the weights are cut short or damaged");
}

}  // namespace
}  // namespace pg
