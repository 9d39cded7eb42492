// What a training rounds to is what the packer stores.
#include "quant/method/round_to_grid.h"

#include <gtest/gtest.h>

#include "quant/format/unpack.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

TEST(RoundToGrid, GivesWhatAnArtifactGives) {
  const ModelConfig config = tiny_config();
  const std::vector<HostTensor> weights = random_weights(config, 1);
  for (const ScaleRule rule : {ScaleRule::kSdClip, ScaleRule::kRowMax, ScaleRule::kGptqLiteRow,
                               ScaleRule::kGptqLiteMatrix, ScaleRule::kTernary}) {
    SCOPED_TRACE(choice_name(rule));
    QuantConfig quant;
    quant.scales = rule;
    quant.fill_cap = false;
    quant.matrix_bits = 5;
    ASSERT_TRUE(has_grid_of_weights_alone(quant));
    const std::vector<HostTensor> rounded = round_to_grid(config, weights, quant);
    quant.rounding = Rounding::kNearest;
    quant.sort_hidden = false;
    const QuantResult packed = quantize(
        {.config = &config, .weights = &weights, .tokenizer_sha256 = {}, .scoring_keys = {}}, quant,
        CodeSizes(0));
    const auto unpacked = unpack(seal(packed.model, quant, CodeSizes(0)).bytes);
    ASSERT_TRUE(unpacked.ok()) << unpacked.error();
    const auto stored = unpacked.value().tensors();
    bool is_changed = false;
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_EQ(rounded[i].values, stored[i].values) << weights[i].spec.name;
      is_changed |= rounded[i].values != weights[i].values;
    }
    EXPECT_TRUE(is_changed);
  }
}

TEST(RoundToGrid, IsForGridsThatTheWeightsAloneHave) {
  QuantConfig quant;
  EXPECT_FALSE(has_grid_of_weights_alone(quant)) << "fills the cap";
  quant.fill_cap = false;
  EXPECT_FALSE(has_grid_of_weights_alone(quant)) << "by sensitivity";
  quant.scales = ScaleRule::kSdClipHessian;
  EXPECT_FALSE(has_grid_of_weights_alone(quant));
}

}  // namespace
}  // namespace pg
