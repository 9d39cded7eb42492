// A coded text decodes to its tokens at the length that the ledger metered, by a scorer that never
// saw them; a foreign or damaged file is an error text.
#include "eval/code/coded_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "eval/code/encode/text_encoder.h"
#include "eval/code/text_decoder.h"
#include "eval/make_scorer.h"
#include "src/base/rng.h"
#include "src/device/registry/make_device.h"
#include "tests/eval/eval_fixture.h"
#include "tests/eval/toy_scorer.h"

namespace pg {
namespace {

const Sha256 kArtifact = {1, 2, 3};
const EvalConfig kWindows = {.context = 12, .stride = 5};

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
  return encode_text(scorer, text, make_test_bytes(), kArtifact);
}

Result<std::vector<int32_t>> decode_with_toy(std::span<const uint8_t> file) {
  const Result<CodedText> coded = parse_coded_text(file);
  if (!coded.ok()) return Failure{coded.error()};
  ToyScorer scorer(kTestVocab);
  return decode_text(scorer, coded.value(), kTestVocab);
}

TEST(TextAsFile, GivesTheTokensBackAtTheMeteredLength) {
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

TEST(TextAsFile, KeepsTheArtifactsHashAndGivesTheSameBytesTwice) {
  const std::vector<int32_t> text = make_text(100);
  const EncodedText encoded = encode_with_toy(text);
  EXPECT_EQ(encoded.file, encode_with_toy(text).file);
  const Result<CodedText> coded = parse_coded_text(encoded.file);
  ASSERT_TRUE(coded.ok());
  EXPECT_EQ(coded.value().artifact_sha256, kArtifact);
  EXPECT_EQ(coded.value().tokens, 100);
  EXPECT_EQ(coded.value().first_token, kBosId);
}

// With everything that learns and mixes: whoever decodes has only what was decoded so far.
TEST(TextAsFile, DecodesByAFreshScorerOfEveryKind) {
  const ModelConfig config = make_test_config();
  const UnpackedModel model = make_artifact_model(config, make_random_weights(config, 4));
  std::vector<int32_t> text = make_text(60);
  text[22] = text[43] = kBosId;
  const auto tokens = static_cast<int64_t>(text.size());
  const ByteTable bytes = make_test_bytes();
  for (const char* device_name : {"reference", "cpu:exact"}) {
    const std::unique_ptr<Device> device = make_device(device_name);
    for (const TttKind learns :
         {TttKind::kNone, TttKind::kSgd, TttKind::kPhased, TttKind::kLora, TttKind::kPhasedLora}) {
      for (const MixKind mixes : {MixKind::kNone, MixKind::kTilt, MixKind::kLinear, MixKind::kLogit,
                                  MixKind::kCascade, MixKind::kPpm}) {
        for (const Windows windows : {Windows::kStream, Windows::kDocument}) {
          ScoringConfig scoring(kWindows);
          scoring.ttt.bytes = &bytes;
          scoring.eval.windows = windows;
          scoring.ttt.kind = learns;
          scoring.ttt.chunk_tokens = 20;
          scoring.ttt.batch_tokens = 24;
          scoring.ttt.lora_chunk_tokens = 5;
          const bool adapts = learns == TttKind::kLora || learns == TttKind::kPhasedLora;
          if (adapts && windows == Windows::kDocument && mixes != MixKind::kTilt) {
            scoring.ttt.by_document = true;  // of a text with three documents
            scoring.ttt.lora_targets = "q,attn,mlp,head";
            scoring.ttt.lora_clipped = false;
            scoring.ttt.phase_documents = learns == TttKind::kPhasedLora ? 3 : 0;
          }
          scoring.mix.kind = mixes;
          scoring.mix.cascade_buckets = 1 << 10;
          if (mixes == MixKind::kCascade) {  // and with what a published form adds to each
            scoring.eval.temperature = 0.98;
            scoring.ttt.optimizer = TttOptimizer::kAdamw;
            scoring.ttt.polyak_decay = 0.5;
            scoring.ttt.lora_epochs = 2;
            scoring.ttt.byte_weighted = true;
            scoring.ttt.adaptive_lr_max = 3;
            scoring.ttt.frozen_blocks = 1;
            scoring.ttt.frozen_scales = false;
            scoring.ttt.scales_fraction = 0.5;
          }
          const auto encoder = make_scorer(model, scoring, *device, tokens);
          const EncodedText encoded = encode_text(*encoder, text, bytes, kArtifact);
          const Result<CodedText> coded = parse_coded_text(encoded.file);
          ASSERT_TRUE(coded.ok());
          const auto decoder = make_scorer(model, scoring, *device, tokens);
          const auto decoded = decode_text(*decoder, coded.value(), kTestVocab);
          ASSERT_TRUE(decoded.ok()) << decoded.error();
          EXPECT_EQ(decoded.value(), text) << device_name << ", " << choice_name(windows) << ", "
                                           << choice_name(learns) << ", " << choice_name(mixes);
        }
      }
    }
  }
}

TEST(TextAsFile, OtherWeightsDecodeToAnErrorText) {
  const ModelConfig config = make_test_config();
  const UnpackedModel model = make_artifact_model(config, make_random_weights(config, 4));
  const UnpackedModel other = make_artifact_model(config, make_random_weights(config, 5));
  const std::unique_ptr<Device> device = make_device("reference");
  const auto encoder = make_scorer(model, kWindows, *device, 40);
  const EncodedText encoded = encode_text(*encoder, make_text(40), make_test_bytes(), kArtifact);
  const auto decoder = make_scorer(other, kWindows, *device, 40);
  const auto decoded = decode_text(*decoder, parse_coded_text(encoded.file).value(), kTestVocab);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.error().find("other probabilities"), std::string::npos);
}

// Gives other probabilities from a target on.
class DivergingScorer final : public Scorer {
 public:
  explicit DivergingScorer(int64_t from) : from_(from) {}
  std::vector<Chunk> plan_order(int64_t tokens) const override { return toy_.plan_order(tokens); }
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    toy_.open_chunk(chunk, known);
  }
  void predict(int64_t target, TokenDistribution& distribution) override {
    toy_.predict(target, distribution);
    if (target < from_) return;
    logits_.assign(distribution.network.logits.begin(), distribution.network.logits.end());
    std::rotate(logits_.begin(), logits_.begin() + 1, logits_.end());
    distribution.network.logits = logits_;
  }
  void perceive(int64_t target, int32_t token) override { toy_.perceive(target, token); }
  void close_chunk(const ScoredChunk& scored) override { toy_.close_chunk(scored); }
  uint64_t state_hash() const override { return toy_.state_hash(); }

 private:
  ToyScorer toy_{kTestVocab};
  int64_t from_;
  std::vector<float> logits_;
};

TEST(TextAsFile, ADecodeThatDivergesSaysWhere) {
  const std::vector<int32_t> text = make_text(5 * kCheckTokens / 2);
  const EncodedText encoded = encode_with_toy(text);
  DivergingScorer scorer(kCheckTokens + 700);
  const auto decoded = decode_text(scorer, parse_coded_text(encoded.file).value(), kTestVocab);
  ASSERT_FALSE(decoded.ok());
  EXPECT_NE(decoded.error().find("between tokens 4096 and 8191"), std::string::npos)
      << decoded.error();
}

TEST(TextAsFile, ABeginningIsDecodedAsFarAsItIsChecked) {
  const std::vector<int32_t> text = make_text(7 * kCheckTokens / 2);
  const EncodedText encoded = encode_with_toy(text);
  const auto begin = [&](std::span<const uint8_t> file, int64_t payload_bytes) {
    ToyScorer scorer(kTestVocab);
    return decode_beginning(scorer, parse_coded_text(file).value(), kTestVocab,
                            static_cast<size_t>(payload_bytes));
  };
  // The text's parts cost about the same: a sixth of it holds no whole check, two thirds two of them.
  EXPECT_TRUE(begin(encoded.file, encoded.payload_bytes / 6).value().empty());
  EXPECT_EQ(begin(encoded.file, 2 * encoded.payload_bytes / 3).value(),
            std::vector<int32_t>(text.begin(), text.begin() + 2 * kCheckTokens));
  EXPECT_EQ(begin(encoded.file, encoded.payload_bytes + 100).value(), text);
  const auto damage = [&](int64_t payload_byte) {
    Bytes damaged = encoded.file;
    damaged[damaged.size() - static_cast<size_t>(encoded.payload_bytes - payload_byte)] ^= 0x41;
    return damaged;
  };
  const int64_t half = encoded.payload_bytes / 2;
  EXPECT_FALSE(begin(damage(half / 2), half).ok());
  EXPECT_TRUE(begin(damage(half + half / 2), half).ok());
}

TEST(TextAsFile, ADamagedByteIsAnErrorText) {
  const std::vector<int32_t> text = make_text(60);
  const Bytes file = encode_with_toy(text).file;
  for (size_t i = 0; i < file.size(); ++i) {
    Bytes damaged = file;
    damaged[i] ^= 0x41;
    // The artifact's hash is for the caller to compare; the last byte may have neighbours that mean the same.
    const Result<std::vector<int32_t>> decoded = decode_with_toy(damaged);
    const bool is_harmless = (i >= 8 && i < 40) || i + 1 == file.size();
    EXPECT_TRUE(!decoded.ok() || (is_harmless && decoded.value() == text)) << "byte " << i;
  }
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(decode_with_toy(std::span(file).first(size)).ok()) << size << " bytes";
  }
  Bytes longer = file;
  longer.push_back(0);
  EXPECT_FALSE(decode_with_toy(longer).ok());
}

TEST(TextAsFile, RefusesMoreTokensThanItsBytesCanHold) {
  const std::vector<int32_t> text = make_text(60);
  const Bytes file = encode_with_toy(text).file;
  CodedText coded = parse_coded_text(file).value();
  coded.tokens = int64_t{1} << 40;
  ToyScorer scorer(kTestVocab);
  EXPECT_FALSE(decode_text(scorer, coded, kTestVocab).ok());
}

// It is the caller's to apply; a file whose lengths do not add up is refused.
TEST(TextAsFile, CarriesACorrectionBehindThePayload) {
  const std::vector<int32_t> text = make_text(60);
  const Bytes correction = {7, 8, 9};
  ToyScorer scorer(kTestVocab);
  const EncodedText encoded =
      encode_text(scorer, text, make_test_bytes(), kArtifact, {}, correction);
  EXPECT_EQ(encoded.file.size(), encode_with_toy(text).file.size() + correction.size());
  const Result<CodedText> coded = parse_coded_text(encoded.file);
  ASSERT_TRUE(coded.ok()) << coded.error();
  EXPECT_EQ(Bytes(coded.value().correction.begin(), coded.value().correction.end()), correction);
  EXPECT_EQ(decode_with_toy(encoded.file).value(), text);
  EXPECT_FALSE(parse_coded_text(std::span(encoded.file).first(encoded.file.size() - 1)).ok());
}

// What a tokenizer makes of a text that it keeps nothing of.
TEST(TextAsFile, AStreamOfOneTokenIsAHeaderAlone) {
  const std::vector<int32_t> text = {kBosId};
  const Bytes correction = {7, 8, 9};
  ToyScorer scorer(kTestVocab);
  const EncodedText encoded =
      encode_text(scorer, text, make_test_bytes(), kArtifact, {}, correction);
  EXPECT_EQ(encoded.payload_bytes, 0);
  EXPECT_EQ(encoded.totals.tokens, 0);
  EXPECT_EQ(decode_with_toy(encoded.file).value(), text);
  Bytes damaged = encoded.file;
  damaged[48] ^= 1;  // the first token
  EXPECT_FALSE(decode_with_toy(damaged).ok());
  CodedText longer = parse_coded_text(encoded.file).value();
  longer.payload = correction;
  EXPECT_FALSE(decode_text(scorer, longer, kTestVocab).ok());
}

}  // namespace
}  // namespace pg
