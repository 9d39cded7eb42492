// Every technique of training that a recipe may switch on: it changes what comes out, it is the same
// for any number of ranks and threads, it goes on from a checkpoint, and it learns.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/files/write_file.h"
#include "src/train/checkpoint.h"
#include "src/train/training_params.h"
#include "tests/train/ranks_fixture.h"

namespace pg {
namespace {

struct Technique {
  const char* name;
  std::function<void(TrainConfig&, OptimizerConfig&)> set;
};
void PrintTo(const Technique& technique, std::ostream* out) { *out << technique.name; }

void set_ema_nesterov(TrainConfig&, OptimizerConfig& o) {
  o.ema_nesterov_beta = 0.6;
  o.ema_nesterov_gamma = 0.5;
  o.ema_nesterov_start = 0.2;
  o.ema_nesterov_end = 0.9;
}
void set_normuon(TrainConfig&, OptimizerConfig& o) { o.normuon = NorMuon::kModded; }
void set_aurora(TrainConfig&, OptimizerConfig& o) { o.aurora_iterations = 2; }
void set_lawa(TrainConfig& t, OptimizerConfig&) {
  t.average = Average::kLawa;
  t.lawa_every = 1;
  t.lawa_count = 3;
}

const Technique kTechniques[] = {
    {"lr_warmup", [](TrainConfig& t, OptimizerConfig&) { t.lr_warmup_steps = 4; }},
    {"cosine", [](TrainConfig& t, OptimizerConfig&) { t.warmdown_shape = WarmdownShape::kCosine; }},
    {"sqrt", [](TrainConfig& t, OptimizerConfig&) { t.warmdown_shape = WarmdownShape::kSqrt; }},
    {"turbo_muon",
     [](TrainConfig&, OptimizerConfig& o) {
       o.newton_schulz = NewtonSchulz::kTurbo;
       o.newton_schulz_steps = 4;
       o.newton_schulz_scaling = NewtonSchulzScaling::kAol;
     }},
    {"aurora", set_aurora},
    {"normuon_paper", [](TrainConfig&, OptimizerConfig& o) { o.normuon = NorMuon::kPaper; }},
    {"normuon_modded", set_normuon},
    {"cautious_weight_decay",
     [](TrainConfig&, OptimizerConfig& o) { o.cautious_weight_decay = true; }},
    {"weight_decay_taper",
     [](TrainConfig&, OptimizerConfig& o) { o.weight_decay_taper_start = 0.3; }},
    {"embed_weight_decay", [](TrainConfig&, OptimizerConfig& o) { o.embed_weight_decay = 0.085; }},
    {"embed_betas",
     [](TrainConfig&, OptimizerConfig& o) {
       o.embed_beta1 = 0.8;
       o.embed_beta2 = 0.99;
     }},
    {"ema_nesterov", set_ema_nesterov},
    {"ema_start", [](TrainConfig& t, OptimizerConfig&) { t.ema_start_fraction = 0.4; }},
    {"ema_start_lr",
     [](TrainConfig& t, OptimizerConfig&) {
       t.warmdown_steps = 4;
       t.ema_start_lr = 0.8;
     }},
    {"ema_restart", [](TrainConfig& t, OptimizerConfig&) { t.ema_restart_fraction = 0.6; }},
    {"ema_swa",
     [](TrainConfig& t, OptimizerConfig&) {
       t.average = Average::kEmaSwa;
       t.swa_every = 1;
       t.swa_start_lr = 2;
     }},
    {"lawa", set_lawa},
    {"late_qat",
     [](TrainConfig& t, OptimizerConfig&) {
       t.warmdown_steps = 4;
       t.late_qat_lr = 0.8;
     }},
    {"z_loss", [](TrainConfig& t, OptimizerConfig&) { t.z_loss = 1e-3; }},
    {"complement", [](TrainConfig& t, OptimizerConfig&) { t.complement_alpha = 0.5; }},
    {"mtp_heads", [](TrainConfig& t, OptimizerConfig&) { t.mtp_heads = 2; }},
    {"mtp_heads_adam",
     [](TrainConfig& t, OptimizerConfig&) {
       t.mtp_heads = 1;
       t.mtp_group = MtpGroup::kAdam;
     }},
    {"mtp_module", [](TrainConfig& t, OptimizerConfig&) { t.mtp_modules = 1; }},
    {"mtp_modules", [](TrainConfig& t, OptimizerConfig&) { t.mtp_modules = 2; }},
    {"several",
     [](TrainConfig& t, OptimizerConfig& o) {
       set_aurora(t, o);
       set_normuon(t, o);
       set_ema_nesterov(t, o);
       set_lawa(t, o);
       o.cautious_weight_decay = true;
       t.lr_warmup_steps = 3;
     }},
};

class Techniques : public RanksTest, public testing::WithParamInterface<Technique> {
 protected:
  void switch_on() { GetParam().set(setup_.train, setup_.optimizer); }
};

TEST_P(Techniques, ChangeWhatComesOutAndAreTheSameForAnyRanksAndThreads) {
  const TrainResult without = train_on(1);
  switch_on();
  const TrainResult one = train_on(1);
  bool is_changed = false;
  for (size_t i = 0; i < one.exported.size(); ++i) {
    is_changed |= one.exported[i].values != without.exported[i].values;
  }
  EXPECT_TRUE(is_changed);
  const int threads = thread_count();
  for (const auto& [ranks, count] : {std::pair{1, 3}, {2, 1}, {4, 2}}) {
    set_thread_count(count);
    others_.clear();
    expect_same(one.exported, train_on(ranks).exported);
    for (const TrainResult& other : others_) expect_same(one.exported, other.exported);
  }
  set_thread_count(threads);
}

TEST_P(Techniques, GoOnFromACheckpointOnOtherRanks) {
  switch_on();
  const TrainResult whole = train_on(1);
  // Before and after what begins midway.
  expect_goes_on(whole, 2, 1, 2);
  expect_goes_on(whole, 1, 1, 4);
  expect_goes_on(whole, 1, 4, 4);
}

INSTANTIATE_TEST_SUITE_P(Each, Techniques, testing::ValuesIn(kTechniques),
                         [](const auto& info) { return std::string(info.param.name); });

class TechniquesLearn : public TrainerTest, public testing::WithParamInterface<Technique> {};

// Knowing only which 16 ids occur costs ln 16; less needs the context.
TEST_P(TechniquesLearn, ARepeatedText) {
  setup_.train.max_steps = 60;
  setup_.train.warmdown_steps = 30;
  GetParam().set(setup_.train, setup_.optimizer);
  EXPECT_LT(train(setup_).last_loss_nats, 0.75 * std::log(16.0));
}

INSTANTIATE_TEST_SUITE_P(Each, TechniquesLearn, testing::ValuesIn(kTechniques),
                         [](const auto& info) { return std::string(info.param.name); });

// Version 2 has no room for what techniques keep; a run without any of them still writes it.
TEST_F(RanksTest, ACheckpointHasRoomForATechniqueOnlyWhereOneIsOn) {
  setup_.checkpoint_file = folder_ / "checkpoint.bin";
  const auto version = [&] {
    std::filesystem::remove(setup_.checkpoint_file);
    train_on(1);
    return read_file(setup_.checkpoint_file)[4];
  };
  EXPECT_EQ(version(), 2);
  set_normuon(setup_.train, setup_.optimizer);
  EXPECT_EQ(version(), 3);
}

TEST_F(RanksTest, KeysOfWhatIsOffChangeNothing) {
  const TrainResult plain = train_on(1);
  setup_.optimizer.aurora_beta = 0.25;
  setup_.optimizer.normuon_beta2 = 0.5;
  setup_.optimizer.weight_decay_taper_end = 0;
  setup_.optimizer.ema_nesterov_gamma = 0.5;
  setup_.optimizer.ema_nesterov_start = 0;
  setup_.optimizer.ema_nesterov_end = 1;
  setup_.optimizer.embed_weight_decay = setup_.optimizer.adam_weight_decay;
  setup_.train.lawa_every = 1;
  setup_.train.lawa_count = 2;
  expect_same(plain.exported, train_on(1).exported);
}

// Text that cannot be read ends a step before its update: the weights of the last whole step are
// kept, not those ahead of them.
TEST_F(RanksTest, WhatLookedAheadIsTakenBackWhereNoStepFollows) {
  set_ema_nesterov(setup_.train, setup_.optimizer);
  const TrainResult whole = train_on(1);
  expect_survives_lost_text(whole);
}

}  // namespace
}  // namespace pg
