// Averages of weights that are set by hand, against their formulas in double; and EMA-Nesterov.
#include "src/train/average.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "src/base/rng.h"
#include "src/device/registry/make_device.h"
#include "src/train/ema_nesterov.h"

namespace pg {
namespace {

class AverageTest : public testing::Test {
 protected:
  AverageTest() : device_(make_device("cpu:exact")), weights_(*device_, make_specs(), true) {
    weights_.initialise(3);
  }
  static std::vector<ParamSpec> make_specs() {
    return {{"gain", 1, 3, ParamGroup::kScalar, ParamInit::kConstant, 1.0f, false}};
  }

  // The weight after so many steps.
  static double weight(int64_t steps_done) {
    return std::sin(1.7 * static_cast<double>(steps_done));
  }
  void set_weight(int64_t steps_done) {
    auto tensors = weights_.download();
    tensors[0].values[0] = static_cast<float>(weight(steps_done));
    weights_.upload(tensors);
  }
  static double value_of(const Averager& averager) {
    return static_cast<double>(averager.download()[0].values[0]);
  }
  static double value_of(const Averager& averager, Average candidate) {
    return static_cast<double>(averager.download(candidate)[0].values[0]);
  }
  // Of ten steps: the fraction and the multiplier before the step that ends with steps_done.
  static StepSchedule schedule_before(int64_t steps_done) {
    StepSchedule schedule;
    schedule.fraction = static_cast<double>(steps_done - 1) / 10.0;
    schedule.warmdown = 1.0 - schedule.fraction;
    return schedule;
  }
  // The average after each of ten steps; those after the fifth by another averager, which goes on
  // from the state of the first.
  std::vector<double> run(const TrainConfig& config) {
    std::vector<double> values;
    Averager first(weights_, config);
    const auto step = [&](Averager& averager, int64_t steps_done) {
      set_weight(steps_done);
      averager.update(steps_done, schedule_before(steps_done));
      values.push_back(value_of(averager));
      std::map<Average, double>& kept = kept_.emplace_back();
      for (const Average a : averager.candidates()) kept[a] = value_of(averager, a);
    };
    kept_.clear();
    for (int64_t i = 1; i <= 5; ++i) step(first, i);
    Averager second(weights_, config);
    const int64_t flat = weights_.flat_elements();
    if (first.state() != nullptr) std::copy_n(first.state(), flat, second.state());
    const int64_t kept = Averager::count_kept(config) * flat;
    if (kept > 0) std::copy_n(first.kept_snapshots(), kept, second.kept_snapshots());
    second.set_progress(first.progress());
    for (int64_t i = 6; i <= 10; ++i) step(second, i);
    described_ = second.describe();
    return values;
  }

  std::unique_ptr<Device> device_;
  Weights weights_;
  std::string described_;
  std::vector<std::map<Average, double>> kept_;  // after each step, of each candidate
};

constexpr double kBound = 16 * 0x1p-24;  // ten steps of one rounding each, of numbers below 1

TEST_F(AverageTest, AnEmaBeginsAndBeginsAnewWhereItIsTold) {
  struct Case {
    double start_fraction, start_lr, restart_fraction;
    std::vector<int64_t> begins;  // the steps whose weights the average is
  };
  // Before step i the fraction is (i - 1) / 10 and the multiplier 1 minus that.
  const Case cases[] = {{0, 0, 0, {}},
                        {0.25, 0, 0, {1, 2, 3, 4}},
                        {0, 0.75, 0, {1, 2, 3, 4}},
                        {0.35, 0.95, 0, {1, 2, 3, 4, 5}},
                        {0, 0, 0.65, {8}},
                        {0.25, 0, 0.65, {1, 2, 3, 4, 8}}};
  for (const Case& c : cases) {
    TrainConfig config;
    config.average = Average::kEma;
    config.ema_decay = 0.75;
    config.ema_start_fraction = c.start_fraction;
    config.ema_start_lr = c.start_lr;
    config.ema_restart_fraction = c.restart_fraction;
    weights_.initialise(3);
    double want = 1.0;
    const std::vector<double> values = run(config);
    for (int64_t i = 1; i <= 10; ++i) {
      const bool begins = std::find(c.begins.begin(), c.begins.end(), i) != c.begins.end();
      want = begins ? weight(i) : 0.75 * want + 0.25 * weight(i);
      EXPECT_NEAR(values[static_cast<size_t>(i - 1)], want, kBound)
          << i << " " << c.start_fraction << " " << c.start_lr << " " << c.restart_fraction;
    }
  }
}

TEST_F(AverageTest, SwaOfTheEmaIsTheMeanOfItsSnapshots) {
  TrainConfig config;
  config.average = Average::kEmaSwa;
  config.ema_decay = 0.75;
  config.swa_every = 2;
  config.swa_start_lr = 0.65;  // from step 5 on: snapshots at 6, 8, 10
  const std::vector<double> values = run(config);
  double ema = 1.0, sum = 0;
  int64_t count = 0;
  for (int64_t i = 1; i <= 10; ++i) {
    ema = 0.75 * ema + 0.25 * weight(i);
    if (i >= 5 && i % 2 == 0) sum += ema, ++count;
    const double want = count > 0 ? sum / static_cast<double>(count) : ema;
    EXPECT_NEAR(values[static_cast<size_t>(i - 1)], want, kBound) << i;
  }
  EXPECT_EQ(described_, "swa of 3 of ema 0.75");
}

TEST_F(AverageTest, LawaIsTheMeanOfTheLastSnapshots) {
  TrainConfig config;
  config.average = Average::kLawa;
  config.lawa_every = 2;
  config.lawa_count = 3;
  const std::vector<double> values = run(config);
  std::vector<double> snapshots;
  for (int64_t i = 1; i <= 10; ++i) {
    if (i % 2 == 0) snapshots.push_back(weight(i));
    if (snapshots.size() > 3) snapshots.erase(snapshots.begin());
    const double sum = std::accumulate(snapshots.begin(), snapshots.end(), 0.0);
    const double want = snapshots.empty() ? weight(i) : sum / static_cast<double>(snapshots.size());
    EXPECT_NEAR(values[static_cast<size_t>(i - 1)], want, kBound) << i;
  }
  EXPECT_EQ(described_, "lawa of 3");
}

// Each of them as it is alone, through the state that a checkpoint keeps.
TEST_F(AverageTest, BestKeepsTheEmaBothMeansAndTheLastWeights) {
  TrainConfig config;
  config.ema_decay = 0.75;
  config.ema_start_fraction = 0.15;
  config.swa_every = 2;
  config.swa_start_lr = 0.65;  // snapshots at 6, 8, 10
  std::map<Average, std::vector<double>> alone;
  for (const Average a : {Average::kEma, Average::kEmaSwa, Average::kSwa, Average::kNone}) {
    config.average = a;
    config.ema_start_fraction = a == Average::kEma || a == Average::kEmaSwa ? 0.15 : 0;
    weights_.initialise(3);
    alone[a] = run(config);
  }
  config.average = Average::kBest;
  config.ema_start_fraction = 0.15;
  weights_.initialise(3);
  run(config);
  for (size_t i = 0; i < 10; ++i) {
    const size_t candidates = i < 5 ? 2 : 4;  // the means are there from the sixth step on
    ASSERT_EQ(kept_[i].size(), candidates) << i;
    for (const auto& [average, value] : kept_[i]) {
      EXPECT_EQ(value, alone[average][i]) << i << " " << choice_name(average);
    }
  }
  EXPECT_EQ(std::set<double>({kept_[9][Average::kEma], kept_[9][Average::kEmaSwa],
                              kept_[9][Average::kSwa], kept_[9][Average::kNone]})
                .size(),
            4u);
}

TEST_F(AverageTest, OnlyWhatNeedsSnapshotsKeepsThem) {
  for (const Average average : {Average::kNone, Average::kEma, Average::kSwa}) {
    TrainConfig config;
    config.average = average;
    const Averager averager(weights_, config);
    EXPECT_EQ(averager.kept_snapshots(), nullptr);
    EXPECT_EQ(averager.state() == nullptr, average == Average::kNone);
  }
}

// Steps of known size from wherever the weights are: s(w) = -0.1 w + a number of the step.
TEST_F(AverageTest, EmaNesterovFollowsItsFormula) {
  OptimizerConfig config;
  config.ema_nesterov_beta = 0.6;
  config.ema_nesterov_gamma = 0.8;
  config.ema_nesterov_start = 0.2;
  config.ema_nesterov_end = 0.7;
  EmaNesterov ahead(weights_, config);
  double w = 1.0, v = 0.0;
  for (int64_t i = 1; i <= 10; ++i) {
    StepSchedule schedule = schedule_before(i);
    schedule.lr_multiplier = 0.5;
    const double before = w;
    if (schedule.fraction >= 0.2 && schedule.fraction < 0.7) w += 0.6 * 0.5 * v;
    ahead.look_ahead(schedule);
    EXPECT_NEAR(weights_.master(0)[0], w, kBound) << i;
    ahead.undo();
    EXPECT_NEAR(weights_.master(0)[0], before, kBound) << i;
    ahead.look_ahead(schedule);
    w += 0.1 * weight(i) - 0.1 * w;
    float& master = weights_.master(0)[0];
    master = static_cast<float>(static_cast<double>(master) + 0.1 * weight(i) -
                                0.1 * static_cast<double>(master));
    ahead.follow();
    v = 0.8 * v + 0.2 * (w - before);
    EXPECT_NEAR(ahead.velocity()[0], v, kBound) << i;
    EXPECT_NEAR(weights_.master(0)[0], w, kBound) << i;
  }
  EXPECT_EQ(EmaNesterov(weights_, OptimizerConfig{}).velocity(), nullptr);
}

}  // namespace
}  // namespace pg
