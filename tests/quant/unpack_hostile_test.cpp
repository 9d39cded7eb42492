// Strangers' bytes: every defect is an error text, found before memory is spent.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "quant/format/artifact_format.h"
#include "quant/format/half.h"
#include "quant/format/storage_bits.h"
#include "quant/format/unpack.h"
#include "tests/quant/hostile_fixtures.h"

namespace pg {
namespace {

TEST(UnpackHostile, EveryTruncationIsRejected) {
  const Bytes file = encode_artifact(make_model());
  ASSERT_TRUE(unpack(file));
  for (size_t n = 0; n < file.size(); ++n) ASSERT_FALSE(unpack(std::span(file).first(n))) << n;
}

TEST(UnpackHostile, EverySingleBitFlipIsRejected) {
  Bytes file = encode_artifact(make_model());
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    file[bit / 8] = static_cast<uint8_t>(file[bit / 8] ^ (1u << (bit % 8)));
    ASSERT_FALSE(unpack(file)) << bit;
    file[bit / 8] = static_cast<uint8_t>(file[bit / 8] ^ (1u << (bit % 8)));
  }
}

TEST(UnpackHostile, EveryTruncationWithACorrectHashIsRejected) {
  for (const QuantModel& model : {make_model(), make_corrected_model()}) {
    const Bytes file = encode_artifact(model);
    const std::span<const uint8_t> body = body_of(file);
    for (size_t n = 0; n < body.size(); ++n) ASSERT_FALSE(unpack(with_hash(body.first(n)))) << n;
  }
}

TEST(UnpackHostile, TrailingBytesAreRejected) {
  const Bytes file = encode_artifact(make_model());
  for (const uint8_t extra : {uint8_t{0}, uint8_t{1}, uint8_t{255}}) {
    Bytes after_file = file;
    after_file.push_back(extra);
    EXPECT_FALSE(unpack(after_file));
    Bytes after_weights(body_of(file).begin(), body_of(file).end());
    after_weights.push_back(extra);
    EXPECT_FALSE(unpack(with_hash(after_weights)));
  }
}

// Flips with a corrected hash: rejected, or another model whose only encoding these bytes are.
TEST(UnpackHostile, FlipsWithACorrectHashAreRejectedOrCanonical) {
  int rejected = 0, accepted = 0;
  for (const QuantModel& model : {make_model(), make_corrected_model()}) {
    const Bytes file = encode_artifact(model);
    Bytes body(body_of(file).begin(), body_of(file).end());
    for (size_t bit = 0; bit < 8 * body.size(); bit += 11) {  // reaches every bit position
      body[bit / 8] = static_cast<uint8_t>(body[bit / 8] ^ (1u << (bit % 8)));
      const Bytes changed = with_hash(body);
      const Result<QuantModel> parsed = parse_artifact(changed);
      ++(parsed ? accepted : rejected);
      if (parsed) {
        ASSERT_EQ(encode_artifact(parsed.value()), changed) << bit;
      }
      body[bit / 8] = static_cast<uint8_t>(body[bit / 8] ^ (1u << (bit % 8)));
    }
  }
  EXPECT_GT(rejected, 500);
  EXPECT_GT(accepted, 20);  // in the tokenizer's hash alone
}

TEST(UnpackHostile, CodesOutOfRangeAreRejected) {
  const QuantModel good = make_model();
  const Bytes header = encode_header(good);
  for (size_t t = 0; t < good.tensors.size(); ++t) {
    if (good.tensors[t].codes.empty() || good.tensors[t].bits == 8) continue;
    QuantModel bad = good;  // the coder of a factored tensor holds up to 127
    bad.tensors[t].codes[5] = 127;
    EXPECT_FALSE(unpack(join(header, encode_weights(bad)))) << good.tensors[t].name;
  }
  QuantModel zero_scale = good;
  for (QuantTensor& tensor : zero_scale.tensors) tensor.scale = 0;
  EXPECT_FALSE(unpack(join(header, encode_weights(zero_scale))));
}

TEST(UnpackHostile, BadNumbersAreRejected) {
  const QuantModel good = make_corrected_model();
  const Bytes header = encode_header(good);
  const auto unpack_with = [&](auto change) {
    QuantModel bad = good;
    for (QuantTensor& tensor : bad.tensors) change(tensor);
    return unpack(join(header, encode_weights(bad))).ok();
  };
  const auto set_scale = [&](uint16_t half) {
    return unpack_with([&](QuantTensor& t) {
      if (t.bits != 16) t.halves[0] = half;
    });
  };
  EXPECT_TRUE(set_scale(0x3c00));   // 1
  EXPECT_FALSE(set_scale(0x7c00));  // infinity
  EXPECT_FALSE(set_scale(0x7e00));  // NaN
  EXPECT_FALSE(set_scale(0));       // a zero scale with codes
  const auto set_value = [&](uint16_t half) {
    return unpack_with([&](QuantTensor& t) {
      if (t.bits == 16) t.halves[0] = half;
    });
  };
  EXPECT_TRUE(set_value(0xbc00));   // -1
  EXPECT_FALSE(set_value(0xfc00));  // -infinity
  EXPECT_FALSE(unpack_with([](QuantTensor& t) {
    if (!t.low_rank.a.empty()) t.low_rank.a[0] = 2;  // -2..1
  }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) {
    if (!t.low_rank.b.empty()) t.low_rank.b[0] = 8;  // -8..7
  }));
  const QuantModel factored = make_model();
  for (const float scale : {-1.0f, -0.0f, INFINITY, NAN}) {
    QuantModel bad = factored;
    bad.tensors[0].scale = scale;
    EXPECT_FALSE(unpack(join(encode_header(factored), encode_weights(bad)))) << scale;
  }
}

TEST(UnpackHostile, HugeModelsAreRejectedWithoutMemory) {
  QuantModel model = make_model();
  const Bytes weights = encode_weights(model);
  const auto unpack_with_table = [&](int64_t buckets, int64_t dim) {
    model.config.bigram_buckets = buckets;
    model.config.bigram_dim = dim;
    const std::vector<ParamSpec> specs = list_params(model.config);
    for (size_t i = 0; i < specs.size(); ++i) {
      model.tensors[i].rows = specs[i].rows;
      model.tensors[i].cols = specs[i].cols;
    }
    return unpack(join(encode_header(model), weights));
  };
  const Result<UnpackedModel> huge = unpack_with_table(1 << 24, 4096);
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().find("too large"), std::string::npos) << huge.error();
  const Result<UnpackedModel> bomb = unpack_with_table(1 << 24, 8);
  ASSERT_FALSE(bomb);  // 2^27 parameters: allowed, but not from a few kilobytes
  EXPECT_NE(bomb.error().find("too small"), std::string::npos) << bomb.error();
}

// The header with other keys; where they begin: artifact_format.h.
Bytes with_keys(const Bytes& header, std::string_view keys) {
  constexpr size_t kKeysAt = 42;
  ByteReader reader(header);
  reader.bytes(kKeysAt - 2);
  const uint16_t old_bytes = reader.u16();
  ByteWriter out;
  out.bytes(std::span(header).first(kKeysAt - 2));
  out.u16(static_cast<uint16_t>(keys.size()));
  out.bytes(as_bytes(keys));
  out.bytes(std::span(header).subspan(kKeysAt + old_bytes));
  return out.take();
}

// The header's keys with another value for one of them, in its place.
std::string with_value(const ModelConfig& config, std::string_view key, const std::string& value) {
  std::string keys;
  for (const FrozenValue& frozen : frozen_model_keys()) {
    const std::string name = "model." + std::string(key);
    std::string line = std::string(frozen.key) + '=';
    const std::string own = write_model_keys(config);
    const size_t at = own.find(line);
    std::string text(frozen.value);
    if (at != std::string::npos) {
      text = own.substr(at + line.size(), own.find('\n', at) - at - line.size());
    }
    if (frozen.key == name) text = value;
    if (text != frozen.value) keys += line + text + '\n';
  }
  return keys;
}

TEST(UnpackHostile, FieldsOutOfRangeAreRejected) {
  const QuantModel model = make_model();
  const Bytes header = encode_header(model), weights = encode_weights(model);
  const auto unpack_with = [&](std::string_view key, const std::string& value) {
    return unpack(join(with_keys(header, with_value(model.config, key, value)), weights)).ok();
  };
  EXPECT_TRUE(unpack_with("layers", "2"));
  EXPECT_TRUE(unpack_with("leaky_slope", "0.25"));
  const std::pair<const char*, const char*> bad[] = {
      {"layers", "0"},          {"layers", "4000000000"}, {"layers", "-1"},
      {"layers", "two"},        {"layers", ""},           {"layers", "99999999999999999999"},
      {"heads", "0"},           {"heads", "3"},           {"kv_heads", "0"},
      {"rope_dims", "3"},       {"leaky_slope", "nan"},   {"leaky_slope", "inf"},
      {"logit_softcap", "0.0"}, {"smear_gate", "false"},  // one tensor less
      {"smear_gate", "maybe"}};
  for (const auto& [key, value] : bad) EXPECT_FALSE(unpack_with(key, value)) << key << value;
}

// What unpack() says of the model's file with this text for keys; "" where it takes it.
std::string error_of_keys(const QuantModel& model, const std::string& text) {
  const auto unpacked = unpack(join(with_keys(encode_header(model), text), encode_weights(model)));
  return unpacked.ok() ? "" : unpacked.error();
}

TEST(UnpackHostile, KeysHaveOneText) {
  const QuantModel model = make_model();
  const std::string keys = write_model_keys(model.config);
  const auto error_of = [&](const std::string& text) { return error_of_keys(model, text); };
  EXPECT_EQ(error_of(keys), "");
  EXPECT_EQ(error_of(keys + "eval.stride=8\n"), "");  // for who scores it to read
  EXPECT_NE(error_of(keys + "model.experts=8\n").find("unknown key: \"model.experts\""),
            std::string::npos);
  const std::string first = keys.substr(0, keys.find('\n') + 1);
  EXPECT_NE(error_of(first + keys).find("twice"), std::string::npos);
  EXPECT_NE(error_of(keys.substr(first.size()) + first), "");                 // another order
  EXPECT_NE(error_of(keys + "model.rope_base=10000.0\n"), "");                // the frozen value
  EXPECT_NE(error_of(with_value(model.config, "leaky_slope", "0.250")), "");  // another spelling
  EXPECT_NE(error_of(keys.substr(0, keys.size() - 1)), "");                   // no line end
  EXPECT_NE(error_of("model.layers\n" + keys), "");
  EXPECT_NE(error_of(std::string("model.\x1b[31m=1\n") + keys).find("damaged"), std::string::npos);
}

TEST(UnpackHostile, UnknownHeadersAreRejected) {
  const Bytes file = encode_artifact(make_model());
  const auto unpack_with_byte = [&](size_t at, uint8_t value) {
    Bytes body(body_of(file).begin(), body_of(file).end());
    body[at] = value;
    return unpack(with_hash(body));
  };
  EXPECT_NE(unpack_with_byte(0, 'X').error().find("PGAF"), std::string::npos);
  EXPECT_NE(unpack_with_byte(4, 9).error().find("version"), std::string::npos);
  EXPECT_NE(unpack_with_byte(4, 2).error().find("train_gpt pack"), std::string::npos);
  EXPECT_NE(unpack_with_byte(6, 9).error().find("arithmetic"), std::string::npos);
}

TEST(UnpackHostile, FormsMustFitTheTensors) {
  const QuantModel good = make_corrected_model();
  const Bytes weights = encode_weights(good);
  const auto unpack_with = [&](auto change) {
    QuantModel bad = good;
    for (QuantTensor& tensor : bad.tensors) {
      if (tensor.bits != 16) change(tensor);
    }
    return unpack(join(encode_header(bad), weights)).ok();
  };
  EXPECT_TRUE(unpack_with([](QuantTensor&) {}));
  for (const int bits : {0, 1, 9, 15, 31}) {
    EXPECT_FALSE(unpack_with([&](QuantTensor& t) { t.bits = bits; })) << bits;
  }
  EXPECT_FALSE(unpack_with([](QuantTensor& t) { t.bits = 16; }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) { t.is_factored = true; }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) { t.fine = {.begin = t.cols, .count = 1}; }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) { t.low_rank.rank = 17; }));
  EXPECT_FALSE(unpack_with([](QuantTensor& t) {
    t.low_rank.rank = 1;
    t.low_rank.group = 0;
  }));
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

TEST(UnpackHostile, CodersThatAreNoneAreRejected) {
  const QuantModel model = make_model();
  const std::string keys = write_model_keys(model.config);
  const auto error_of = [&](const std::string& text) { return error_of_keys(model, text); };
  for (const char* other : {"\"brotli\"", "\"auto\"", "zstd", "\"own\"", ""}) {
    EXPECT_NE(error_of(keys + "quant.coder=" + other + "\n").find("unknown coder"),
              std::string::npos);
  }
  const std::string zstd = "quant.coder=\"zstd\"\n", lzma = "quant.coder=\"lzma\"\n";
  EXPECT_EQ(error_of(keys + zstd), "the weights are cut short or damaged");  // they are ours
  for (const std::string& more : {zstd, lzma, std::string("quant.cap_bytes=1\n")}) {
    EXPECT_NE(error_of(keys + zstd + more).find("stands there twice"), std::string::npos);
  }
  EXPECT_NE(error_of(keys + zstd.substr(0, zstd.size() - 1)), "");  // no line end
  EXPECT_NE(error_of(zstd + keys), "");                             // another order
}

}  // namespace
}  // namespace pg
