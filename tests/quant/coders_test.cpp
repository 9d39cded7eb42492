// quant.coder: the same weights out of each coder's artifact, and the smallest of them for auto.
#include <gtest/gtest.h>

#include <cstring>

#include "quant/format/artifact_format.h"
#include "quant/format/unpack.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

QuantConfig with_coder(QuantConfig quant, CoderChoice coder) {
  quant.coder = coder;
  return quant;
}

QuantConfig corrected_quant() {
  QuantConfig quant = tiny_quant();
  quant.lqer_rank = 2;
  quant.lqer_group = 16;
  quant.awq_group = true;
  return quant;
}

// Every form that a tensor can have: row scales, factored, low rank, fine columns, all fp16, three
// levels, and each width of codes.
std::vector<QuantModel> make_models() {
  const ModelConfig config = tiny_config();
  const std::vector<HostTensor> weights = random_weights(config, 3, 0.5, 0.4);
  std::vector<QuantModel> models;
  models.push_back(quantize_calibrated(config, weights, tiny_filled_quant(2900)).model);
  models.push_back(quantize_calibrated(config, weights, corrected_quant()).model);
  const auto plain = [&](auto change) {
    QuantConfig quant = tiny_quant();
    change(quant);
    models.push_back(quantize_plain(config, weights, quant));
  };
  plain([](QuantConfig& q) { q.keep_fp16_elements = 100000; });
  plain([](QuantConfig& q) { q.scales = ScaleRule::kTernary; });
  for (int bits = 2; bits <= 8; ++bits) {
    plain([&](QuantConfig& q) { q.matrix_bits = q.mlp_bits = q.embed_bits = bits; });
  }
  return models;
}

TEST(Coders, GiveTheSameWeights) {
  for (QuantModel model : make_models()) {
    model.tokenizer_sha256 = sha256(as_bytes("tokenizer"));
    model.scoring_keys = "eval.stride=7\n";
    const Result<UnpackedModel> own = unpack(encode_artifact(model));
    ASSERT_TRUE(own.ok()) << own.error();
    for (const Coder coder : kCoders) {
      model.coder = coder;
      const Bytes file = encode_artifact(model);
      const Result<UnpackedModel> found = unpack(file);
      ASSERT_TRUE(found.ok()) << choice_name(coder) << ": " << found.error();
      EXPECT_EQ(found.value().scoring_keys(), model.scoring_keys);
      EXPECT_EQ(found.value().tokenizer_sha256(), model.tokenizer_sha256);
      ASSERT_EQ(found.value().tensors().size(), own.value().tensors().size());
      for (size_t i = 0; i < own.value().tensors().size(); ++i) {
        const HostTensor& wanted = own.value().tensors()[i];
        const std::vector<float>& values = found.value().tensors()[i].values;
        ASSERT_EQ(values.size(), wanted.values.size());
        EXPECT_EQ(std::memcmp(values.data(), wanted.values.data(), values.size() * sizeof(float)),
                  0)
            << choice_name(coder) << ", " << wanted.spec.name;
      }
      // The numbers too, not only what they stand for: ours makes the same file of both.
      QuantModel again = parse_artifact(file).value();
      EXPECT_EQ(again.coder, coder);
      EXPECT_EQ(encode_artifact(again).size(), file.size());
      again.coder = model.coder = Coder::kOwn;
      EXPECT_EQ(encode_artifact(again), encode_artifact(model));
    }
  }
}

TEST(Coders, AreNamedInTheFileUnlessOurs) {
  QuantModel model = make_models()[0];
  const auto is_named = [&](Coder coder) {
    model.coder = coder;
    const Bytes header = encode_header(model);
    const std::string text(header.begin(), header.end());
    return text.find("quant.coder=\"" + std::string(choice_name(coder)) + "\"\n") !=
           std::string::npos;
  };
  EXPECT_FALSE(is_named(Coder::kOwn));
  EXPECT_TRUE(is_named(Coder::kZstd));
  EXPECT_TRUE(is_named(Coder::kLzma));
}

TEST(Coders, SameBytesForAnyThreadCount) {
  QuantModel model = make_models()[1];
  model.coder = Coder::kZstd;
  const int threads = thread_count();
  const Bytes many = encode_artifact(model);
  set_thread_count(1);
  const Bytes one = encode_artifact(model);
  set_thread_count(threads);
  EXPECT_EQ(many, one);
}

TEST(Coders, BytesOfTheirStreamsAreChargedToWhatTheyHold) {
  for (QuantModel model : make_models()) {
    for (const Coder coder : {Coder::kZstd, Coder::kLzma}) {
      model.coder = coder;
      std::vector<TensorBytes> spent;
      const Bytes stream = encode_weights(model, &spent);
      double sum = 0;
      for (size_t i = 0; i < spent.size(); ++i) {
        const QuantTensor& t = model.tensors[i];
        EXPECT_EQ(spent[i].values > 0, t.bits == 16) << t.name;
        EXPECT_EQ(spent[i].codes > 0, t.bits != 16) << t.name;
        EXPECT_EQ(spent[i].low_rank > 0, t.low_rank.rank > 0) << t.name;
        sum += spent[i].total();
      }
      EXPECT_NEAR(sum, static_cast<double>(stream.size()), 1e-6);
    }
  }
}

TEST(Coders, SealTakesWhatTheRecipeNames) {
  const QuantModel model = make_models()[0];
  for (const Coder coder : kCoders) {
    const auto choice = static_cast<CoderChoice>(coder);
    EXPECT_EQ(choice_name(choice), choice_name(coder));
    CodeSizes code(0);
    code.by_coder = {300, 200, 100};
    const SealedArtifact sealed = seal(model, with_coder(tiny_quant(), choice), code);
    EXPECT_EQ(parse_artifact(sealed.bytes).value().coder, coder);
    EXPECT_EQ(sealed.summary.coder, coder);
    EXPECT_EQ(sealed.summary.code_bytes, code.of(coder));
    EXPECT_EQ(sealed.summary.total_bytes, std::ssize(sealed.bytes) + code.of(coder));
    EXPECT_TRUE(sealed.summary.coders.empty());  // nobody asked for the others
  }
}

// The whole counts: code that is smaller by more than the model is larger.
TEST(Coders, AutoTakesTheSmallestWhole) {
  const QuantModel model = make_models()[0];
  const QuantConfig quant = with_coder(tiny_quant(), CoderChoice::kAuto);
  const SealedArtifact even = seal(model, quant, 1000);
  ASSERT_EQ(even.summary.coders.size(), kCoders.size());
  for (size_t winner = 0; winner < kCoders.size(); ++winner) {
    CodeSizes code(10000);
    code.by_coder[winner] = 0;
    const SealedArtifact sealed = seal(model, quant, code);
    EXPECT_EQ(sealed.summary.coder, kCoders[winner]);
    EXPECT_EQ(parse_artifact(sealed.bytes).value().coder, kCoders[winner]);
    for (size_t i = 0; i < kCoders.size(); ++i) {
      const CoderBytes& row = sealed.summary.coders[i];
      EXPECT_EQ(row.coder, kCoders[i]);
      EXPECT_EQ(row.code_bytes, code.by_coder[i]);
      EXPECT_EQ(row.model_bytes, even.summary.coders[i].model_bytes);
      EXPECT_GE(row.total_bytes(), sealed.summary.total_bytes);
    }
  }
}

TEST(Coders, AutoTakesTheFirstOfEquals) {
  EXPECT_EQ(find_smallest({{Coder::kOwn, 60, 40}, {Coder::kZstd, 50, 50}, {Coder::kLzma, 40, 60}}),
            Coder::kOwn);
  EXPECT_EQ(find_smallest({{Coder::kOwn, 61, 40}, {Coder::kZstd, 50, 50}, {Coder::kLzma, 40, 60}}),
            Coder::kZstd);
}

// Weights that repeat far apart are what general packers find and our coder does not model; noise is
// what ours codes best.
TEST(Coders, WhoIsSmallestDependsOnTheWeights) {
  const ModelConfig config = two_million_config();
  std::vector<HostTensor> weights = random_weights(config, 1, 0, 0.4);
  const auto smallest = [&] {
    return seal(quantize_plain(config, weights, published_quant()),
                with_coder(published_quant(), CoderChoice::kAuto), 0)
        .summary.coder;
  };
  EXPECT_EQ(smallest(), Coder::kOwn);
  for (HostTensor& tensor : weights) {
    for (size_t i = 997; i < tensor.values.size(); ++i) {
      tensor.values[i] = tensor.values[i - 997];
    }
  }
  EXPECT_NE(smallest(), Coder::kOwn);
}

// By whichever coder: no pass of the cap, and little left.
TEST(Coders, FillTheCap) {
  for (const Coder coder : kCoders) {
    for (const uint64_t seed : {1, 2, 3, 4, 5}) {
      CodeSizes code(5000);
      code.by_coder[static_cast<size_t>(coder)] = 100;  // so that auto takes it as well
      QuantConfig quant = with_coder(tiny_filled_quant(3100), static_cast<CoderChoice>(coder));
      const std::vector<HostTensor> weights = random_weights(tiny_config(), seed);
      const QuantResult result = quantize_calibrated(tiny_config(), weights, quant, code);
      EXPECT_EQ(result.model.coder, coder);
      const PackSummary named = seal(result.model, quant, code).summary;
      EXPECT_LE(named.total_bytes, quant.cap_bytes);
      EXPECT_GT(named.total_bytes, quant.cap_bytes - 256) << choice_name(coder);
      quant.coder = CoderChoice::kAuto;
      const QuantResult found = quantize_calibrated(tiny_config(), weights, quant, code);
      EXPECT_EQ(encode_artifact(found.model), encode_artifact(result.model));
    }
  }
}

TEST(Coders, TellWhatTheyAreDoing) {
  std::vector<std::string> shown;
  const auto note = [&](const std::string& work) { shown.push_back(work); };
  seal(make_models()[0], with_coder(tiny_quant(), CoderChoice::kAuto), 0, note);
  EXPECT_EQ(shown, (std::vector<std::string>{"pack: own", "pack: zstd", "pack: lzma"}));
}

TEST(Coders, PassingTheCapIsAnErrorOfTheChosenOne) {
  QuantConfig quant = with_coder(tiny_quant(), CoderChoice::kLzma);
  const QuantModel model = make_models()[0];
  quant.cap_bytes = seal(model, quant, 500).summary.total_bytes - 1;
  EXPECT_THROW(seal(model, quant, 500), Error);
}

}  // namespace
}  // namespace pg
