// A run that is watched: lines as they come, a torn last one, a log that was cut back, and how it ends.
#include "harness/record/run_watch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "harness/record/folder_lock.h"
#include "src/files/write_file.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

std::string step_line(int64_t step, double loss) {
  return fmt::format(
      R"({{"event":"step","step":{},"loss_nats":{},"train_s":{},"tokens_per_s":1500.0}})"
      "\n",
      step, loss, static_cast<double>(step));
}

class Watch : public testing::Test {
 protected:
  void write(const std::string& text) {
    std::ofstream(folder_ / "run.jsonl", std::ios::app) << text;
  }
  WatchState poll() {
    return watch_.poll([&](const std::string& line) { printed_.push_back(line); });
  }

  TemporaryFolder root_;
  const std::filesystem::path folder_ = root_.path() / "run";
  RunWatch watch_{folder_};
  std::vector<std::string> printed_;
};

TEST_F(Watch, FollowsARunFromBeforeItsFolderToItsRecord) {
  EXPECT_EQ(poll(), WatchState::kWaiting);
  std::filesystem::create_directories(folder_);
  EXPECT_EQ(poll(), WatchState::kWaiting);
  write_file_atomic(folder_ / ".run_lock", describe_own_lock());
  Recipe recipe;
  recipe.train.max_steps = 10;
  recipe.train.wallclock_s = 0;
  write_file_atomic(folder_ / "recipe.toml", write_recipe(recipe));
  write("{\"event\":\"start\"}\n" + step_line(1, 4) + step_line(2, 3));
  const std::string third = step_line(3, 2);
  write(third.substr(0, 20));
  EXPECT_EQ(poll(), WatchState::kRunning);
  EXPECT_EQ(watch_.steps(), 2);
  write(third.substr(20));
  EXPECT_EQ(poll(), WatchState::kRunning);
  EXPECT_EQ(watch_.describe(), "step 3/10  loss 2.0000  █▅▁  1.5k tok/s  7 s left");
  write(
      "{\"event\":\"validation\",\"step\":3,\"val_loss_nats\":2.1,\"val_bits_per_byte\":1.25}\n"
      "{\"event\":\"note\",\"text\":\"checkpoint\\u001b[2J\"}\nno line of ours\n"
      "{\"event\":\"stop\",\"reason\":\"max_steps\"}\n");
  poll();
  EXPECT_EQ(printed_, (std::vector<std::string>{
                          "step 3  validation 2.1000 nats, 1.2500 bits per byte",
                          "checkpoint\\x1b[2J", "training stopped: max_steps, at step 3"}));
  write_file_atomic(folder_ / "submission.json", std::string("{}"));
  EXPECT_EQ(poll(), WatchState::kRunning);  // until who works on it is gone
  std::filesystem::remove(folder_ / ".run_lock");
  EXPECT_EQ(poll(), WatchState::kEnded);
  EXPECT_EQ(watch_.describe(), "step 3/10  loss 2.0000  █▅▁  1.5k tok/s  val 1.2500 bpb");
}

TEST_F(Watch, ARunThatIsCutBackToItsCheckpointIsReadAnew) {
  std::filesystem::create_directories(folder_);
  write(step_line(1, 4) + step_line(2, 3) + step_line(3, 2));
  EXPECT_EQ(poll(), WatchState::kStopped);
  std::filesystem::resize_file(folder_ / "run.jsonl", step_line(1, 4).size());
  EXPECT_EQ(poll(), WatchState::kStopped);
  EXPECT_EQ(watch_.steps(), 1);
  write(step_line(2, 3.5));
  poll();
  EXPECT_NE(watch_.describe().find("step 2  loss 3.5000"), std::string::npos) << watch_.describe();
}

TEST_F(Watch, LinksAndPipesAreNotFollowed) {
  std::filesystem::create_directories(folder_);
  std::filesystem::create_symlink("/etc/passwd", folder_ / "run.jsonl");
  EXPECT_EQ(poll(), WatchState::kWaiting);
}

TEST(Sparkline, BarsFollowTheValues) {
  EXPECT_EQ(draw_sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 8), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(draw_sparkline({7, 7, 1, 1}, 2), "█▁");
  EXPECT_EQ(draw_sparkline({3, 3}, 8), "▁▁");
  EXPECT_EQ(draw_sparkline({std::nan(""), 1, 2}, 8), "▁█");
  EXPECT_EQ(draw_sparkline({}, 8), "");
}

}  // namespace
}  // namespace pg
