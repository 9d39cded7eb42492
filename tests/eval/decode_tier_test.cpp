// A coded text decodes to its tokens at the length that the ledger metered, by a scorer that never
// saw them; a foreign or damaged file is an error text.
#include "eval/code/decode_tier.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "eval/score/network_scorer.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/device/registry/make_device.h"
#include "tests/eval/eval_fixture.h"
#include "tests/eval/toy_scorer.h"

namespace pg {
namespace {

const CodingKey kKey = {.artifact_sha256 = {1, 2, 3},
                        .tokenizer_sha256 = {4, 5},
                        .context = 12,
                        .stride = 5,
                        .windows = Windows::kStream};

// Text with something to learn: each token is often the one before plus one.
std::vector<int32_t> make_text(int64_t count) {
  const CounterRng rng(9, kStreamTest);
  std::vector<int32_t> text = {kBosId};
  while (static_cast<int64_t>(text.size()) < count) {
    const uint64_t i = text.size();
    const auto next =
        static_cast<int32_t>(rng.below(2 * i, 10) < 8 ? static_cast<uint64_t>(text.back()) + 1
                                                      : rng.below(2 * i + 1, kTestVocab));
    text.push_back(next % static_cast<int32_t>(kTestVocab));
  }
  return text;
}

EncodedText encode_with_toy(std::span<const int32_t> text) {
  ToyScorer scorer(kTestVocab);
  return encode_text(scorer, text, make_test_bytes(), kKey);
}

Result<std::vector<int32_t>> decode_with_toy(std::span<const uint8_t> file) {
  const Result<CodedText> coded = parse_coded_text(file);
  if (!coded.ok()) return Failure{coded.error()};
  ToyScorer scorer(kTestVocab);
  return decode_text(scorer, coded.value(), kTestVocab);
}

TEST(DecodeTier, GivesTheTokensBackAtTheMeteredLength) {
  const std::vector<int32_t> text = make_text(20000);
  const EncodedText encoded = encode_with_toy(text);
  EXPECT_NEAR(8.0 * static_cast<double>(encoded.payload_bytes), encoded.totals.bits,
              0.0005 * encoded.totals.bits);
  ToyScorer metered(kTestVocab);
  EXPECT_EQ(encoded.totals.bits, Ledger(text, make_test_bytes()).score(metered).bits);
  const Result<std::vector<int32_t>> decoded = decode_with_toy(encoded.file);
  ASSERT_TRUE(decoded.ok()) << decoded.error();
  EXPECT_EQ(decoded.value(), text);
}

TEST(DecodeTier, KeepsTheKeyAndGivesTheSameBytesTwice) {
  const std::vector<int32_t> text = make_text(100);
  const EncodedText encoded = encode_with_toy(text);
  EXPECT_EQ(encoded.file, encode_with_toy(text).file);
  const Result<CodedText> coded = parse_coded_text(encoded.file);
  ASSERT_TRUE(coded.ok());
  EXPECT_EQ(coded.value().key.artifact_sha256, kKey.artifact_sha256);
  EXPECT_EQ(coded.value().key.tokenizer_sha256, kKey.tokenizer_sha256);
  EXPECT_EQ(coded.value().key.context, 12);
  EXPECT_EQ(coded.value().key.stride, 5);
  EXPECT_EQ(coded.value().key.windows, Windows::kStream);
  EXPECT_EQ(coded.value().tokens, 100);
  EXPECT_EQ(coded.value().first_token, kBosId);
}

TEST(DecodeTier, DecodesByAFreshNetwork) {
  const ModelConfig config = make_test_config();
  const UnpackedModel model = make_artifact_model(config, make_random_weights(config, 4));
  const std::vector<int32_t> text = make_text(60);
  for (const char* device_name : {"reference", "cpu"}) {
    for (const Windows windows : {Windows::kStream, Windows::kDocument}) {
      CodingKey key = kKey;
      key.windows = windows;
      const std::unique_ptr<Device> device = make_device(device_name);
      NetworkScorer encoder(model, make_coding_config(key), *device);
      const EncodedText encoded = encode_text(encoder, text, make_test_bytes(), key);
      const Result<CodedText> coded = parse_coded_text(encoded.file);
      ASSERT_TRUE(coded.ok());
      NetworkScorer decoder(model, make_coding_config(coded.value().key), *device);
      const auto decoded = decode_text(decoder, coded.value(), kTestVocab);
      ASSERT_TRUE(decoded.ok()) << decoded.error();
      EXPECT_EQ(decoded.value(), text) << device_name << ", " << choice_name(windows);
    }
  }
}

TEST(DecodeTier, OtherWeightsDecodeToAnErrorText) {
  const ModelConfig config = make_test_config();
  const UnpackedModel model = make_artifact_model(config, make_random_weights(config, 4));
  const UnpackedModel other = make_artifact_model(config, make_random_weights(config, 5));
  const std::unique_ptr<Device> device = make_device("reference");
  NetworkScorer encoder(model, make_coding_config(kKey), *device);
  const EncodedText encoded = encode_text(encoder, make_text(40), make_test_bytes(), kKey);
  NetworkScorer decoder(other, make_coding_config(kKey), *device);
  const auto decoded = decode_text(decoder, parse_coded_text(encoded.file).value(), kTestVocab);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.error().find("other probabilities"), std::string::npos);
}

TEST(DecodeTier, ADamagedByteIsAnErrorText) {
  const std::vector<int32_t> text = make_text(60);
  const Bytes file = encode_with_toy(text).file;
  for (size_t i = 0; i < file.size(); ++i) {
    Bytes damaged = file;
    damaged[i] ^= 0x41;
    // Hashes of artifact and tokenizer and the windows' shape are for the caller to compare; the
    // last byte may have neighbours that mean the same.
    const Result<std::vector<int32_t>> decoded = decode_with_toy(damaged);
    const bool is_harmless = (i >= 8 && i < 81) || i + 1 == file.size();
    EXPECT_TRUE(!decoded.ok() || (is_harmless && decoded.value() == text)) << "byte " << i;
  }
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(decode_with_toy(std::span(file).first(size)).ok()) << size << " bytes";
  }
  Bytes longer = file;
  longer.push_back(0);
  EXPECT_FALSE(decode_with_toy(longer).ok());
}

TEST(DecodeTier, RefusesMoreTokensThanItsBytesCanHold) {
  const std::vector<int32_t> text = make_text(60);
  const Bytes file = encode_with_toy(text).file;
  CodedText coded = parse_coded_text(file).value();
  coded.tokens = int64_t{1} << 40;
  ToyScorer scorer(kTestVocab);
  EXPECT_FALSE(decode_text(scorer, coded, kTestVocab).ok());
}

TEST(DecodeTier, EncodesNothingThatItWouldNotDecode) {
  const std::vector<int32_t> text = make_text(10);
  ToyScorer scorer(kTestVocab);
  for (const auto& [context, stride] : {std::pair{0, 1}, {8, 0}, {8, 9}, {1 << 17, 64}}) {
    CodingKey key = kKey;
    key.context = context;
    key.stride = stride;
    EXPECT_THROW(encode_text(scorer, text, make_test_bytes(), key), Error) << context;
  }
}

// It is the caller's to apply; a file whose lengths do not add up is refused.
TEST(DecodeTier, CarriesACorrectionBehindThePayload) {
  const std::vector<int32_t> text = make_text(60);
  const Bytes correction = {7, 8, 9};
  ToyScorer scorer(kTestVocab);
  const EncodedText encoded = encode_text(scorer, text, make_test_bytes(), kKey, {}, correction);
  EXPECT_EQ(encoded.file.size(), encode_with_toy(text).file.size() + correction.size());
  const Result<CodedText> coded = parse_coded_text(encoded.file);
  ASSERT_TRUE(coded.ok()) << coded.error();
  EXPECT_EQ(Bytes(coded.value().correction.begin(), coded.value().correction.end()), correction);
  EXPECT_EQ(decode_with_toy(encoded.file).value(), text);
  EXPECT_FALSE(parse_coded_text(std::span(encoded.file).first(encoded.file.size() - 1)).ok());
}

// What a tokenizer makes of a text that it keeps nothing of.
TEST(DecodeTier, AStreamOfOneTokenIsAHeaderAlone) {
  const std::vector<int32_t> text = {kBosId};
  const Bytes correction = {7, 8, 9};
  ToyScorer scorer(kTestVocab);
  const EncodedText encoded = encode_text(scorer, text, make_test_bytes(), kKey, {}, correction);
  EXPECT_EQ(encoded.payload_bytes, 0);
  EXPECT_EQ(encoded.totals.tokens, 0);
  EXPECT_EQ(decode_with_toy(encoded.file).value(), text);
  Bytes damaged = encoded.file;
  damaged[81] ^= 1;  // the first token
  EXPECT_FALSE(decode_with_toy(damaged).ok());
  CodedText longer = parse_coded_text(encoded.file).value();
  longer.payload = correction;
  EXPECT_FALSE(decode_text(scorer, longer, kTestVocab).ok());
  EXPECT_THROW(encode_with_toy(std::vector<int32_t>{}), Error);
}

}  // namespace
}  // namespace pg
