// What a loss counts besides the next token: published weights, targets of text, and a training that
// learns from them.
#include "src/train/loss_targets.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/base/error.h"
#include "src/data/corpus/piece_bytes.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

constexpr float kUlp = std::numeric_limits<float>::epsilon();

void expect_weights(const LossTargets& targets, double fraction, const std::vector<float>& want) {
  ASSERT_EQ(targets.count(), std::ssize(want));
  std::vector<float> have(want.size());
  targets.weigh(fraction, have);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(have[i], want[i], kUlp) << "weight " << i << " at " << fraction;
  }
}

TEST(LossTargets, OfABaseRecipeAreTheNextTokenAlone) {
  const LossTargets targets{TrainConfig()};
  EXPECT_EQ(targets.count(), 1);
  for (const double fraction : {0.0, 0.5, 1.0}) expect_weights(targets, fraction, {1});
}

// modded-nanogpt PR #178: thirds [1, .5, .25 -> 0], [1, .5 -> 0], [1].
TEST(LossTargets, FurtherTokensFadeAsPublished) {
  TrainConfig config;
  config.future_targets = 2;
  const LossTargets targets(config);
  expect_weights(targets, 0.0, {1, 0.5f, 0.25f});
  expect_weights(targets, 1.0 / 6, {1, 0.5f, 0.125f});
  expect_weights(targets, 1.0 / 3, {1, 0.5f, 0});
  expect_weights(targets, 0.5, {1, 0.25f, 0});
  expect_weights(targets, 2.0 / 3, {1, 0, 0});
  expect_weights(targets, 1.0, {1, 0, 0});
}

// arXiv:2605.06546 1.1: sum_i g(i) CE_i / sum_i g(i), then next-token prediction at once.
TEST(LossTargets, BagsWeighAsPublishedUpToTheirSwitch) {
  TrainConfig config;
  config.bag_targets = 4;
  expect_weights(LossTargets(config), 0.0, {0.25f, 0.25f, 0.25f, 0.25f});
  expect_weights(LossTargets(config), 0.29, {0.25f, 0.25f, 0.25f, 0.25f});
  expect_weights(LossTargets(config), 0.3, {1, 0, 0, 0});
  config.bag_weights = BagWeights::kPowerLaw;
  expect_weights(LossTargets(config), 0.0, {12.0f / 25, 6.0f / 25, 4.0f / 25, 3.0f / 25});
  config.bag_weights = BagWeights::kFirst;
  expect_weights(LossTargets(config), 0.0, {1, 0, 0, 0});
}

TEST(LossTargets, AreTheTextAsFarAsARowGoes) {
  TrainConfig config;
  config.future_targets = 2;
  const std::vector<int32_t> next = {5, 6, 7, 8, 9, 10};  // two rows of three
  std::vector<int32_t> targets(next.size() * 3);
  LossTargets(config).fill(next, 3, targets);
  EXPECT_EQ(targets, (std::vector<int32_t>{5, 6, 7, 6, 7, -1, 7, -1, -1,  //
                                           8, 9, 10, 9, 10, -1, 10, -1, -1}));
}

TEST(LossTargets, APrefixIsATargetOfItsOwn) {
  TrainConfig config;
  config.prefix_weight = 0.25;
  const std::vector<int32_t> prefix_of = {-1, 0, 1};
  const LossTargets with(config, prefix_of);
  const std::vector<int32_t> next = {2, 0, 1};
  std::vector<int32_t> targets(6);
  with.fill(next, 3, targets);
  EXPECT_EQ(targets, (std::vector<int32_t>{2, 1, 0, -1, 1, 0}));
  expect_weights(with, 0.0, {1, 0.25f});
  expect_weights(with, 0.3, {1, 0.25f});
  expect_weights(with, 0.5, {1, 0.125f});
  expect_weights(with, 0.7, {1, 0});
}

TEST(LossTargets, PrefixesAreTheLongestProperOnes) {
  const std::vector<std::string_view> texts = {"then", "the", "t", "", "th", "he", "the", "\xff"};
  EXPECT_EQ(list_prefixes(texts), (std::vector<int32_t>{1, 4, -1, -1, 2, -1, 4, -1}));
}

TEST(LossTargets, BytesOfPiecesAreThoseOfTheText) {
  EXPECT_EQ(list_piece_bytes({.text = "\u2581the"}), " the");
  EXPECT_EQ(list_piece_bytes({.text = "a\u2581b"}), "a b");
  EXPECT_EQ(list_piece_bytes({.text = "<0x0A>", .kind = PieceKind::kByte}), "\n");
  EXPECT_EQ(list_piece_bytes({.text = "<0xFF>", .kind = PieceKind::kByte}), "\xff");
  EXPECT_EQ(list_piece_bytes({.text = "<s>", .kind = PieceKind::kOther}), "");
}

// The same training, its targets' loss added by hand from the logits of a plan for one target.
TEST_F(TrainerTest, FurtherTargetsAddTheirLossesByWeight) {
  setup_.train.max_steps = 1;
  const double plain = train(setup_).last_loss_nats;
  setup_.train.future_targets = 2;
  const double further = train(setup_).last_loss_nats;
  // At the start the logits are nearly equal: each target costs ln 61, less the row's missing ones.
  const double rows = 32, full = plain * (1 + 0.5 * (rows - 1) / rows + 0.25 * (rows - 2) / rows);
  EXPECT_NEAR(further, full, 0.02);
  setup_.train.future_targets = 0;
  setup_.train.bag_targets = 4;
  EXPECT_NEAR(train(setup_).last_loss_nats, plain * (1 - 6 * 0.25 / rows), 0.02);
}

// A bag's text is learnt: after the switch the loss is the next token's again, and it falls.
TEST_F(TrainerTest, LearnsThroughBagsAndFurtherTokens) {
  setup_.train.max_steps = 80;
  setup_.train.warmdown_steps = 40;
  setup_.train.bag_targets = 4;
  EXPECT_LT(train(setup_).last_loss_nats, 1.38);  // as LearnsARepeatedText
  setup_.train.bag_targets = 1;
  setup_.train.future_targets = 2;
  EXPECT_LT(train(setup_).last_loss_nats, 1.38);
}

TEST_F(TrainerTest, WhatWeighsOneTokenTwiceIsRefused) {
  setup_.train.bag_targets = 4;
  setup_.train.future_targets = 2;
  EXPECT_THROW(train(setup_), Error);
  setup_.train.future_targets = 0;
  setup_.train.bag_targets = 33;  // of windows of 32
  EXPECT_THROW(train(setup_), Error);
}

}  // namespace
}  // namespace pg
