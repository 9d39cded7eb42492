// What `bench train` counts: each call once, under its own name, and the step's own calls.
#include "harness/bench/counting_device.h"

#include <gtest/gtest.h>

#include <numeric>

#include "src/device/comm/comm_single.h"
#include "src/device/registry/make_device.h"
#include "src/plan/plan.h"
#include "src/train/train_step.h"
#include "tests/ops/op_runner.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

int64_t total(const OpCounts& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

// By the cases of the op test, whose sizes differ, so that no two operands can change places.
TEST(CountingDevice, PassesEveryOpOnAndCountsIt) {
  const auto cpu = make_device("cpu:exact");
  CountingDevice counting(*cpu);
  constexpr int64_t kCases = 6;  // of each op
  OpCounts cases = {};
  for (const optest::OpCase& op_case : optest::all_cases()) {
    if (++cases[static_cast<size_t>(op_case.op)] > kCases) continue;
    for (const std::string& fault : optest::check_values(counting, op_case)) ADD_FAILURE() << fault;
    const OpCounts counts = counting.take_counts();
    EXPECT_GT(counts[static_cast<size_t>(op_case.op)], 0) << optest::title(op_case);
    EXPECT_EQ(counts[static_cast<size_t>(op_case.op)], total(counts)) << optest::title(op_case);
  }
  for (const OpInfo& op : kOps) EXPECT_GT(cases[static_cast<size_t>(op.id)], 0) << op.name;
  EXPECT_EQ(total(counting.take_counts()), 0);
}

class StepCalls : public TrainerTest {
 protected:
  OpCounts count(int64_t leaves, Average average) {
    setup_.train.batch_tokens = 4 * setup_.train.micro_batch_tokens;
    setup_.train.gradient_leaves = leaves;
    setup_.train.average = average;
    CountingDevice counting(*device_);
    setup_.device = &counting;
    const auto comm = make_single_comm();
    TrainStep step(setup_, *comm);
    step.start_at(0);
    counting.take_counts();
    step.launch({});
    plan_calls_ = step.plan().plan().call_count();
    optimizer_calls_ = step.optimizer().ops_per_step();
    return counting.take_counts();
  }
  static int64_t of(const OpCounts& counts, OpId op) { return counts[static_cast<size_t>(op)]; }

  int64_t plan_calls_ = 0, optimizer_calls_ = 0;
};

TEST_F(StepCalls, AreThoseOfThePlanTheOptimizerTheLeavesTheLossAndTheAverage) {
  const OpCounts plain = count(1, Average::kNone);
  const int64_t loss = 1;
  EXPECT_EQ(total(plain), 4 * plan_calls_ + optimizer_calls_ + loss);

  const OpCounts averaged = count(1, Average::kEma);
  EXPECT_EQ(of(plain, OpId::kLerp), 0);
  EXPECT_EQ(of(averaged, OpId::kLerp), 1);
  EXPECT_EQ(total(averaged), total(plain) + 1);

  setup_.optimizer.aurora_iterations = 3;
  setup_.optimizer.normuon = NorMuon::kPaper;
  const int64_t stock_calls = optimizer_calls_;
  const OpCounts forms = count(1, Average::kNone);
  EXPECT_EQ(total(forms), 4 * plan_calls_ + optimizer_calls_ + loss);
  EXPECT_GT(optimizer_calls_, stock_calls);
  setup_.optimizer = {};

  const OpCounts leaves = count(4, Average::kEma);
  const int64_t finish = of(averaged, OpId::kScaleRowsBackward);
  EXPECT_GT(finish, 0);
  EXPECT_EQ(of(leaves, OpId::kScaleRowsBackward), 4 * finish);
  EXPECT_EQ(of(leaves, OpId::kCast), of(averaged, OpId::kCast) + 3);  // three sums of two leaves
  EXPECT_EQ(total(leaves), total(averaged) + 3 * finish + 3);
}

}  // namespace
}  // namespace pg
