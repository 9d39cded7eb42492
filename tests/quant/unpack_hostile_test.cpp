// Strangers' bytes: every defect is an error text, found before memory is spent.
#include <gtest/gtest.h>

#include "quant/artifact_format.h"
#include "quant/half.h"
#include "quant/storage_bits.h"
#include "quant/unpack.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

struct Sample {
  QuantModel model;
  ArtifactHeader header;
  PayloadLayout layout;
  Bytes raw;   // the payload before compression
  Bytes file;  // sealed
};

Sample make_sample(const char* compressor = "zstd") {
  Sample s;
  QuantConfig quant = tiny_quant();
  quant.compressor = compressor;
  s.model = quantize(tiny_config(), random_weights(tiny_config(), 3), {}, quant);
  s.header.config = s.model.config;
  s.header.bits = tensor_bits(s.model);
  s.layout = plan_payload(s.model.config, s.header.bits);
  s.raw = encode_payload(s.model);
  s.file = seal(s.model, quant, 0).bytes;
  return s;
}

// What an attacker does: any body with a correct hash.
Bytes with_hash(std::span<const uint8_t> body) {
  Bytes out(body.begin(), body.end());
  const Sha256 digest = sha256(body);
  out.insert(out.end(), digest.begin(), digest.end());
  return out;
}

std::span<const uint8_t> body_of(const Bytes& file) {
  return std::span(file).first(file.size() - sizeof(Sha256));
}

Bytes file_of(const ArtifactHeader& header, std::span<const uint8_t> raw) {
  return encode_artifact(header, compress(header.compressor, raw));
}

TEST(UnpackHostile, EveryTruncationIsRejected) {
  const Sample s = make_sample();
  for (size_t n = 0; n < s.file.size(); ++n) ASSERT_FALSE(unpack(std::span(s.file).first(n))) << n;
}

TEST(UnpackHostile, EverySingleBitFlipIsRejected) {
  Bytes file = make_sample().file;
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    file[bit / 8] = static_cast<uint8_t>(file[bit / 8] ^ (1u << (bit % 8)));
    ASSERT_FALSE(unpack(file)) << bit;
    file[bit / 8] = static_cast<uint8_t>(file[bit / 8] ^ (1u << (bit % 8)));
  }
}

TEST(UnpackHostile, EveryTruncationWithACorrectHashIsRejected) {
  for (const char* compressor : {"zstd", "lzma"}) {
    const Sample s = make_sample(compressor);
    const std::span<const uint8_t> body = body_of(s.file);
    for (size_t n = 0; n < body.size(); ++n) ASSERT_FALSE(unpack(with_hash(body.first(n)))) << n;
  }
}

TEST(UnpackHostile, TrailingBytesAreRejected) {
  for (const char* compressor : {"zstd", "lzma"}) {
    const Sample s = make_sample(compressor);
    Bytes after_file = s.file;
    after_file.push_back(0);
    EXPECT_FALSE(unpack(after_file));
    Bytes after_payload(body_of(s.file).begin(), body_of(s.file).end());
    after_payload.push_back(0);
    EXPECT_FALSE(unpack(with_hash(after_payload)));
    // Inside the declared payload, behind the end of the stream.
    ArtifactHeader header = s.header;
    header.compressor = std::string(compressor) == "lzma" ? Compressor::kLzma : Compressor::kZstd;
    Bytes packed = compress(header.compressor, s.raw);
    EXPECT_TRUE(unpack(encode_artifact(header, packed)));
    packed.push_back(0);
    EXPECT_FALSE(unpack(encode_artifact(header, packed)));
  }
}

// A second, empty or skippable zstd frame decodes to nothing: another encoding of the same model.
TEST(UnpackHostile, ASecondZstdFrameIsRejected) {
  const Sample s = make_sample();
  const Bytes packed = compress(Compressor::kZstd, s.raw);
  const Bytes skippable = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0};
  Bytes before = skippable, after = packed;
  before.insert(before.end(), packed.begin(), packed.end());
  after.insert(after.end(), skippable.begin(), skippable.end());
  EXPECT_FALSE(unpack(encode_artifact(s.header, before)));
  EXPECT_FALSE(unpack(encode_artifact(s.header, after)));
}

// Flips with a corrected hash: rejected, or another model whose only encoding these bytes are.
TEST(UnpackHostile, HeaderFlipsWithACorrectHashAreRejectedOrCanonical) {
  const Sample s = make_sample();
  Bytes body(body_of(s.file).begin(), body_of(s.file).end());
  const size_t header_bytes = body.size() - compress(Compressor::kZstd, s.raw).size();
  for (size_t bit = 0; bit < 8 * header_bytes; ++bit) {
    body[bit / 8] = static_cast<uint8_t>(body[bit / 8] ^ (1u << (bit % 8)));
    const Bytes file = with_hash(body);
    const Result<QuantModel> parsed = parse_artifact(file);
    if (parsed) {
      ArtifactHeader header{.tokenizer_sha256 = parsed.value().tokenizer_sha256,
                            .config = parsed.value().config,
                            .bits = tensor_bits(parsed.value())};
      ASSERT_EQ(file_of(header, encode_payload(parsed.value())), file) << bit;
    }
    body[bit / 8] = static_cast<uint8_t>(body[bit / 8] ^ (1u << (bit % 8)));
  }
}

TEST(UnpackHostile, PayloadFlipsAreRejectedOrCanonical) {
  Sample s = make_sample();
  int rejected = 0;
  for (size_t bit = 0; bit < 8 * s.raw.size(); bit += 3) {  // reaches every bit position
    s.raw[bit / 8] = static_cast<uint8_t>(s.raw[bit / 8] ^ (1u << (bit % 8)));
    const Result<QuantModel> parsed = parse_payload(s.header, s.layout, s.raw);
    if (parsed) {
      ASSERT_EQ(encode_payload(parsed.value()), s.raw) << bit;
    } else {
      ++rejected;
    }
    s.raw[bit / 8] = static_cast<uint8_t>(s.raw[bit / 8] ^ (1u << (bit % 8)));
  }
  EXPECT_GT(rejected, 0);
}

TEST(UnpackHostile, CodesOutOfRangeAreRejected) {
  const Sample s = make_sample();
  size_t first_matrix_code = 0;  // the first 6-bit tensor in payload order
  for (const size_t i : s.layout.order) {
    if (s.header.bits[i] == 6) break;
    if (s.header.bits[i] == 8)
      first_matrix_code += static_cast<size_t>(s.layout.specs[i].elements());
  }
  for (const int code : {32, -32, 127, -128}) {
    Bytes raw = s.raw;
    raw[first_matrix_code] = static_cast<uint8_t>(code);
    EXPECT_FALSE(unpack(file_of(s.header, raw))) << code;
  }
  Bytes raw = s.raw;
  raw[0] = 0x80;  // -128 in the 8-bit embedding
  EXPECT_FALSE(unpack(file_of(s.header, raw)));
}

TEST(UnpackHostile, BadHalvesAreRejected) {
  const Sample s = make_sample();
  const auto set_half = [&](size_t begin, size_t count, uint16_t half) {
    Bytes raw = s.raw;
    raw[begin] = static_cast<uint8_t>(half & 0xff);
    raw[begin + count] = static_cast<uint8_t>(half >> 8);
    return file_of(s.header, raw);
  };
  const auto codes = static_cast<size_t>(s.layout.codes),
             scales = static_cast<size_t>(s.layout.scales);
  const auto values = static_cast<size_t>(s.layout.values);
  EXPECT_TRUE(unpack(set_half(codes, scales, 0x3c00)));               // scale 1
  EXPECT_FALSE(unpack(set_half(codes, scales, 0x7c00)));              // infinity
  EXPECT_FALSE(unpack(set_half(codes, scales, 0x7e00)));              // NaN
  EXPECT_FALSE(unpack(set_half(codes, scales, 0xbc00)));              // -1
  EXPECT_FALSE(unpack(set_half(codes, scales, 0x8000)));              // -0
  EXPECT_FALSE(unpack(set_half(codes, scales, 0)));                   // a zero scale with codes
  EXPECT_TRUE(unpack(set_half(codes + 2 * scales, values, 0xbc00)));  // a value may be -1
  EXPECT_FALSE(unpack(set_half(codes + 2 * scales, values, 0xfc00)));
}

TEST(UnpackHostile, HugeModelsAreRejectedWithoutMemory) {
  Sample s = make_sample();
  s.header.config.bigram_buckets = 1 << 24;
  s.header.config.bigram_dim = 4096;
  const Result<UnpackedModel> huge = unpack(encode_artifact(s.header, s.raw));
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().find("too large"), std::string::npos) << huge.error();

  s.header.config.bigram_dim = 8;  // 2^27 parameters: allowed, but not from a few kilobytes
  const Result<UnpackedModel> bomb = unpack(encode_artifact(s.header, s.raw));
  ASSERT_FALSE(bomb);
  EXPECT_NE(bomb.error().find("too small"), std::string::npos) << bomb.error();
}

TEST(UnpackHostile, FieldsOutOfRangeAreRejected) {
  const auto unpack_with = [](auto change) {
    Sample s = make_sample();
    change(s.header.config);
    return unpack(encode_artifact(s.header, compress(Compressor::kZstd, s.raw))).ok();
  };
  EXPECT_TRUE(unpack_with([](ModelConfig&) {}));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.layers = 0; }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.layers = 4000000000; }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.heads = 0; }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.heads = 3; }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.kv_heads = 0; }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.rope_dims = 3; }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.leaky_slope = std::nan(""); }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.logit_softcap = 0; }));
  EXPECT_FALSE(unpack_with([](ModelConfig& c) { c.smear_gate = !c.smear_gate; }));
}

TEST(UnpackHostile, UnknownHeadersAreRejected) {
  const Sample s = make_sample();
  const auto unpack_with_byte = [&](size_t at, uint8_t value) {
    Bytes body(body_of(s.file).begin(), body_of(s.file).end());
    body[at] = value;
    return unpack(with_hash(body));
  };
  EXPECT_NE(unpack_with_byte(0, 'X').error().find("PGAF"), std::string::npos);
  EXPECT_NE(unpack_with_byte(4, 2).error().find("version"), std::string::npos);
  EXPECT_NE(unpack_with_byte(6, 3).error().find("compressor"), std::string::npos);
  EXPECT_FALSE(unpack_with_byte(6, 2));  // a zstd payload called lzma
  EXPECT_NE(unpack_with_byte(7, 5).error().find("fields"), std::string::npos);
  EXPECT_NE(unpack_with_byte(8, 0).error().find("fields"), std::string::npos);
}

TEST(UnpackHostile, BitWidthsMustFitThePayload) {
  Sample s = make_sample();
  for (const int bits :
       {0, 1, 9, 15, 17, 255, 7, 16}) {  // the last two are valid but not for this payload
    ArtifactHeader header = s.header;
    for (uint8_t& width : header.bits) {
      if (width == 6) width = static_cast<uint8_t>(bits);
    }
    const bool is_valid = bits == 7;  // same layout, wider range: another model, not a defect
    EXPECT_EQ(unpack(encode_artifact(header, compress(Compressor::kZstd, s.raw))).ok(), is_valid)
        << bits;
  }
}

TEST(UnpackHostile, RandomBytesAreRejected) {
  const CounterRng rng(1, kStreamTest);
  for (uint64_t i = 0; i < 2000; ++i) {
    Bytes bytes(rng.below(2 * i, 400));
    for (size_t k = 0; k < bytes.size(); ++k)
      bytes[k] = static_cast<uint8_t>(rng.bits(i * 1000 + k));
    ASSERT_FALSE(unpack(bytes));
    ASSERT_FALSE(unpack(with_hash(bytes)));
  }
}

}  // namespace
}  // namespace pg
