// Sealing: round trip, repeatability, the cap.
#include <gtest/gtest.h>

#include <cstring>

#include "quant/format/artifact_format.h"
#include "quant/format/unpack.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

QuantModel tiny_model(uint64_t seed = 1) {
  const Sha256 tokenizer = sha256(as_bytes("tokenizer"));
  return quantize_plain(tiny_config(), random_weights(tiny_config(), seed), tiny_quant(),
                        tokenizer);
}

TEST(Seal, UnpackGivesTheDequantisedModel) {
  const QuantModel filled =
      quantize_calibrated(tiny_config(), random_weights(tiny_config(), 1), tiny_filled_quant(2900))
          .model;
  for (QuantModel model : {tiny_model(), filled}) {
    model.tokenizer_sha256 = sha256(as_bytes("tokenizer"));
    model.scoring_keys = "eval.context=96\neval.stride=7\n";
    const SealedArtifact sealed = seal(model, tiny_quant(), 1000);
    const Result<UnpackedModel> unpacked = unpack(sealed.bytes);
    ASSERT_TRUE(unpacked.ok()) << unpacked.error();
    const UnpackedModel& m = unpacked.value();
    const std::vector<ParamSpec> specs = list_params(tiny_config());
    ASSERT_EQ(m.tensors().size(), specs.size());
    for (size_t i = 0; i < specs.size(); ++i) {
      const HostTensor expected = dequantize(model.tensors[i], specs[i]);
      EXPECT_EQ(m.tensors()[i].spec.name, specs[i].name);
      ASSERT_EQ(std::memcmp(m.tensors()[i].values.data(), expected.values.data(),
                            expected.values.size() * sizeof(float)),
                0);
    }
    EXPECT_EQ(m.tokenizer_sha256(), sha256(as_bytes("tokenizer")));
    EXPECT_EQ(m.artifact_sha256(), sha256(sealed.bytes));
    EXPECT_EQ(m.scoring_keys(), "eval.context=96\neval.stride=7\n");
    EXPECT_EQ(m.config().bigram_buckets, tiny_config().bigram_buckets);
    EXPECT_EQ(m.config().rope_base, tiny_config().rope_base);
    EXPECT_EQ(m.config().resid_mix, tiny_config().resid_mix);
  }
}

TEST(Seal, SameModelSameBytesForAnyThreadCount) {
  const SealedArtifact first = seal(tiny_model(), tiny_quant(), 0);
  const int threads = thread_count();
  set_thread_count(1);
  const SealedArtifact second = seal(tiny_model(), tiny_quant(), 0);
  set_thread_count(threads);
  EXPECT_EQ(first.bytes, second.bytes);
}

TEST(Seal, DecodingAndEncodingAgainGivesTheSameBytes) {
  const SealedArtifact sealed = seal(tiny_model(), tiny_quant(), 0);
  const Result<QuantModel> parsed = parse_artifact(sealed.bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(seal(parsed.value(), tiny_quant(), 0).bytes, sealed.bytes);
}

TEST(Seal, SummaryAddsUp) {
  const SealedArtifact sealed = seal(tiny_model(), tiny_quant(), 1234);
  const PackSummary& s = sealed.summary;
  EXPECT_EQ(s.model_bytes, static_cast<int64_t>(sealed.bytes.size()));
  EXPECT_EQ(s.total_bytes, s.model_bytes + 1234);
  EXPECT_NEAR(
      s.bits_per_weight,
      8.0 * static_cast<double>(s.model_bytes) / static_cast<double>(count_params(tiny_config())),
      1e-12);
  EXPECT_GT(s.entropy_bytes, 0);
  EXPECT_GT(s.code_stream_bytes, 0);
  EXPECT_LT(s.code_stream_bytes, static_cast<double>(s.model_bytes));
}

TEST(Seal, BytesOfTheStreamAreChargedToWhatTheyHold) {
  QuantConfig quant = tiny_quant();
  quant.lqer_rank = 2;
  quant.lqer_tensors = 1;
  const QuantModel corrected =
      quantize_plain(tiny_config(), random_weights(tiny_config(), 1), quant);
  const QuantModel factored =
      quantize_calibrated(tiny_config(), random_weights(tiny_config(), 1), tiny_filled_quant(2900))
          .model;
  for (const QuantModel* model : {&corrected, &factored}) {
    std::vector<TensorBytes> spent;
    const Bytes stream = encode_weights(*model, &spent);
    ASSERT_EQ(spent.size(), model->tensors.size());
    double sum = 0;
    for (size_t i = 0; i < spent.size(); ++i) {
      const QuantTensor& t = model->tensors[i];
      const bool is_half = t.bits == 16;
      EXPECT_EQ(spent[i].values > 0, is_half) << t.name;
      EXPECT_EQ(spent[i].codes > 0, !is_half) << t.name;
      EXPECT_EQ(spent[i].scales > 0, !is_half) << t.name;
      EXPECT_EQ(spent[i].low_rank > 0, t.low_rank.rank > 0) << t.name;
      sum += spent[i].total();
    }
    // Four states of 64 bits that start with 31 bits each, and half a word of slack.
    EXPECT_NEAR(static_cast<double>(stream.size()), sum + 16, 16);
  }
}

TEST(Seal, RefusesToPassTheCapByOneByte) {
  QuantConfig quant = tiny_quant();
  const int64_t total = seal(tiny_model(), quant, 500).summary.total_bytes;
  quant.cap_bytes = total;
  EXPECT_EQ(seal(tiny_model(), quant, 500).summary.total_bytes, total);
  quant.cap_bytes = total - 1;
  try {
    seal(tiny_model(), quant, 500);
    FAIL() << "the cap did not bind";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("1 bytes over the cap"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("fill_cap"), std::string::npos) << e.what();
  }
}

TEST(Seal, EachSettingChangesTheModel) {
  const std::vector<HostTensor> weights = random_weights(tiny_config(), 5, 0, 0.4);
  const auto packed = [&](auto change) {
    QuantConfig quant = tiny_quant();
    change(quant);
    return seal(quantize_plain(tiny_config(), weights, quant), quant, 0).bytes;
  };
  const Bytes base = packed([](QuantConfig&) {});
  EXPECT_LT(packed([](QuantConfig& q) { q.matrix_bits = 4; }).size(), base.size());
  EXPECT_LT(packed([](QuantConfig& q) { q.mlp_bits = 4; }).size(), base.size());
  EXPECT_LT(packed([](QuantConfig& q) { q.embed_bits = 5; }).size(), base.size());
  EXPECT_GT(packed([](QuantConfig& q) { q.keep_fp16_elements = 100000; }).size(), base.size());
  EXPECT_NE(packed([](QuantConfig& q) { q.scales = ScaleRule::kGptqLiteMatrix; }), base);
}

}  // namespace
}  // namespace pg
