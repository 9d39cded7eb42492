// Runs op cases on a device and says what is wrong, one text per fault; an empty list means that
// all is well. A list and not EXPECT_*, so that the harness itself can be tested on devices that
// are broken on purpose.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "src/device/device.h"
#include "tests/ops/op_case.h"

namespace pg::optest {

using Faults = std::vector<std::string>;

// Values against the reference when outputs are overwritten (from NaN), added to, half of each, and
// computed one at a time; bytes around every tensor, between the rows of views and all inputs
// unchanged.
Faults check_values(Device& device, const OpCase& op_case);
// The same of devices that compute in one type; what they are compared with is computed once.
Faults check_values(std::span<Device* const> devices, const OpCase& op_case);

// Bitwise equal when run again, and on each of these numbers of threads.
inline constexpr int kThreadCounts[] = {1, 2, 3, 4};
Faults check_repeats(Device& device, const OpCase& op_case,
                     std::span<const int> thread_counts = kThreadCounts);

// 16 hex digits of all outputs, overwritten, added to and one at a time.
std::string hash_outputs(Device& device, const OpCase& op_case);

// The gradient rule of a case against finite differences of its op, both by `ops` in double.
Faults check_gradient(Ops& ops, const OpCase& op_case);
// Whether check_gradient has a rule to check and few enough elements to do it.
bool is_gradient_checkable(const OpCase& op_case);

}  // namespace pg::optest
