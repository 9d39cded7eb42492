// Gradient rules against finite differences, in double.
#include <cmath>
#include <sstream>

#include "src/base/rng.h"
#include "tests/ops/op_runner.h"

namespace pg::optest {
namespace {

constexpr uint64_t kCotangentSeed = 99;
// Each element of each input costs four forward passes.
constexpr int64_t kMaxInputElements = 700;
// 4-point differences err by h^4 f'''''/30, about 1e-12 here, and by rounding: 1e-16 / h = 1e-13.
constexpr double kStep = 1e-3;
constexpr double kRelativeTolerance = 1e-8;

// An operand in f64 as it lies in memory: where it is a view, NaN fills the gaps.
struct Tensor {
  Tensor() = default;
  Tensor(const Values& values, const Layout& where)
      : layout(where),
        count(static_cast<int64_t>(values.size())),
        memory(static_cast<size_t>(where.extent(count)), std::nan("")) {
    for (int64_t i = 0; i < count; ++i) at(i) = values[static_cast<size_t>(i)];
  }
  double& at(int64_t i) { return memory[static_cast<size_t>(layout.position(i))]; }
  double at(int64_t i) const { return memory[static_cast<size_t>(layout.position(i))]; }

  Layout layout;
  int64_t count = 0;
  Values memory;
};

// All operands of a problem on the host, with the tensors that the op and its rule take.
struct Workspace {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::vector<int32_t>> ids;
  Args args;

  void add_in(const std::string& name, const Values& values, const Layout& layout) {
    Tensor& tensor = tensors[name] = Tensor(values, layout);
    args.ins[name] = In{tensor.memory.data(), DType::kF64, layout.stride};
  }
  void add_ids(const std::string& name, const Values& v) {
    for (const double id : v) ids[name].push_back(static_cast<int32_t>(id));
    args.ins[name] = In{ids[name].data(), DType::kI32};
  }
  void add_out(const std::string& name, int64_t count, const Layout& layout) {
    Tensor& tensor = tensors[name] = Tensor(Values(static_cast<size_t>(count), 0.0), layout);
    args.outs[name] = Out{tensor.memory.data(), DType::kF64, false, layout.stride};
  }
};

// sum over outputs of cotangent . output
double contract(const Workspace& forward, const NamedValues& cotangents) {
  double total = 0.0;
  for (const auto& [output, cotangent] : cotangents) {
    const Tensor& y = forward.tensors.at(output);
    for (int64_t i = 0; i < y.count; ++i) total += cotangent[static_cast<size_t>(i)] * y.at(i);
  }
  return total;
}

NamedValues draw_cotangents(const OpCase& op_case, const Workspace& forward) {
  const CounterRng rng(kCotangentSeed, kStreamTest);
  NamedValues cotangents;
  uint64_t next = 0;
  for (const std::string& output : op_case.gradient.outputs) {
    Values& cotangent = cotangents[output];
    const Tensor& y = forward.tensors.at(output);
    cotangent = Values(static_cast<size_t>(y.count), kConstantCotangent);
    for (double& v : cotangent) {
      if (!op_case.gradient.is_cotangent_constant) v = rng.normal(next++);
    }
  }
  return cotangents;
}

}  // namespace

bool is_gradient_checkable(const OpCase& op_case) {
  if (!op_case.gradient.call) return false;
  int64_t elements = 0;
  for (const Operand& operand : op_case.operands) {
    if (operand.role == Role::kIn) elements += operand.count;
  }
  return elements <= kMaxInputElements;
}

Faults check_gradient(Ops& ops, const OpCase& op_case) {
  const Problem problem = make_problem(op_case, DType::kF64);
  Workspace forward, backward;
  for (const Operand& operand : op_case.operands) {
    if (operand.role == Role::kOut) {
      forward.add_out(operand.name, operand.count, operand.layout);
    } else if (operand.kind == Kind::kI32) {
      forward.add_ids(operand.name, problem.in(operand.name));
    } else {
      forward.add_in(operand.name, problem.in(operand.name), operand.layout);
    }
  }
  op_case.call(ops, forward.args);

  backward.args.ins = forward.args.ins;
  for (const auto& [name, out] : forward.args.outs) {
    // A copy: finite differences change the original.
    const Tensor& copy = backward.tensors[name] = forward.tensors.at(name);
    backward.args.ins[name] = In{copy.memory.data(), DType::kF64, out.stride};
  }
  const NamedValues cotangents = draw_cotangents(op_case, forward);
  for (const auto& [output, cotangent] : cotangents) {
    backward.add_in("d" + output, cotangent, forward.tensors.at(output).layout);
  }
  for (const std::string& input : op_case.gradient.inputs) {
    const Tensor& x = forward.tensors.at(input);
    backward.add_out("d" + input, x.count, x.layout);
  }
  op_case.gradient.call(ops, backward.args);

  Faults faults;
  for (const std::string& input : op_case.gradient.inputs) {
    Tensor& x = forward.tensors.at(input);
    const Tensor& gradient = backward.tensors.at("d" + input);
    const auto at_offset = [&](int64_t i, double offset) {
      const double kept = x.at(i);
      x.at(i) = kept + offset;
      op_case.call(ops, forward.args);
      x.at(i) = kept;
      return contract(forward, cotangents);
    };
    double norm = 0.0, worst_error = 0.0, worst_want = 0.0;
    int64_t worst = 0;
    for (int64_t i = 0; i < x.count; ++i) {
      const double near = at_offset(i, kStep) - at_offset(i, -kStep);
      const double far = at_offset(i, 2 * kStep) - at_offset(i, -2 * kStep);
      const double want = (8.0 * near - far) / (12.0 * kStep);
      norm += want * want;
      const double error = std::abs(gradient.at(i) - want);
      if (error > worst_error || std::isnan(error)) {
        worst_error = error;
        worst_want = want;
        worst = i;
      }
    }
    if (worst_error <= kRelativeTolerance * (std::sqrt(norm) + 1.0)) continue;
    std::ostringstream text;
    text << title(op_case) << ": d" << input << "[" << worst << "]: got " << gradient.at(worst)
         << ", finite differences give " << worst_want << ", error " << worst_error << ", norm "
         << std::sqrt(norm);
    faults.push_back(text.str());
  }
  return faults;
}

}  // namespace pg::optest
