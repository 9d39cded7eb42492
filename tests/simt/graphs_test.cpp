// Work that is kept and repeated (a CUDA graph) on the simt device, whose recordings hold what a
// graph's nodes hold: the kernels' arguments as they were.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/device/cuda/gpu_device.h"
#include "src/device/registry/make_device.h"
#include "src/device/simt/host_runtime.h"
#include "tests/simt/orthogonal_matrix.h"

namespace pg {
namespace {

// average = decay average + (1 - decay) x, the decay being in the device's memory.
class Average {
 public:
  static constexpr int64_t kCount = 5;
  static constexpr float kDecays[] = {0.5f, 0.25f, 0.75f, 0.125f, 0.875f};

  explicit Average(Device& device)
      : device_(device),
        average_(device, kCount * sizeof(float)),
        x_(device, kCount * sizeof(float)),
        decay_(device, sizeof(float)) {
    const std::vector<float> ones(kCount, 1.0f);
    device.upload(x_.data(), ones.data(), x_.bytes());
  }
  // Every element, which are all the same.
  float step(float decay) {
    device_.upload(decay_.data(), &decay, sizeof decay);
    for (Repetition run(device_, kept_); run.is_due(); ++times_given) give();
    std::vector<float> values(kCount);
    device_.download(values.data(), average_.data(), average_.bytes());
    for (const float value : values) EXPECT_EQ(value, values[0]);
    return values[0];
  }
  void give() {
    device_.ops().lerp({average_.data(), DType::kF32}, {x_.data(), DType::kF32},
                       {decay_.data(), DType::kF32}, kCount);
  }
  std::unique_ptr<KeptWork>& kept() { return kept_; }
  int times_given = 0;

 private:
  Device& device_;
  DeviceBuffer average_, x_, decay_;
  std::unique_ptr<KeptWork> kept_;
};

void expect_right_steps(Average& average) {
  float want = 0;
  for (const float decay : Average::kDecays) {
    want = decay * want + (1 - decay);
    EXPECT_EQ(average.step(decay), want);
  }
}

TEST(Graphs, WorkIsGivenAndRecordedAndThenRepeatedWithTheScalarsOfItsStep) {
  const auto device = make_device("simt");
  Average average(*device);
  expect_right_steps(average);
  EXPECT_EQ(average.times_given, 2);
}

TEST(Graphs, ADeviceThatKeepsNothingIsGivenItEachTime) {
  const auto device = make_device("cpu:exact");
  Average average(*device);
  expect_right_steps(average);
  EXPECT_EQ(average.times_given, std::ssize(Average::kDecays));
}

// What a GPU cannot record is given as before.
class RefusingRuntime final : public HostRuntime {
 public:
  std::unique_ptr<GpuGraph> end_graph() override {
    HostRuntime::end_graph();
    return nullptr;
  }
};

TEST(Graphs, WhatCannotBeRecordedIsGivenEachTime) {
  GpuDevice device("refusing", std::make_unique<RefusingRuntime>(), DType::kBF16);
  Average average(device);
  expect_right_steps(average);
  EXPECT_EQ(average.times_given, std::ssize(Average::kDecays) + 1);  // once for the recording
}

TEST(Graphs, WorkingMemoryThatGrowsIsNotTheOneRecorded) {
  const auto device = make_device("simt");
  OrthogonalMatrix small(*device, 8), large(*device, 40);
  const std::vector<float> want = small.run();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(small.run(), want);
  const std::vector<float> of_large = large.run();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(small.run(), want);
    EXPECT_EQ(large.run(), of_large);
  }
}

TEST(Graphs, WhatTouchesTheHostWhileRecordedIsAnErrorThatLeavesTheDeviceInOrder) {
  const auto device = make_device("simt");
  Average average(*device);
  const DeviceBuffer other(*device, sizeof(float));
  const auto upload = [&] {
    const float value = 1;
    for (Repetition run(*device, average.kept()); run.is_due();) {
      device->upload(other.data(), &value, sizeof value);
    }
  };
  upload();  // given
  EXPECT_THROW(upload(), Error);
  average.kept().reset();
  expect_right_steps(average);
}

TEST(Graphs, WorkThatFailedIsGivenOnceMoreBeforeItIsRecorded) {
  const auto device = make_device("simt");
  Average average(*device);
  const auto fail = [&] {
    for (Repetition run(*device, average.kept()); run.is_due();) throw Error("it failed");
  };
  EXPECT_THROW(fail(), Error);
  expect_right_steps(average);
  EXPECT_EQ(average.times_given, 2);
}

TEST(Graphs, WorkWithinWorkIsPartOfIt) {
  const auto device = make_device("simt");
  Average outer(*device), inner(*device);
  int times_given = 0;
  std::unique_ptr<KeptWork> kept;
  for (int i = 0; i < 4; ++i) {
    for (Repetition run(*device, kept); run.is_due(); ++times_given) {
      outer.give();
      for (Repetition within(*device, inner.kept()); within.is_due();) inner.give();
    }
  }
  EXPECT_EQ(times_given, 2);
}

}  // namespace
}  // namespace pg
