// Routing of tensors to bits, and the errors of weights that cannot be stored.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "quant/format/artifact_format.h"
#include "quant/format/half.h"
#include "quant/format/storage_bits.h"
#include "quant/method/matrix_quantizer.h"
#include "src/base/error.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

int find_tensor(const std::vector<HostTensor>& weights, std::string_view name) {
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i].spec.name == name) return static_cast<int>(i);
  }
  return -1;
}

std::string error_of(const std::vector<HostTensor>& weights) {
  try {
    quantize_plain(tiny_config(), weights, tiny_quant());
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// The format says it by name (docs/artifact.md): a role is the name without digits, and roles are
// numbered by first appearance.
TEST(Quantize, PayloadIsGroupedByNamesWithoutDigits) {
  ModelConfig plain;  // other roles come first
  plain.resid_mix = plain.smear_gate = plain.unet_skips = false;
  plain.bigram_buckets = plain.value_embed_dim = 0;
  for (const ModelConfig& config : {ModelConfig{}, plain}) {
    const std::vector<ParamSpec> specs = list_params(config);
    std::map<std::string, int> roles;
    std::vector<int> expected;
    for (const ParamSpec& spec : specs) {
      std::string name = spec.name;
      std::erase_if(name, [](char c) { return c >= '0' && c <= '9'; });
      const int next = static_cast<int>(roles.size());
      expected.push_back(roles.emplace(name, next).first->second);
    }
    int last = 0;
    size_t last_tensor = 0;
    for (const PayloadEntry& entry : order_payload(specs)) {
      EXPECT_EQ(entry.role, std::min(expected[entry.tensor], 15)) << specs[entry.tensor].name;
      EXPECT_GE(expected[entry.tensor], last);
      if (expected[entry.tensor] == last) {
        EXPECT_GE(entry.tensor, last_tensor);
      }
      last = expected[entry.tensor];
      last_tensor = entry.tensor;
    }
  }
}

TEST(Quantize, RoutesByGroupAndSize) {
  const ModelConfig config;  // the 27M stack
  const QuantConfig quant;
  for (const ParamSpec& spec : list_params(config)) {
    const int bits = storage_bits(spec, quant);
    if (spec.rows == 1) {
      EXPECT_EQ(bits, 16) << spec.name;
    } else if (spec.group == ParamGroup::kEmbedding) {
      EXPECT_EQ(bits, 8) << spec.name;
    } else {
      EXPECT_EQ(bits, 6) << spec.name;  // also projections of the scalar group: 512 x 128
    }
  }
  ParamSpec spec{.name = "m", .rows = 64, .cols = 128, .group = ParamGroup::kMatrix};
  EXPECT_EQ(storage_bits(spec, quant), 16);  // 8,192 elements: the limit itself stays fp16
  spec.rows = 65;
  EXPECT_EQ(storage_bits(spec, quant), 6);
  for (const ParamRole role :
       {ParamRole::kHeadGate, ParamRole::kMuddStream, ParamRole::kMuddValue}) {
    spec.place.role = role;
    EXPECT_EQ(storage_bits(spec, quant),
              16);  // of any size: ops that no calibration sees read them
  }
  spec.place.role = ParamRole::kNone;
  spec.group = ParamGroup::kMemory;
  EXPECT_EQ(storage_bits(spec, quant), 16);
}

TEST(Quantize, DequantisedValuesAreCodeTimesScaleExactly) {
  const std::vector<HostTensor> weights = random_weights(tiny_config(), 1);
  const QuantModel model = quantize_plain(tiny_config(), weights, tiny_quant());
  ASSERT_EQ(model.tensors.size(), weights.size());
  int with_codes = 0;
  for (size_t t = 0; t < weights.size(); ++t) {
    const QuantTensor& q = model.tensors[t];
    const HostTensor back = dequantize(q, weights[t].spec);
    with_codes += q.bits != kHalfBits;
    for (size_t i = 0; i < back.values.size(); ++i) {
      const size_t row = i / static_cast<size_t>(q.cols);
      const float expected = q.bits == kHalfBits
                                 ? float_from_half(half_from_float(weights[t].values[i]))
                                 : static_cast<float>(q.codes[i]) * float_from_half(q.halves[row]);
      ASSERT_EQ(back.values[i], expected);
    }
  }
  EXPECT_GT(with_codes, 5);
}

// Filling a cap with the published clip search: a coarser grid widens every scale, a finer one
// lowers the floor and leaves rows above it as the search clips them.
TEST(Quantize, ClipSearchScalesEveryScaleUpAndOnlyItsFloorDown) {
  for (const double sigma : {0.04, 1.0}) {  // below the floor of 1 / R, and above
    const std::vector<HostTensor> weights = random_weights(tiny_config(), 3, 0, sigma);
    const QuantConfig quant = tiny_quant();
    const HostTensor& w = weights[static_cast<size_t>(find_tensor(weights, "tok_emb"))];
    const MatrixQuantizer quantizer(w, quant, nullptr, nullptr);
    const auto first_scale = [&](double coarseness) {
      return static_cast<double>(float_from_half(quantizer.quantize(coarseness).tensor.halves[0]));
    };
    const double published = first_scale(1), half_ulp = 0x1p-11;
    EXPECT_EQ(sigma < 0.25, published == float_from_half(half_from_float(1.0f / 127)));
    EXPECT_NEAR(first_scale(2) / published, 2, 2 * half_ulp);
    EXPECT_NEAR(first_scale(0.5) / published, sigma < 0.25 ? 0.5 : 1, 2 * half_ulp);
  }
}

// Hidden units change places together in all the matrices that know them: sum over units of products
// of an element of each is the same.
TEST(Quantize, SortedHiddenUnitsOfSwigluTakeTheirGatesAlong) {
  ModelConfig config = tiny_config();
  config.mlp = Mlp::kSwiglu;
  const std::vector<HostTensor> weights = random_weights(config, 1);
  const auto values_of = [&](const QuantResult& result, const char* name) {
    const auto at = static_cast<size_t>(find_tensor(weights, name));
    return dequantize(result.model.tensors[at], weights[at].spec).values;
  };
  std::vector<double> sums;
  std::vector<std::vector<float>> ups;
  for (const bool sorts : {false, true}) {
    QuantConfig quant = tiny_filled_quant(1 << 20);
    quant.fill_cap = false;
    quant.keep_fp16_elements = 1 << 20;
    quant.sort_hidden = sorts;
    const QuantResult result = quantize_calibrated(config, weights, quant);
    const std::vector<float> up = values_of(result, "blocks.0.mlp.up"),
                             gate = values_of(result, "blocks.0.mlp.gate"),
                             down = values_of(result, "blocks.0.mlp.down");
    double sum = 0;
    for (size_t unit = 0; unit < static_cast<size_t>(config.mlp_hidden); ++unit) {
      const size_t row = unit * static_cast<size_t>(config.dim);
      sum += static_cast<double>(up[row]) * static_cast<double>(gate[row]) *
             static_cast<double>(down[unit]);
    }
    sums.push_back(sum);
    ups.push_back(up);
  }
  EXPECT_NE(ups[0], ups[1]);
  EXPECT_NEAR(sums[0], sums[1], 1e-12);
}

TEST(Quantize, NonFiniteWeightNamesItsTensorAndIndex) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    std::vector<HostTensor> weights = random_weights(tiny_config(), 2);
    const int t = find_tensor(weights, "blocks.1.mlp.up");
    weights[static_cast<size_t>(t)].values[37] = bad;
    const std::string error = error_of(weights);
    EXPECT_NE(error.find("\"blocks.1.mlp.up\""), std::string::npos) << error;
    EXPECT_NE(error.find("index 37"), std::string::npos) << error;
  }
}

TEST(Quantize, ValuesBeyondHalfAreRefusedNotClamped) {
  for (const char* name : {"smear.gate", "blocks.0.attn.q"}) {
    std::vector<HostTensor> weights = random_weights(tiny_config(), 2);
    for (float& v : weights[static_cast<size_t>(find_tensor(weights, name))].values) v = 3e6f;
    const std::string error = error_of(weights);
    EXPECT_NE(error.find(name), std::string::npos) << error;
    EXPECT_NE(error.find("fp16"), std::string::npos) << error;
  }
}

TEST(Quantize, WeightsOfAnotherModelAreRefused) {
  std::vector<HostTensor> weights = random_weights(tiny_config(), 2);
  std::swap(weights[0], weights[1]);
  EXPECT_NE(error_of(weights).find("do not fit"), std::string::npos);
  weights.pop_back();
  EXPECT_NE(error_of(weights).find("do not fit"), std::string::npos);
}

}  // namespace
}  // namespace pg
