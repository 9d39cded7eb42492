#include "tests/simt/op_check.h"

#include <algorithm>
#include <ostream>

#include "kernels/simt/simt_executor.h"
#include "src/device/cuda/cuda_ops.h"
#include "src/device/host_device.h"
#include "src/device/simt/host_runtime.h"
#include "tests/ops/op_runner.h"
#include "tests/simt/device_memory.h"
#include "tests/simt/kernel_harness.h"

namespace pg {

void PrintTo(const OpInfo& op, std::ostream* out) { *out << op.name; }

namespace kerneltest {
namespace {

constexpr size_t kSkewBytes = 8;  // no multiple of 16, but one of every element

// A kernel that runs past its last row, by less than a block of them, overwrites nothing else.
constexpr size_t kMarginBytes = size_t{1} << 16;

// Memory that starts `skew` bytes behind a 256-byte boundary.
class SkewedRuntime final : public HostRuntime {
 public:
  explicit SkewedRuntime(size_t skew) : skew_(skew) {}
  void* allocate(size_t bytes) override {
    const size_t all = kMarginBytes + skew_ + bytes + kMarginBytes;
    void* const memory = static_cast<char*>(HostRuntime::allocate(all)) + kMarginBytes + skew_;
    note_allocated(memory, bytes);
    return memory;
  }
  void release(void* memory) override {
    note_released(memory);
    HostRuntime::release(static_cast<char*>(memory) - skew_ - kMarginBytes);
  }

 private:
  size_t skew_;
};

class KernelDevice final : public HostDevice {
 public:
  KernelDevice(const MakeOps& make, DType compute, size_t skew)
      : HostDevice("kernels", compute), runtime_(skew), ops_(make(runtime_, compute)) {}

  Ops& ops() override { return *ops_; }
  void* allocate(size_t bytes) override { return runtime_.allocate(bytes); }
  void release(void* memory) override { runtime_.release(memory); }
  DevicePeak measure_peak() override { return {}; }
  double measure_matmul() override { return 0; }

 private:
  SkewedRuntime runtime_;
  std::unique_ptr<Ops> ops_;
};

int64_t count_elements(const optest::OpCase& op_case) {
  int64_t elements = 0;
  for (const optest::Operand& operand : op_case.operands) elements += operand.count;
  return elements;
}

}  // namespace

std::unique_ptr<Ops> make_product_ops(GpuRuntime& runtime, DType compute) {
  return std::make_unique<CudaOps>(runtime, compute);
}

std::string check_op_values(const MakeOps& make, DType compute, const optest::OpCase& op_case) {
  KernelDevice device(make, compute, 0);
  try {
    const optest::Faults faults = optest::check_values(device, op_case);
    return faults.empty() ? "" : faults.front();
  } catch (const simt::LaunchError& error) {
    return error.what();
  }
}

std::string check_op_schedules(const MakeOps& make, DType compute, const optest::OpCase& op_case) {
  KernelDevice aligned(make, compute, 0), skewed(make, compute, kSkewBytes);
  std::string bits;
  return for_each_schedule([&]() -> std::string {
    if (bits.empty()) bits = optest::hash_outputs(aligned, op_case);
    if (optest::hash_outputs(aligned, op_case) != bits) return optest::title(op_case);
    if (optest::hash_outputs(skewed, op_case) == bits) return "";
    return optest::title(op_case) + ", misaligned";
  });
}

std::vector<optest::OpCase> small_cases(OpId op, int64_t max_elements, size_t count) {
  std::vector<optest::OpCase> cases;
  for (const optest::OpCase& op_case : optest::all_cases()) {
    if (op_case.op == op && count_elements(op_case) <= max_elements) cases.push_back(op_case);
  }
  std::stable_sort(cases.begin(), cases.end(),
                   [](const optest::OpCase& a, const optest::OpCase& b) {
                     return count_elements(a) > count_elements(b);
                   });
  std::vector<optest::OpCase> spread;
  const size_t picked = std::min(count, cases.size());
  for (size_t i = 0; i < picked; ++i) spread.push_back(cases[i * cases.size() / picked]);
  return spread;
}

}  // namespace kerneltest
}  // namespace pg
