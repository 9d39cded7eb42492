// The self-test can fail: of devices that are broken on purpose it must name what is wrong.
#include "tests/selftest/self_test.h"

#include <gtest/gtest.h>

#include "src/base/error.h"
#include "src/device/host_device.h"
#include "src/device/reference/reference_device.h"
#include "src/device/reference/reference_ops.h"

namespace pg {
namespace {

template <class BrokenOps>
class BrokenDevice final : public HostDevice {
 public:
  BrokenDevice() : HostDevice("broken", DType::kF32) {}
  Ops& ops() override { return ops_; }
  DevicePeak measure_peak() override { return {1e9, 1e9, "1 thread"}; }
  double measure_matmul() override { return 1e9; }

 private:
  BrokenOps ops_;
};

struct DecaysTooFast : ReferenceOps {
  void lerp(Out average, In x, In decay, int64_t count) override {
    const float less = 0.99f * *static_cast<const float*>(decay.data);
    ReferenceOps::lerp(average, x, {&less, DType::kF32}, count);
  }
};

struct Throws : ReferenceOps {
  void lerp(Out, In, In, int64_t) override { throw Error("the kernel was not launched"); }
};

struct StepsTooFar : ReferenceOps {
  void adamw(Out p, Out m, Out v, In g, In coefficient, In step, bool cautious,
             int64_t count) override {
    ReferenceOps::adamw(p, m, v, g, coefficient, step, cautious, count);
    ReferenceOps::adamw(p, m, v, g, coefficient, step, cautious, count);
  }
};

struct Page {
  int code;
  std::string text;
};

Page test_lerp(Device& device) {
  testing::internal::CaptureStdout();
  const int code = run_self_test(
      device, {.filter = "lerp", .ops_only = true, .measure_speed = {}, .make_library = {}});
  return {code, testing::internal::GetCapturedStdout()};
}

TEST(SelfTest, PassesADeviceThatIsRight) {
  const auto device = make_reference_device(DType::kF32);
  const Page page = test_lerp(*device);
  EXPECT_EQ(page.code, 0) << page.text;
  EXPECT_NE(page.text.find("1 ops, 8 cases"), std::string::npos) << page.text;
  EXPECT_NE(page.text.find("verdict: pass"), std::string::npos) << page.text;
  EXPECT_TRUE(check_training(*device).is_right());
}

TEST(SelfTest, NamesTheOpThatIsWrongAndItsNumbers) {
  BrokenDevice<DecaysTooFast> device;
  const Page page = test_lerp(device);
  EXPECT_EQ(page.code, 1);
  EXPECT_NE(page.text.find("verdict: FAIL in lerp"), std::string::npos) << page.text;
  EXPECT_NE(page.text.find("lerp [count=33"), std::string::npos) << page.text;
  EXPECT_NE(page.text.find("bound"), std::string::npos) << page.text;
}

TEST(SelfTest, AnOpThatThrowsIsNamedWithWhatItSaid) {
  BrokenDevice<Throws> device;
  const Page page = test_lerp(device);
  EXPECT_EQ(page.code, 1);
  EXPECT_NE(page.text.find("lerp: the kernel was not launched"), std::string::npos) << page.text;
}

TEST(SelfTest, StepsThatGoAstrayAreSeenInTraining) {
  BrokenDevice<StepsTooFar> device;
  const TrainingVerdict verdict = check_training(device);
  EXPECT_FALSE(verdict.is_right()) << verdict.stray_nats << " of " << verdict.bound_nats;
}

struct HasNoAttention : ReferenceOps {
  void attention(Out, Out, In, In, In, const AttentionShape&) override {
    throw Error("the library refused");
  }
};

TEST(SelfTest, ALibraryThatIsNotThereIsSaidAndOneThatFailsIsWrong) {
  const auto device = make_reference_device(DType::kF32);
  testing::internal::CaptureStdout();
  EXPECT_TRUE(
      check_library(*device, []() -> std::unique_ptr<Device> { throw Error("cuDNN: not here"); }));
  EXPECT_FALSE(
      check_library(*device, [] { return std::make_unique<BrokenDevice<HasNoAttention>>(); }));
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "\nattention of --device cuda:cudnn: not compared: cuDNN: not here\n"
            "\nattention of --device cuda:cudnn: WRONG: the library refused\n");
}

TEST(SelfTest, ANameThatNoOpHasIsSaid) {
  const auto device = make_reference_device(DType::kF32);
  testing::internal::CaptureStdout();
  EXPECT_THROW(
      run_self_test(
          *device,
          {.filter = "no such op", .ops_only = true, .measure_speed = {}, .make_library = {}}),
      Error);
  testing::internal::GetCapturedStdout();
}

}  // namespace
}  // namespace pg
