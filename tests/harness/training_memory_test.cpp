// The planner's memory against what a step of training allocates.
#include "harness/planner/training_memory.h"

#include <gtest/gtest.h>

#include <memory>

#include "harness/bench/shape_device.h"
#include "src/device/comm/comm_single.h"
#include "src/train/train_step.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

// All that a step of training allocates on its device, counted there.
class TrainingMemoryTest : public TrainerTest {};

TEST_F(TrainingMemoryTest, IsWhatATrainingAllocates) {
  Recipe recipe;
  recipe.model = setup_.model;
  recipe.train = setup_.train;
  recipe.train.gradient_leaves = 2;
  recipe.train.average = Average::kEma;
  recipe.optimizer.normuon = NorMuon::kModded;
  const auto device = make_shape_device("cpu:bf16");
  setup_.train = recipe.train;
  setup_.optimizer = recipe.optimizer;
  setup_.device = device.get();
  const std::unique_ptr<Comm> comm = make_single_comm();
  const TrainStep step(setup_, *comm);
  const auto allocated = static_cast<double>(device->allocated_bytes());
  EXPECT_NEAR(static_cast<double>(predict_memory(recipe, 1).total()), allocated, 0.05 * allocated);
}

// Its longest sequences in rows of a micro-batch, like those of the same recipe that does not grow.
TEST(TrainingMemory, OfGrowingSequencesIsThatOfTheLastOnes) {
  Recipe recipe;
  recipe.data.loader = Loader::kPacked;
  recipe.train.seq_len = 2048;
  recipe.train.micro_batch_tokens = 8192;
  const int64_t plain = predict_memory(recipe, 1).total();
  recipe.train.seq_len_growth = "512@0.5,2048@1";
  EXPECT_EQ(predict_memory(recipe, 1).total(), plain);
  recipe.data.loader = Loader::kShuffled;
  EXPECT_NEAR(static_cast<double>(predict_memory(recipe, 1).total()), static_cast<double>(plain),
              0.02 * static_cast<double>(plain));
}

}  // namespace
}  // namespace pg
