// Strangers' bytes: every defect is an error text, found before memory is spent.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <type_traits>

#include "quant/format/artifact_format.h"
#include "quant/format/half.h"
#include "quant/format/storage_bits.h"
#include "quant/format/unpack.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

// Every part that the format has, in under 3 kB.
QuantModel make_model() {
  return quantize_calibrated(tiny_config(), random_weights(tiny_config(), 3),
                             tiny_filled_quant(2900))
      .model;
}

QuantModel make_corrected_model() {
  QuantConfig quant = tiny_quant();
  quant.lqer_rank = 2;
  quant.lqer_group = 16;
  quant.awq_group = true;
  return quantize_calibrated(tiny_config(), random_weights(tiny_config(), 3), quant).model;
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

// A header on weights that may not belong to it.
Bytes join(const Bytes& header, const Bytes& weights) {
  Bytes body = header;
  body.insert(body.end(), weights.begin(), weights.end());
  return with_hash(body);
}

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

// The header with another value for one model field, written where it lies.
template <class Value>
Bytes with_field(Bytes header, std::string_view key, Value value) {
  size_t at = 51;  // artifact_format.h: what stands before the fields
  const ModelConfig defaults;
  visit_model_fields(defaults, [&](const FieldInfo& info, const auto& field) {
    using Field = std::decay_t<decltype(field)>;
    const size_t bytes = std::is_same_v<Field, bool> ? 1 : std::is_same_v<Field, double> ? 8 : 4;
    if (info.key == key) {
      EXPECT_EQ(bytes, sizeof(Value));
      std::memcpy(header.data() + at, &value, sizeof(Value));
    }
    at += bytes;
  });
  return header;
}

TEST(UnpackHostile, FieldsOutOfRangeAreRejected) {
  const QuantModel model = make_model();
  const Bytes header = encode_header(model), weights = encode_weights(model);
  const auto unpack_with = [&](std::string_view key, auto value) {
    return unpack(join(with_field(header, key, value), weights)).ok();
  };
  EXPECT_TRUE(unpack_with("layers", uint32_t{2}));
  EXPECT_FALSE(unpack_with("layers", uint32_t{0}));
  EXPECT_FALSE(unpack_with("layers", uint32_t{4000000000}));
  EXPECT_FALSE(unpack_with("heads", uint32_t{0}));
  EXPECT_FALSE(unpack_with("heads", uint32_t{3}));
  EXPECT_FALSE(unpack_with("kv_heads", uint32_t{0}));
  EXPECT_FALSE(unpack_with("rope_dims", uint32_t{3}));
  EXPECT_TRUE(unpack_with("leaky_slope", 0.25));
  EXPECT_FALSE(unpack_with("leaky_slope", std::nan("")));
  EXPECT_FALSE(unpack_with("logit_softcap", 0.0));
  EXPECT_FALSE(unpack_with("smear_gate", uint8_t{0}));  // one tensor less
  EXPECT_FALSE(unpack_with("smear_gate", uint8_t{2}));
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
  EXPECT_NE(unpack_with_byte(6, 3).error().find("fields"), std::string::npos);
  EXPECT_NE(unpack_with_byte(7, 0).error().find("fields"), std::string::npos);
}

TEST(UnpackHostile, ScoringWindowsOutOfRangeAreRejected) {
  for (const ScoringForm form : {ScoringForm{0, 1}, ScoringForm{8, 0}, ScoringForm{8, 9},
                                 ScoringForm{int64_t{1} << 30, 1}}) {
    QuantModel model = make_model();
    model.scoring = form;
    EXPECT_FALSE(unpack(encode_artifact(model)));
  }
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

}  // namespace
}  // namespace pg
