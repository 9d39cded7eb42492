// Phases of a training: when they change, what they read, and that a training with them is the same
// for any ranks and goes on from a checkpoint on either side of a change.
#include "src/train/phases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/data/tokenizer.h"
#include "src/train/loss_targets.h"
#include "src/train/optimizer.h"
#include "src/train/schedule.h"
#include "src/train/stop_predictor.h"
#include "src/train/training_params.h"
#include "tests/train/ranks_fixture.h"

namespace pg {
namespace {

ModelConfig make_looped() {
  ModelConfig c = make_small_config();
  c.loop_first = 1;
  c.loop_last = 2;
  c.loop_passes = 3;
  return c;
}

TrainConfig make_bagged(int64_t bag, double until) {
  TrainConfig c;
  c.bag_inputs = true;
  c.bag_targets = bag;
  c.bag_fraction = until;
  return c;
}

TEST(Phases, ChangeForGoodAndSaySoInTheRecordsForm) {
  TrainConfig train = make_bagged(4, 0.3);
  train.loop_from = 0.5;
  Phases phases(make_looped(), train);
  EXPECT_EQ(phases.now(), (Phase{true, false}));
  EXPECT_EQ(phases.advance(0, 0.0), "");
  EXPECT_EQ(phases.advance(7, 0.31), "token_superposition:ended step:7 frac:0.310 bag:4");
  EXPECT_EQ(phases.advance(8, 0.29), "");  // the end of training moved
  EXPECT_EQ(phases.now(), (Phase{false, false}));
  EXPECT_EQ(phases.advance(12, 0.5),
            "layer_loop:enabled step:12 frac:0.500 encoder:[0, 1, 2, 1] decoder:[2, 1, 2, 3]");
  EXPECT_EQ(phases.advance(13, 0.49), "");
  EXPECT_EQ(phases.now(), (Phase{false, true}));
  Phases resumed(make_looped(), train);
  resumed.set_steps(phases.steps());
  EXPECT_EQ(resumed.now(), phases.now());
  EXPECT_EQ(resumed.advance(14, 0.6), "");
}

TEST(Phases, OnlyThoseThatCanOccurHaveAPlan) {
  const auto list = [](const TrainConfig& train) {
    const Phases phases(make_looped(), train);
    std::string list;
    for (const bool bags : {false, true}) {
      for (const bool loops : {false, true}) {
        list += phases.can_occur({bags, loops}) ? '1' : '0';
      }
    }
    return list;  // plain, looped, bags, looped bags
  };
  TrainConfig train;
  EXPECT_EQ(list(train), "0100");
  train.loop_from = 0.4;
  EXPECT_EQ(list(train), "1100");
  train = make_bagged(4, 0.3);
  EXPECT_EQ(list(train), "0101");
  train.loop_from = 0.4;
  EXPECT_EQ(list(train), "1110");
  train.loop_from = 0.2;
  EXPECT_EQ(list(train), "0111");
  train.loop_from = 0.3;  // both change at one step
  EXPECT_EQ(list(train), "0110");
  EXPECT_EQ(list(make_bagged(1, 0.3)), "0100");
}

// Behind the last run before the loop no block takes values, and later runs are not there.
TEST(Phases, MixesOfRunsToComeAreLeftOutBeforeTheLoop) {
  ModelConfig model = make_looped();
  model.mudd_at = "1,3,4,5";
  model.mudd_local_at = "3,4";
  model.mudd_value_at = "1,3,4";
  ASSERT_EQ(check_model_config(model), "");
  const ModelConfig before = model_in_phase(model, {.is_bagged = false, .is_looped = false});
  EXPECT_EQ(check_model_config(before), "");
  EXPECT_EQ(before.mudd_at, "1,3");
  EXPECT_EQ(before.mudd_local_at, "3");
  EXPECT_EQ(before.mudd_value_at, "1");
  EXPECT_EQ(model_in_phase(model, {.is_bagged = false, .is_looped = true}).mudd_at, model.mudd_at);
}

// A plain step has 8 rows.
TEST(Phases, RowsGoOnWhereTheTextOfBagsEnds) {
  TrainConfig train = make_bagged(4, 0.5);
  Phases phases(make_small_config(), train);
  EXPECT_EQ(phases.first_row(3, 8), 24);  // of windows of bags
  EXPECT_EQ(phases.windows_used(3, 8), 96);
  phases.advance(5, 0.5);
  EXPECT_EQ(phases.windows_used(3, 8), 96);
  EXPECT_EQ(phases.first_row(5, 8), 5 * 8 * 4);
  EXPECT_EQ(phases.first_row(7, 8), 5 * 8 * 4 + 2 * 8);
  train.bag_iso_data = true;
  Phases iso(make_small_config(), train);
  EXPECT_EQ(iso.rows(iso.now(), 8), 2);
  EXPECT_EQ(iso.first_row(3, 8), 6);
  EXPECT_EQ(iso.windows_used(3, 8), 24);
  iso.advance(5, 0.5);
  EXPECT_EQ(iso.rows(iso.now(), 8), 8);
  EXPECT_EQ(iso.first_row(7, 8), 56);
}

TEST(Phases, StagesOfLengthsHavePlansWhereTheyMeetTheLoop) {
  TrainConfig train;
  train.seq_len = 32;
  train.seq_len_growth = "8@0.3,16@0.6,32@1";
  const auto list = [&](double loop_from) {
    train.loop_from = loop_from;
    std::string text;
    for (const Phase& phase : Phases(make_looped(), train).list()) {
      text += phase.is_looped ? 'L' : '-';
      text += static_cast<char>('0' + phase.length_stage);
    }
    return text;
  };
  EXPECT_EQ(list(0), "L2L1L0");
  EXPECT_EQ(list(0.2), "L2L1L0-0");
  EXPECT_EQ(list(0.3), "L2L1-0");
  EXPECT_EQ(list(0.5), "L2L1-1-0");
  EXPECT_EQ(list(0.7), "L2-2-1-0");
  train.loop_from = 0;
  Phases phases(make_looped(), train);
  EXPECT_EQ(phases.rows(phases.now(), 8), 32);
  EXPECT_EQ(phases.first_row(3, 8), 96);
  EXPECT_GT(phases.slowdown_to_come(phases.now()), 1.0);
  EXPECT_EQ(phases.advance(3, 0.7), "seq_len:32 step:3 frac:0.700");
  EXPECT_EQ(phases.first_row(3, 8), 24);
  EXPECT_EQ(phases.slowdown_to_come(phases.now()), 1.0);
}

TEST(Phases, KeysThatContradictEachOtherAreRefused) {
  const auto problem = [](const ModelConfig& model, const TrainConfig& train) -> std::string {
    try {
      check_phases(model, train, Loader::kShuffled);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  TrainConfig train;
  EXPECT_EQ(problem(make_looped(), train), "");
  train.loop_from = 0.35;
  EXPECT_EQ(problem(make_looped(), train), "");
  EXPECT_NE(problem(make_small_config(), train).find("train.loop_from"), std::string::npos);
  train = {};
  train.bag_iso_data = true;
  EXPECT_NE(problem(make_small_config(), train).find("train.bag_iso_data"), std::string::npos);
  train = {};
  train.bag_reset = true;
  EXPECT_NE(problem(make_small_config(), train).find("train.bag_reset"), std::string::npos);
  train = make_bagged(3, 0.3);
  EXPECT_EQ(problem(make_small_config(), train), "");
  train.bag_iso_data = true;  // 4 rows
  EXPECT_NE(problem(make_small_config(), train).find("bag_targets \"3\""), std::string::npos);
  train = make_bagged(4, 0.3);
  train.prefix_weight = 0.1;
  EXPECT_NE(problem(make_small_config(), train).find("train.prefix_weight"), std::string::npos);
}

// Steps become slower midway, up to as much as the blocks' runs say, wherever that is and however the
// machine's speed wavers: the cap holds, and little of it is left.
TEST(Phases, StepsThatBecomeSlowerDoNotOverrunTheCap) {
  TrainConfig train;
  train.wallclock_s = 100;
  for (const double from : {0.05, 0.35, 0.5, 0.9, 0.97, 0.985, 0.99, 0.995}) {
    for (const double slower : {1.1, 1.5, 2.0}) {  // 2: all of a step is blocks
      for (const double rest_s : {0.0, 5.0}) {
        SCOPED_TRACE(testing::Message() << from << ", " << slower << ", rest " << rest_s);
        train.loop_from = from;
        Phases phases(make_looped(), train);
        StopPredictor predictor(train, rest_s);
        const CounterRng rng(7, kStreamTest);
        double elapsed_s = 0;
        for (int64_t step = 0; predictor.steps_fit(elapsed_s, 1); ++step) {
          const auto schedule = schedule_step(train, {}, step, elapsed_s, predictor.end_s());
          phases.advance(step, schedule.fraction);
          const double wavers = 1 + 0.1 * rng.uniform(static_cast<uint64_t>(step));
          const double step_s = 0.5 * wavers * (phases.now().is_looped ? slower : 1.0);
          elapsed_s += step_s;
          predictor.add_step(step_s * phases.slowdown_to_come(phases.now()));
        }
        EXPECT_LT(elapsed_s + rest_s, 100);
        EXPECT_GT(elapsed_s + 2.2 * rest_s, 96);
      }
    }
  }
}

TEST(BagBatches, AreWindowsOfTheOrderWithTheBagThatFollows) {
  const TrainConfig train = make_bagged(3, 0.5);
  const LossTargets targets(train);
  ASSERT_EQ(targets.count(), 3);
  // Two rows of two bags, and one more each.
  const std::vector<int32_t> tokens = {0,  1,  2,  3,  4,  5,  6,  7,  8,
                                       10, 11, 12, 13, 14, 15, 16, 17, 18};
  std::vector<int32_t> ids(12), next(12);
  targets.fill_bags(tokens, 6, ids, next);
  EXPECT_EQ(ids, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(next, (std::vector<int32_t>{3, 4, 5, 6, 7, 8, 13, 14, 15, 16, 17, 18}));
}

class PhaseRuns : public RanksTest {
 protected:
  PhaseRuns() { setup_.train.average = Average::kNone; }
};

TEST_F(PhaseRuns, WindowsOfBagsLieWithinTheText) {
  for (const Loader loader : {Loader::kSequential, Loader::kCoprime, Loader::kShuffled}) {
    const Batches plain(*stream_, loader, 1, 32);
    const Batches bags = plain.with_windows(4 * 32, 4);
    EXPECT_EQ(bags.windows_per_epoch(),
              (stream_->size() - 4 - (loader == Loader::kSequential ? 0 : 127)) / 128);
    std::vector<int32_t> whole(132), want(132);
    for (int64_t i = 0; i < 2 * bags.windows_per_epoch(); ++i) {
      ASSERT_LE(bags.window_start(i) + 132, stream_->size());
      bags.read_whole(i, 1, whole);
      stream_->read(bags.window_start(i), want);
      ASSERT_EQ(whole, want);
    }
  }
}

// 1.10 (1) of the specification, and that what is off changes nothing.
TEST_F(PhaseRuns, BagsOfOneTokenAreTheUsualTraining) {
  const TrainResult plain = train_on(1);
  setup_.train.bag_inputs = true;
  expect_same(plain.exported, train_on(1).exported);
  EXPECT_TRUE(recorder_.notes.empty());
}

// 1.10 (2): ln V whatever the bag.
TEST_F(PhaseRuns, TheFirstLossIsThatOfEqualOdds) {
  setup_.train.max_steps = 1;
  for (const int64_t bag : {2, 3, 6, 16}) {
    recorder_.steps.clear();
    setup_.train.bag_inputs = true;
    setup_.train.bag_targets = bag;
    train_on(1);
    EXPECT_NEAR(recorder_.steps.at(0).loss_nats, std::log(61.0), 0.02) << bag;
  }
}

TEST_F(PhaseRuns, ALoopFromTheFirstStepOnNeedsNoPhases) {
  setup_.model = make_looped();
  const TrainResult looped = train_on(1);
  setup_.train.loop_from = 1e-9;  // not before the second step
  recorder_.notes.clear();
  const TrainResult late = train_on(1);
  EXPECT_TRUE(recorder_.has_note("layer_loop:enabled step:1 frac:0.167 encoder:[0, 1, 2, 1]"));
  bool is_changed = false;
  for (size_t i = 0; i < late.exported.size(); ++i) {
    is_changed |= late.exported[i].values != looped.exported[i].values;
  }
  EXPECT_TRUE(is_changed);
}

// Before the loop begins training is that of the model without one, and its further skips rest.
TEST_F(PhaseRuns, BeforeItsLoopTheModelIsThePlainOne) {
  setup_.train.max_steps = 3;
  const TrainResult plain = train_on(1);
  setup_.model = make_looped();
  setup_.train.loop_from = 1;
  setup_.optimizer.adam_weight_decay = 0.04;
  const TrainResult looped = train_on(1);
  size_t matched = 0;
  for (const HostTensor& tensor : looped.exported) {
    const auto same = std::ranges::find_if(
        plain.exported, [&](const HostTensor& t) { return t.spec.name == tensor.spec.name; });
    if (same == plain.exported.end()) continue;
    EXPECT_EQ(same->values, tensor.values) << tensor.spec.name;
    ++matched;
  }
  EXPECT_EQ(matched, plain.exported.size());
  EXPECT_EQ(looped.exported.size(), plain.exported.size() + 2);
}

// Each stage has the losses of its rows, and as much text a step.
TEST_F(PhaseRuns, SequencesGrowAndSaySo) {
  setup_.train.seq_len_growth = "8@0.3,16@0.6,32@1";
  train_on(1);
  EXPECT_TRUE(recorder_.has_note("seq_len:16 step:2 frac:0.333"));
  EXPECT_TRUE(recorder_.has_note("seq_len:32 step:4 frac:0.667"));
  for (size_t i = 0; i < recorder_.steps.size(); ++i) {
    EXPECT_EQ(recorder_.steps[i].next_window, 32 * static_cast<int64_t>(i + 1));
  }
  const double first = recorder_.steps.front().loss_nats;
  recorder_.steps.clear();
  setup_.train.seq_len_growth.clear();
  setup_.train.seq_len = 8;
  setup_.train.max_steps = 1;
  batches_.emplace(*stream_, Loader::kShuffled, 1, 8);
  train_on(1);
  EXPECT_EQ(recorder_.steps.front().loss_nats, first);
}

TEST_F(PhaseRuns, LongDocumentsArePackedInPartsAndThatIsSaidOnce) {
  batches_.emplace(*stream_, Loader::kPacked, 1, 32);
  train_on(1);
  EXPECT_EQ(std::ranges::count_if(recorder_.notes,
                                  [](const std::string& note) {
                                    return note.starts_with(
                                        "packed:documents longer than 32 tokens are cut");
                                  }),
            1);
}

// The tape's cursor.
TEST_F(PhaseRuns, ReportHowMuchTextIsUsedUp) {
  setup_.train.bag_inputs = true;
  setup_.train.bag_targets = 4;
  setup_.train.bag_fraction = 0.5;
  train_on(1);
  std::vector<int64_t> cursor;
  for (const StepReport& report : recorder_.steps) cursor.push_back(report.next_window);
  EXPECT_EQ(cursor, (std::vector<int64_t>{128, 256, 384, 416, 448, 480}));
  EXPECT_TRUE(recorder_.has_note("token_superposition:ended step:3 frac:0.500 bag:4"));
}

// The state that a fresh optimizer has, and its schedule.
TEST_F(PhaseRuns, ABagResetBeginsAnew) {
  setup_.train.bag_inputs = true;
  setup_.train.bag_targets = 4;
  setup_.train.bag_fraction = 0.5;
  setup_.train.lr_warmup_steps = 2;
  setup_.train.warmdown_steps = 2;
  const auto multipliers = [&] {
    recorder_.steps.clear();
    train_on(1);
    std::vector<double> values;
    for (const StepReport& report : recorder_.steps) values.push_back(report.lr_multiplier);
    return values;
  };
  EXPECT_EQ(multipliers(), (std::vector<double>{0.5, 1, 1, 1, 1, 0.5}));
  setup_.train.bag_reset = true;
  EXPECT_EQ(multipliers(), (std::vector<double>{0.5, 1, 1, 0.5, 1, 0.5}));

  const auto device = make_device("cpu");
  Weights weights(*device, list_params(setup_.model), true);
  weights.initialise(1);
  setup_.optimizer.normuon = NorMuon::kPaper;
  Optimizer optimizer(weights, setup_.optimizer);
  std::fill_n(weights.gradients(), weights.gradient_elements(), 0.01f);
  const auto step_from_start = [&] {
    weights.initialise(1);
    optimizer.step(0, 1.0);
    std::vector<std::vector<float>> values;
    for (const HostTensor& tensor : weights.download()) values.push_back(tensor.values);
    return values;
  };
  const std::vector<std::vector<float>> first = step_from_start();
  EXPECT_FALSE(step_from_start() == first);
  optimizer.forget();
  EXPECT_TRUE(step_from_start() == first);
}

struct Course {
  const char* name;
  std::function<void(TrainSetup&)> set;
  Loader loader = Loader::kShuffled;
};
void PrintTo(const Course& course, std::ostream* out) { *out << course.name; }

void set_bags(TrainSetup& setup) {
  setup.train.bag_inputs = true;
  setup.train.bag_targets = 4;
  setup.train.bag_fraction = 0.5;
}
void set_loop(TrainSetup& setup) {
  setup.model = make_looped();
  setup.train.loop_from = 0.5;
}
void set_growth(TrainSetup& setup) { setup.train.seq_len_growth = "8@0.3,16@0.6,32@1"; }

const Course kCourses[] = {{"loop", set_loop},
                           {"loop_before_lanes",
                            [](TrainSetup& s) {
                              set_loop(s);
                              s.model.parallel_residual = ParallelResidual::kLanes;
                              s.model.parallel_from = 3;
                              s.model.attention_gate = AttentionGate::kSparse;
                            }},
                           {"loop_with_mixes_of_its_runs",
                            [](TrainSetup& s) {
                              set_loop(s);
                              s.model.mudd_at = "1,3,4,5";
                              s.model.mudd_local_at = std::string("4");
                              s.model.mudd_value_at = "1,3,4";
                            }},
                           {"bags", set_bags},
                           {"bags_of_as_much_text",
                            [](TrainSetup& s) {
                              set_bags(s);
                              s.train.bag_iso_data = true;
                            }},
                           {"bags_then_anew",
                            [](TrainSetup& s) {
                              set_bags(s);
                              s.train.bag_reset = true;
                            }},
                           {"bags_then_modules",
                            [](TrainSetup& s) {
                              set_bags(s);
                              s.train.mtp_modules = 1;
                            }},
                           {"bags_then_loop",
                            [](TrainSetup& s) {
                              set_loop(s);
                              set_bags(s);
                              s.train.loop_from = 0.8;
                            }},
                           {"loop_within_bags",
                            [](TrainSetup& s) {
                              set_loop(s);
                              set_bags(s);
                              s.train.loop_from = 0.3;
                            }},
                           {"growth", set_growth},
                           {"growth_and_loop",
                            [](TrainSetup& s) {
                              set_loop(s);
                              set_growth(s);
                            }},
                           {"packed", [](TrainSetup&) {}, Loader::kPacked},
                           {"packed_growth_and_loop",
                            [](TrainSetup& s) {
                              set_loop(s);
                              set_growth(s);
                            },
                            Loader::kPacked}};

class Courses : public PhaseRuns, public testing::WithParamInterface<Course> {
 protected:
  // On text of the shards of that name.
  void set_course(const std::string& shards) {
    GetParam().set(setup_);
    stream_.emplace(TokenStream::open((folder_ / (shards + "_*.bin")).string(), 61));
    batches_.emplace(*stream_, GetParam().loader, 1, 32);
  }
};

TEST_P(Courses, ChangeWhatComesOutAndAreTheSameForAnyRanks) {
  const TrainResult plain = train_on(1);
  set_course("mixed");
  const TrainResult one = train_on(1);
  bool is_changed = false;
  for (size_t i = 0; i < plain.exported.size(); ++i) {
    is_changed |= plain.exported[i].values != one.exported[i].values;
  }
  EXPECT_TRUE(is_changed);
  for (const int ranks : {2, 4}) {
    others_.clear();
    expect_same(one.exported, train_on(ranks).exported);
    for (const TrainResult& other : others_) expect_same(one.exported, other.exported);
  }
}

TEST_P(Courses, GoOnFromACheckpointOnOtherRanks) {
  set_course("mixed");
  const TrainResult whole = train_on(1);
  std::vector<std::string> notes = std::exchange(recorder_.notes, {});
  EXPECT_FALSE(notes.empty());
  // Those of each part of a run.
  const auto is_of_part = [](const std::string& note) {
    return note.starts_with("resume:") || note.starts_with("packed:");
  };
  std::erase_if(notes, is_of_part);
  struct Halves {
    int before, after;  // ranks
    int64_t steps;
  };
  for (const auto& [before, after, steps] : {Halves{2, 1, 2}, {1, 1, 3}, {1, 4, 4}, {1, 2, 5}}) {
    recorder_.notes.clear();
    expect_goes_on(whole, before, after, steps);
    std::erase_if(recorder_.notes, is_of_part);
    EXPECT_EQ(recorder_.notes, notes) << "a change is told once";
  }
}

TEST_P(Courses, Learn) {
  // The repeated text, each time a document of its own where they are told apart.
  std::vector<uint16_t> ids(20000);
  const auto period = make_ids(16, 61, 77);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<uint16_t>(period[i % 16]);
  if (GetParam().loader == Loader::kPacked) {
    for (size_t i = 0; i < ids.size(); i += 64) ids[i] = kBosId;
  }
  write_shard(folder_ / "repeated_000000.bin", ids);
  set_course("repeated");
  setup_.train.max_steps = 60;
  setup_.train.warmdown_steps = 30;
  EXPECT_LT(train_on(1).last_loss_nats, 0.75 * std::log(16.0));
}

INSTANTIATE_TEST_SUITE_P(Each, Courses, testing::ValuesIn(kCourses),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pg
