// Every op, on every device: the reference is the specification, the case tables say what to try. A
// new device needs one line in kHostDevices; a GPU is tested where there is one.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <ostream>
#include <set>

#include "src/base/error.h"
#include "src/device/reference/reference_device.h"
#include "src/device/registry/load_cuda.h"
#include "src/device/registry/make_device.h"
#include "tests/ops/op_runner.h"

namespace pg {

void PrintTo(const OpInfo& op, std::ostream* out) { *out << op.name; }

namespace optest {
namespace {

struct DeviceUnderTest {
  const char* name;  // in test names: letters, digits and _
  std::unique_ptr<Device> (*make)();
  bool has_threads = false;  // that set_thread_count() changes
};

// The reference is among them: rounded to storage once, it must meet every bound.
const auto kHostDevices = std::to_array<DeviceUnderTest>({
    {"reference_f32", [] { return make_reference_device(DType::kF32); }},
    {"reference_bf16", [] { return make_reference_device(DType::kBF16); }},
    {"cpu_exact", [] { return make_device("cpu:exact"); }, true},
    {"cpu_bf16", [] { return make_device("cpu:bf16"); }, true},
    {"simt", [] { return make_device("simt"); }},
    {"simt_f32", [] { return make_device("simt:f32"); }},
});

bool has_device(const char* name) {
  try {
    make_device(name);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<DeviceUnderTest> devices_under_test() {
  std::vector<DeviceUnderTest> devices(kHostDevices.begin(), kHostDevices.end());
  if (why_no_cuda().empty()) {
    devices.push_back({"cuda", [] { return make_device("cuda"); }});
    devices.push_back({"cuda_f32", [] { return make_device("cuda:f32"); }});
    if (has_device("cuda:cudnn")) {
      devices.push_back({"cuda_cudnn", [] { return make_device("cuda:cudnn"); }});
    }
  }
  return devices;
}

void PrintTo(const DeviceUnderTest& device, std::ostream* out) { *out << device.name; }

std::vector<OpCase> cases_of(OpId op) {
  std::vector<OpCase> cases;
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op == op) cases.push_back(op_case);
  }
  return cases;
}

void expect_no_faults(const Faults& faults) {
  for (const std::string& fault : faults) ADD_FAILURE() << fault;
}

using OpOnDevice = std::tuple<DeviceUnderTest, OpInfo>;
class Ops : public testing::TestWithParam<OpOnDevice> {
 protected:
  std::unique_ptr<Device> make() const { return std::get<0>(GetParam()).make(); }
  std::vector<OpCase> cases() const { return cases_of(std::get<1>(GetParam()).id); }
};

TEST_P(Ops, ValueMatchesReference) {
  const std::unique_ptr<Device> device = make();
  for (const OpCase& op_case : cases()) expect_no_faults(check_values(*device, op_case));
}

TEST_P(Ops, SameBitsOnRepeatAndForAnyThreadCount) {
  const std::unique_ptr<Device> device = make();
  std::span<const int> thread_counts = kThreadCounts;
  if (!std::get<0>(GetParam()).has_threads) thread_counts = {};
  for (const OpCase& op_case : cases()) {
    expect_no_faults(check_repeats(*device, op_case, thread_counts));
  }
}

// What a share of the peak is a share of.
TEST(DevicePeak, IsMeasuredOnEveryDevice) {
  for (const DeviceUnderTest& under_test : kHostDevices) {
    const std::unique_ptr<Device> device = under_test.make();
    const DevicePeak peak = device->measure_peak();
    EXPECT_GT(peak.matmul_flops_per_s, 1e6) << under_test.name;
    EXPECT_GT(peak.copy_bytes_per_s, 1e6) << under_test.name;
    EXPECT_GT(device->measure_matmul(), 1e6) << under_test.name;
    EXPECT_NE(peak.description.find("thread"), std::string::npos) << under_test.name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, Ops, testing::Combine(testing::ValuesIn(devices_under_test()), testing::ValuesIn(kOps)),
    [](const testing::TestParamInfo<OpOnDevice>& info) {
      return std::string(std::get<1>(info.param).name) + "_on_" + std::get<0>(info.param).name;
    });

class OpGradients : public testing::TestWithParam<OpInfo> {};

TEST_P(OpGradients, MatchFiniteDifferences) {
  const std::unique_ptr<Device> device = make_reference_device(DType::kF64);
  int checked = 0;
  for (const OpCase& op_case : cases_of(GetParam().id)) {
    if (!is_gradient_checkable(op_case)) continue;
    ++checked;
    expect_no_faults(check_gradient(device->ops(), op_case));
  }
  EXPECT_GT(checked, 0) << "no case small enough, or none with a gradient rule";
}

std::vector<OpInfo> differentiable_ops() {
  std::vector<OpInfo> ops;
  for (const OpInfo& op : kOps) {
    if (op.gradient.exists()) ops.push_back(op);
  }
  return ops;
}

INSTANTIATE_TEST_SUITE_P(Each, OpGradients, testing::ValuesIn(differentiable_ops()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(OpCases, EveryOpHasSeveral) {
  for (const OpInfo& op : kOps) EXPECT_GE(cases_of(op.id).size(), 3u) << op.name;
}

// What the list says of integers, the cases show.
TEST(OpCases, OnlyOpsOfIntegersSayThatTheyNeedNoGradientForIt) {
  for (const OpCase& op_case : all_cases()) {
    const OpGradient gradient = op_info(op_case.op).gradient;
    const bool says_integers = !gradient.exists() && gradient.reason() == NoGradient::kIntegers;
    for (const Operand& operand : op_case.operands) {
      if (operand.role == Role::kIn) continue;
      EXPECT_EQ(operand.kind == Kind::kI32, says_integers) << title(op_case);
    }
  }
}

// Inputs are drawn from the title's hash, and faults are told apart by it.
TEST(OpCases, HaveDistinctTitles) {
  std::set<std::string> titles;
  for (const OpCase& op_case : all_cases()) {
    EXPECT_TRUE(titles.insert(title(op_case)).second) << title(op_case);
  }
}

}  // namespace
}  // namespace optest
}  // namespace pg
