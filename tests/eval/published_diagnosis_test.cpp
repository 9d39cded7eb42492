// The published cache's number comes beside the score of the same pass and what refutes it.
#include "eval/diagnosis/published_diagnosis.h"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/score.h"
#include "src/base/clock.h"
#include "src/device/registry/make_device.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

TEST(PublishedDiagnosis, StandsBesideTheHonestScoreAndWhatRefutesIt) {
  const ModelConfig config = make_test_config();
  const UnpackedModel model = make_artifact_model(config, make_random_weights(config, 4));
  const std::vector<uint16_t> ids = make_random_ids(400, 5);
  const EvalConfig eval = {.context = 16, .stride = 6, .batch_tokens = 64};
  const auto device = make_device("reference");
  ManualClock clock;
  const Score score = evaluate(model, make_test_bytes(), make_stream(ids), eval, *device, clock);
  const PublishedDiagnosis d =
      diagnose_published_mixer(model, make_test_bytes(), make_stream(ids), eval, *device);
  EXPECT_DOUBLE_EQ(d.network_bits_per_byte, score.bits_per_byte());
  EXPECT_EQ(d.tokens, score.tokens());
  EXPECT_EQ(d.bytes, score.bytes());
  // The cache sleeps for its first 10,000 tokens, so here it changes nothing.
  EXPECT_NEAR(d.claimed_bits_per_byte, d.network_bits_per_byte, 1e-9);
  EXPECT_NEAR(d.normalised_bits_per_byte, d.network_bits_per_byte, 1e-9);
  EXPECT_EQ(d.sampled_tokens, 399 / 16);
  // Uniform tokens cost log2 V; the claim is below it, the normalised counts are not.
  EXPECT_LT(d.random.claimed_bits, 0.7 * std::log2(kTestVocab));
  EXPECT_GT(d.random.normalised_bits, std::log2(kTestVocab) - 4 * d.random.standard_error);
}

}  // namespace
}  // namespace pg
