// Values, guards, accumulation and repetition of op cases; see op_runner.h.
#include "tests/ops/op_runner.h"

#include <cmath>
#include <set>
#include <sstream>

#include "src/base/check.h"
#include "src/base/hash.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/device/reference/reference_values.h"
#include "tests/ops/op_tensors.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

constexpr uint64_t kPriorSeed = 77;

// Which outputs a run adds to and which it leaves out.
struct Mode {
  std::string name;
  std::set<std::string> accumulated = {};
  std::set<std::string> absent = {};
};

struct RunResult {
  std::map<std::string, RawBytes> outputs;
  Faults faults;
};

bool can_accumulate(const Operand& operand) {
  return operand.role == Role::kOut && operand.kind != Kind::kI32;
}

// What an accumulated output holds before the call.
Values prior_of(const Operand& operand, DType dtype) {
  const CounterRng rng(kPriorSeed, kStreamTest);
  Values prior(static_cast<size_t>(operand.count));
  for (size_t i = 0; i < prior.size(); ++i) prior[i] = rng.normal(i);
  return decode(encode(prior, dtype), dtype);
}

RunResult run_once(Device& device, const OpCase& op_case, const Problem& problem,
                   const Mode& mode) {
  const DType compute = device.compute_dtype();
  std::map<std::string, GuardedTensor> tensors;
  Args args;
  for (const Operand& operand : op_case.operands) {
    if (mode.absent.contains(operand.name)) continue;
    const DType dtype = dtype_of(operand.kind, compute);
    const bool accumulate = mode.accumulated.contains(operand.name);
    RawBytes content(static_cast<size_t>(operand.count) * dtype_bytes(dtype), kPoison);
    if (operand.role != Role::kOut) content = encode(problem.in(operand.name), dtype);
    if (accumulate) content = encode(prior_of(operand, dtype), dtype);
    const GuardedTensor& tensor =
        tensors.try_emplace(operand.name, device, content, operand, dtype).first->second;
    if (operand.role == Role::kIn) {
      args.ins[operand.name] = In{tensor.data(), dtype, operand.layout.stride};
    } else {
      args.outs[operand.name] = Out{tensor.data(), dtype, accumulate, operand.layout.stride};
    }
  }
  op_case.call(device.ops(), args);
  device.synchronize();
  RunResult result;
  for (const Operand& operand : op_case.operands) {
    if (mode.absent.contains(operand.name)) continue;
    const GuardedTensor& tensor = tensors.at(operand.name);
    if (operand.role == Role::kIn && !tensor.is_unchanged()) {
      result.faults.push_back("input " + operand.name + " was changed");
    }
    if (operand.role != Role::kIn) {
      if (!tensor.are_guards_intact()) {
        result.faults.push_back("output " + operand.name + " was written out of bounds");
      }
      result.outputs[operand.name] = tensor.content();
    }
  }
  return result;
}

std::string describe_fault(const std::string& output, size_t index, double got, double want,
                           double bound) {
  std::ostringstream text;
  text.precision(9);
  text << output << "[" << index << "]: got " << got << ", want " << want << ", error "
       << std::abs(got - want) << ", bound " << bound;
  return text.str();
}

// The element that exceeds its bound by the largest ratio, as a fault; none when all are within.
Faults compare_elements(const Operand& operand, const Values& got, const Values& want,
                        const Values& bound) {
  double worst_ratio = 1.0;
  size_t worst = 0, bad_count = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - want[i]);
    if (error <= bound[i]) continue;
    ++bad_count;
    const double ratio = std::isnan(error) ? HUGE_VAL : error / std::max(bound[i], 1e-300);
    if (bad_count == 1 || ratio > worst_ratio) {
      worst_ratio = ratio;
      worst = i;
    }
  }
  if (bad_count == 0) return {};
  return {describe_fault(operand.name, worst, got[worst], want[worst], bound[worst]) + ", " +
          std::to_string(bad_count) + " of " + std::to_string(got.size()) + " elements wrong"};
}

Faults compare_norms(const Operand& operand, const Values& got, const Values& want,
                     const Values& bound) {
  double error = 0.0, storage = 0.0;
  for (size_t i = 0; i < got.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    storage += want[i] * want[i];
  }
  const double limit = bound[0] + kUnitF32 * std::sqrt(storage) + kUnderflow;
  if (std::sqrt(error) <= limit) return {};
  return {
      describe_fault("2-norm of the error of " + operand.name, 0, std::sqrt(error), 0.0, limit)};
}

Faults compare(const Operand& operand, DType compute, const Problem& problem, bool accumulate,
               Values bound, const RawBytes& output) {
  const DType dtype = dtype_of(operand.kind, compute);
  const Values got = decode(output, dtype);
  Values want = problem.want(operand.name);
  if (dtype == DType::kI32) return compare_elements(operand, got, want, Values(want.size(), 0.0));
  if (operand.error_is_of_norm) return compare_norms(operand, got, want, bound);
  const Values prior = accumulate ? prior_of(operand, dtype) : Values(want.size(), 0.0);
  for (size_t i = 0; i < want.size(); ++i) {
    if (bound[i] == 0.0 && !accumulate) {
      // A copy has one right answer: the value rounded to storage.
      want[i] = decode(encode({want[i]}, dtype), dtype)[0];
      continue;
    }
    // The sum with the prior is one more f32 addition before the rounding to storage.
    if (accumulate) bound[i] += kUnitF32 * (std::abs(prior[i]) + std::abs(want[i]));
    if (accumulate && problem.is_by_library) {
      bound[i] += unit_roundoff(dtype) * (std::abs(want[i]) + bound[i]);
    }
    want[i] += prior[i];
    bound[i] += unit_roundoff(dtype) * (std::abs(want[i]) + bound[i]) + kUnderflow;
  }
  return compare_elements(operand, got, want, bound);
}

bool is_by_library(const Device& device, OpId op) {
  if (device.name() == "cuda:cudnn_forward") return op == OpId::kAttention;
  return device.name() == "cuda:cudnn" &&
         (op == OpId::kAttention || op == OpId::kAttentionBackward);
}

std::vector<Mode> modes_of(const OpCase& op_case) {
  std::vector<std::string> outputs;
  bool has_accumulating = false;
  for (const Operand& operand : op_case.operands) {
    if (operand.role == Role::kOut) outputs.push_back(operand.name);
    has_accumulating |= can_accumulate(operand);
  }
  std::vector<Mode> modes = {{"overwrite"}};
  if (has_accumulating) modes.push_back({"accumulate", {outputs.begin(), outputs.end()}});
  if (outputs.size() < 2) return modes;
  modes.push_back({"accumulate " + outputs[0], {outputs[0]}});
  for (const std::string& kept : outputs) {
    Mode mode{"only " + kept};
    for (const std::string& other : outputs) {
      if (other != kept) mode.absent.insert(other);
    }
    modes.push_back(mode);
  }
  return modes;
}

std::string context(Device& device, const OpCase& op_case, const std::string& what) {
  return title(op_case) + " on " + std::string(device.name()) + " (" +
         dtype_name(device.compute_dtype()) + "), " + what + ": ";
}

}  // namespace

Faults check_values(Device& device, const OpCase& op_case) {
  Device* const alone[] = {&device};
  return check_values(alone, op_case);
}

Faults check_values(std::span<Device* const> devices, const OpCase& op_case) {
  if (devices.empty()) return {};
  const DType compute = devices.front()->compute_dtype();
  Problem problem = make_problem(op_case, compute);
  problem.is_by_library = is_by_library(*devices.front(), op_case.op);
  NamedValues bounds;
  for (const Operand& operand : op_case.operands) {
    if (operand.role != Role::kIn) bounds[operand.name] = operand.error(problem);
  }
  Faults faults;
  for (Device* const device : devices) {
    PG_CHECK(device->compute_dtype() == compute, "devices of one type are compared");
    for (const Mode& mode : modes_of(op_case)) {
      const RunResult result = run_once(*device, op_case, problem, mode);
      Faults found = result.faults;
      for (const Operand& operand : op_case.operands) {
        if (!result.outputs.contains(operand.name)) continue;
        const Faults wrong =
            compare(operand, compute, problem, mode.accumulated.contains(operand.name),
                    bounds.at(operand.name), result.outputs.at(operand.name));
        found.insert(found.end(), wrong.begin(), wrong.end());
      }
      for (const std::string& fault : found) {
        faults.push_back(context(*device, op_case, mode.name) + fault);
      }
    }
  }
  return faults;
}

Faults check_repeats(Device& device, const OpCase& op_case, std::span<const int> thread_counts) {
  const Problem problem = make_problem(op_case, device.compute_dtype());
  const int threads_before = thread_count();
  Faults faults;
  for (const Mode& mode : modes_of(op_case)) {
    if (!mode.absent.empty()) continue;
    const RunResult first = run_once(device, op_case, problem, mode);
    const auto expect_same = [&](const std::string& what) {
      if (run_once(device, op_case, problem, mode).outputs == first.outputs) return;
      faults.push_back(context(device, op_case, mode.name) + "other bits " + what);
    };
    expect_same("when run again");
    for (const int threads : thread_counts) {
      set_thread_count(threads);
      expect_same("on " + std::to_string(threads) + " threads");
    }
    set_thread_count(threads_before);
  }
  return faults;
}

std::string hash_outputs(Device& device, const OpCase& op_case) {
  constexpr size_t kDigits = 16;
  const Problem problem = make_problem(op_case, device.compute_dtype());
  RawBytes all;
  for (const Mode& mode : modes_of(op_case)) {
    for (const auto& [name, bytes] : run_once(device, op_case, problem, mode).outputs) {
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
  }
  return hex(sha256(all)).substr(0, kDigits);
}

}  // namespace pg::optest
