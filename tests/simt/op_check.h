// Checks kernels with the cases of their ops (tests/ops), also under every schedule and with tensors
// that are not aligned, which the op test, that runs one of each, does not.
#pragma once
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "src/device/cuda/gpu_runtime.h"
#include "src/device/ops.h"
#include "tests/ops/op_case.h"

namespace pg {

void PrintTo(const OpInfo& op, std::ostream* out);  // by its name, for messages of googletest

namespace kerneltest {

// An op table on a runtime: CudaOps, or one with a bug.
using MakeOps = std::function<std::unique_ptr<Ops>(GpuRuntime& runtime, DType compute)>;
std::unique_ptr<Ops> make_product_ops(GpuRuntime& runtime, DType compute);

// First failure of a case in a compute type, a launch that throws among them; "" when there is none.
// All that check_values() of tests/ops finds, for aligned tensors and one schedule.
std::string check_op_values(const MakeOps& make, DType compute, const optest::OpCase& op_case);
// Outputs whose bits another schedule changes, or tensors that are not aligned.
std::string check_op_schedules(const MakeOps& make, DType compute, const optest::OpCase& op_case);

// At most `count` cases of an op with at most so many elements in all their operands, from the largest
// down, spread over the sizes.
std::vector<optest::OpCase> small_cases(OpId op, int64_t max_elements, size_t count);

}  // namespace kerneltest
}  // namespace pg
