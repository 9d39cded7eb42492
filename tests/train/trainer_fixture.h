// A trainer on a repeated text of 20,000 tokens and the small model: twelve steps of two
// micro-batches, without a cap.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/data/corpus/write_shard.h"
#include "src/device/registry/make_device.h"
#include "src/train/trainer.h"
#include "tests/model/model_fixture.h"

namespace pg {

class Recorder final : public TrainObserver {
 public:
  void on_step(const StepReport& report) override { steps.push_back(report); }
  void on_validation(int64_t, double, double, double) override { ++validations; }
  void on_note(const std::string& line) override { notes.push_back(line); }
  bool has_note(const std::string& part) const {
    for (const std::string& note : notes) {
      if (note.find(part) != std::string::npos) return true;
    }
    return false;
  }
  std::vector<StepReport> steps;
  std::vector<std::string> notes;
  int validations = 0;
};

// Advances by a fixed time at every look: training time without a wait.
class TickingClock final : public Clock {
 public:
  explicit TickingClock(double tick_s) : tick_s_(tick_s) {}
  double now_s() override { return now_s_ += tick_s_; }

 private:
  double tick_s_, now_s_ = 0;
};

// To sixty-fourths: a grid for late quantisation-aware training.
inline std::vector<HostTensor> round_to_64ths(const std::vector<HostTensor>& weights) {
  std::vector<HostTensor> rounded = weights;
  for (HostTensor& tensor : rounded) {
    for (float& value : tensor.values) value = std::nearbyint(value * 64) / 64;
  }
  return rounded;
}

class TrainerTest : public testing::Test {
 protected:
  TrainerTest()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("pg_trainer_test_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    // A text of period 16: learnable at once from context.
    std::vector<uint16_t> ids(20000);
    const auto period = make_ids(16, 61, 77);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<uint16_t>(period[i % 16]);
    write_shard(folder_ / "train_000000.bin", ids);
    stream_.emplace(TokenStream::open((folder_ / "train_*.bin").string(), 61));
    batches_.emplace(*stream_, Loader::kShuffled, 1, 32);
    device_ = make_device("cpu");
    setup_.model = make_small_config();
    setup_.train.wallclock_s = 0;
    setup_.train.max_steps = 12;
    setup_.train.batch_tokens = 256;
    setup_.train.micro_batch_tokens = 128;
    setup_.train.seq_len = 32;
    setup_.train.warmdown_steps = 4;
    setup_.train.log_every = 5;
    setup_.device = device_.get();
    setup_.batches = &*batches_;
    setup_.clock = &clock_;
    setup_.observer = &recorder_;
    setup_.round_weights = round_to_64ths;
  }
  ~TrainerTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::optional<TokenStream> stream_;
  std::optional<Batches> batches_;
  std::unique_ptr<Device> device_;
  SteadyClock clock_;
  Recorder recorder_;
  TrainSetup setup_;
};

inline void expect_same(const std::vector<HostTensor>& a, const std::vector<HostTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].values, b[i].values) << a[i].spec.name;
}

}  // namespace pg
