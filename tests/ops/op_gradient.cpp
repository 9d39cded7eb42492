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

// All operands of a problem in f64 on the host, with the tensors that the op and its rule take.
struct Workspace {
  NamedValues values;
  std::map<std::string, std::vector<int32_t>> ids;
  Args args;

  void add_in(const std::string& name, const Values& v) {
    values[name] = v;
    args.ins[name] = in_of(values[name]);
  }
  void add_ids(const std::string& name, const Values& v) {
    for (const double id : v) ids[name].push_back(static_cast<int32_t>(id));
    args.ins[name] = In{ids[name].data(), DType::kI32};
  }
  void add_out(const std::string& name, size_t count) {
    values[name] = Values(count, 0.0);
    args.outs[name] = out_of(values[name]);
  }
};

// sum over outputs of cotangent . output
double contract(const Workspace& forward, const NamedValues& cotangents) {
  double total = 0.0;
  for (const auto& [output, cotangent] : cotangents) {
    const Values& y = forward.values.at(output);
    for (size_t i = 0; i < y.size(); ++i) total += cotangent[i] * y[i];
  }
  return total;
}

NamedValues draw_cotangents(const OpCase& op_case, const Workspace& forward) {
  const CounterRng rng(kCotangentSeed, kStreamTest);
  NamedValues cotangents;
  uint64_t next = 0;
  for (const std::string& output : op_case.gradient.outputs) {
    Values& cotangent = cotangents[output];
    cotangent = Values(forward.values.at(output).size(), kConstantCotangent);
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
    const size_t count = static_cast<size_t>(operand.count);
    if (operand.role == Role::kOut) {
      forward.add_out(operand.name, count);
    } else if (operand.kind == Kind::kI32) {
      forward.add_ids(operand.name, problem.in(operand.name));
    } else {
      forward.add_in(operand.name, problem.in(operand.name));
    }
  }
  op_case.call(ops, forward.args);

  backward.args.ins = forward.args.ins;
  for (const auto& [name, out] : forward.args.outs) {
    backward.add_in(name,
                    forward.values.at(name));  // a copy: finite differences change the original
  }
  const NamedValues cotangents = draw_cotangents(op_case, forward);
  for (const auto& [output, cotangent] : cotangents) backward.add_in("d" + output, cotangent);
  for (const std::string& input : op_case.gradient.inputs) {
    backward.add_out("d" + input, forward.values.at(input).size());
  }
  op_case.gradient.call(ops, backward.args);

  Faults faults;
  for (const std::string& input : op_case.gradient.inputs) {
    Values& x = forward.values.at(input);
    const Values& gradient = backward.values.at("d" + input);
    const auto at_offset = [&](size_t i, double offset) {
      const double kept = x[i];
      x[i] = kept + offset;
      op_case.call(ops, forward.args);
      x[i] = kept;
      return contract(forward, cotangents);
    };
    double norm = 0.0, worst_error = 0.0, worst_want = 0.0;
    size_t worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double near = at_offset(i, kStep) - at_offset(i, -kStep);
      const double far = at_offset(i, 2 * kStep) - at_offset(i, -2 * kStep);
      const double want = (8.0 * near - far) / (12.0 * kStep);
      norm += want * want;
      const double error = std::abs(gradient[i] - want);
      if (error > worst_error || std::isnan(error)) {
        worst_error = error;
        worst_want = want;
        worst = i;
      }
    }
    if (worst_error <= kRelativeTolerance * (std::sqrt(norm) + 1.0)) continue;
    std::ostringstream text;
    text << title(op_case) << ": d" << input << "[" << worst << "]: got " << gradient[worst]
         << ", finite differences give " << worst_want << ", error " << worst_error << ", norm "
         << std::sqrt(norm);
    faults.push_back(text.str());
  }
  return faults;
}

}  // namespace pg::optest
