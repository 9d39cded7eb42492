// Builders of cases, and problems: cases with numbers in them.
#include "tests/ops/op_case.h"

#include <algorithm>
#include <cmath>

#include "src/base/hash.h"
#include "src/base/rng.h"
#include "src/device/reference/reference_ops.h"
#include "src/device/reference/reference_values.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

uint64_t hash_text(const std::string& text) {
  return fnv1a({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::vector<OpCase> join(std::initializer_list<std::vector<OpCase>> families) {
  std::vector<OpCase> all;
  for (const auto& family : families) all.insert(all.end(), family.begin(), family.end());
  return all;
}

// Results of the reference in double, from the inputs given.
NamedValues run_reference(const OpCase& op_case, const NamedValues& inputs) {
  Args args;
  NamedValues results;
  std::map<std::string, std::vector<int32_t>> ids;
  for (const Operand& operand : op_case.operands) {
    const size_t count = static_cast<size_t>(operand.count);
    if (operand.kind == Kind::kI32) {
      std::vector<int32_t>& v = ids[operand.name];
      v.resize(count);
      if (operand.role == Role::kIn) {
        const Values& values = inputs.at(operand.name);
        std::transform(values.begin(), values.end(), v.begin(),
                       [](double x) { return static_cast<int32_t>(x); });
        args.ins[operand.name] = In{v.data(), DType::kI32};
      } else {
        args.outs[operand.name] = Out{v.data(), DType::kI32, false};
      }
    } else if (operand.role == Role::kIn) {
      args.ins[operand.name] = in_of(inputs.at(operand.name));
    } else {
      Values& v = results[operand.name];
      v = operand.role == Role::kInOut ? inputs.at(operand.name) : Values(count, 0.0);
      args.outs[operand.name] = out_of(v);
    }
  }
  ReferenceOps ops;
  op_case.call(ops, args);
  for (const Operand& operand : op_case.operands) {
    if (operand.kind != Kind::kI32 || operand.role == Role::kIn) continue;
    results[operand.name].assign(ids[operand.name].begin(), ids[operand.name].end());
  }
  return results;
}

NamedValues absolute(const OpCase& op_case, NamedValues inputs) {
  for (const Operand& operand : op_case.operands) {
    if (operand.kind == Kind::kI32 || operand.role == Role::kOut) continue;
    for (double& v : inputs.at(operand.name)) v = std::abs(v);
  }
  return inputs;
}

Values draw(int64_t count, uint64_t seed,
            const std::function<double(const CounterRng&, uint64_t)>& f) {
  const CounterRng rng(seed, kStreamTest);
  Values values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = f(rng, i);
  return values;
}

}  // namespace

In Args::in(const std::string& name) const {
  const auto found = ins.find(name);
  return found == ins.end() ? In{} : found->second;
}

Out Args::out(const std::string& name) const {
  const auto found = outs.find(name);
  return found == outs.end() ? Out{} : found->second;
}

std::string describe(std::initializer_list<std::pair<const char*, int64_t>> sizes) {
  std::string text;
  for (const auto& [name, size] : sizes) {
    if (!text.empty()) text += ' ';
    text.append(name).append("=").append(std::to_string(size));
  }
  return text;
}

std::string describe_first(int64_t first) {
  return first > 0 ? " first=" + std::to_string(first) : "";
}

In without_front(In x, int64_t elements) {
  x.data = static_cast<const char*>(x.data) + elements * static_cast<int64_t>(dtype_bytes(x.dtype));
  return x;
}

Operand input(std::string name, int64_t count, Fill fill) {
  return {std::move(name), Role::kIn, Kind::kActivation, count, std::move(fill), {}};
}
Operand input_f32(std::string name, int64_t count, Fill fill) {
  return {std::move(name), Role::kIn, Kind::kF32, count, std::move(fill), {}};
}
Operand ids(std::string name, int64_t count, int64_t vocab) {
  return {std::move(name), Role::kIn, Kind::kI32, count, ids_below(vocab), {}};
}
Operand output(std::string name, int64_t count, ErrorBound error) {
  return {std::move(name), Role::kOut, Kind::kActivation, count, {}, std::move(error)};
}
Operand output_f32(std::string name, int64_t count, ErrorBound error) {
  return {std::move(name), Role::kOut, Kind::kF32, count, {}, std::move(error)};
}
Operand in_out(std::string name, int64_t count, Fill fill, ErrorBound error) {
  return {std::move(name), Role::kInOut, Kind::kF32, count, std::move(fill), std::move(error)};
}

OpCase without(OpCase op_case, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::erase_if(op_case.operands, [&](const Operand& o) { return o.name == name; });
    std::erase(op_case.gradient.inputs, name);
    op_case.shape += std::string(" no ") + name;
  }
  return op_case;
}

OpCase without_gradient(OpCase op_case) {
  op_case.gradient = {};
  return op_case;
}

OpCase with_views(OpCase op_case,
                  std::initializer_list<std::pair<const char*, int64_t>> name_and_cols) {
  constexpr int64_t kGap = 3;  // odd, so that rows begin at every alignment
  for (const auto& [name, cols] : name_and_cols) {
    const auto is_named = [&, n = name](const Operand& o) { return o.name == n; };
    const auto found = std::find_if(op_case.operands.begin(), op_case.operands.end(), is_named);
    PG_CHECK(found != op_case.operands.end(), name);
    PG_CHECK(cols > 0 && found->count % cols == 0, name);
    found->layout = {cols, cols + kGap};
    op_case.shape += std::string(" view ") + name;
  }
  return op_case;
}

Fill normal(double scale) {
  return [scale](const Problem&, int64_t count, uint64_t seed) {
    return draw(count, seed,
                [&](const CounterRng& rng, uint64_t i) { return scale * rng.normal(i); });
  };
}

Fill normal_away_from_zero() {
  return [](const Problem&, int64_t count, uint64_t seed) {
    return draw(count, seed, [](const CounterRng& rng, uint64_t i) {
      const double v = rng.normal(i);
      return v + std::copysign(0.1, v);
    });
  };
}

Fill squares_of_normal(double scale) {
  return [scale](const Problem&, int64_t count, uint64_t seed) {
    return draw(count, seed, [&](const CounterRng& rng, uint64_t i) {
      return scale * std::pow(rng.normal(i), 2);
    });
  };
}

Fill normal_with_zero_rows(int64_t row) {
  return [row](const Problem&, int64_t count, uint64_t seed) {
    return draw(count, seed, [&](const CounterRng& rng, uint64_t i) {
      return static_cast<int64_t>(i) / row % 3 == 1 ? 0.0 : rng.normal(i);
    });
  };
}

Values packed_starts(int64_t batch, int64_t tokens, const std::vector<int64_t>& begins) {
  Values starts(static_cast<size_t>(batch * tokens), 0.0);
  for (int64_t i = 0; i < batch * tokens; ++i) {
    for (const int64_t begin : begins) {
      const int64_t of_row = begin + i / tokens;
      if (i % tokens >= of_row) starts[static_cast<size_t>(i)] = static_cast<double>(of_row);
    }
  }
  return starts;
}

Operand packed_operand(Values starts) {
  Operand operand;
  operand.name = "starts";
  operand.kind = Kind::kI32;
  operand.count = std::ssize(starts);
  operand.fill = fixed(std::move(starts));
  return operand;
}

std::vector<int32_t> ids_of(const Values& values) { return {values.begin(), values.end()}; }

Fill fixed(Values values) {
  return [values = std::move(values)](const Problem&, int64_t, uint64_t) { return values; };
}

Fill derived(std::function<Values(const Problem&)> from) {
  return [from = std::move(from)](const Problem& p, int64_t, uint64_t) { return from(p); };
}

Fill ids_below(int64_t vocab) {
  return [vocab](const Problem&, int64_t count, uint64_t seed) {
    return draw(count, seed, [&](const CounterRng& rng, uint64_t i) {
      return static_cast<double>(rng.below(i, static_cast<uint64_t>(vocab)));
    });
  };
}

DType dtype_of(Kind kind, DType compute) {
  if (kind == Kind::kI32) return DType::kI32;
  if (kind == Kind::kF64 || compute == DType::kF64) return DType::kF64;
  return kind == Kind::kF32 ? DType::kF32 : compute;
}

std::string title(const OpCase& op_case) {
  return std::string(op_info(op_case.op).name) + " [" + op_case.shape + "]";
}

Problem make_problem(const OpCase& op_case, DType compute) {
  Problem problem;
  problem.compute_unit = unit_roundoff(compute);
  for (const Operand& operand : op_case.operands) {
    if (operand.role == Role::kOut) continue;
    const uint64_t seed = hash_text(title(op_case) + operand.name);
    const Values values = operand.fill(problem, operand.count, seed);
    PG_CHECK(static_cast<int64_t>(values.size()) == operand.count, operand.name.c_str());
    problem.inputs[operand.name] =
        operand.kind == Kind::kI32 ? values
                                   : reference::rounded_to(dtype_of(operand.kind, compute), values);
  }
  problem.solve = [op_case](const NamedValues& inputs, bool with_absolute_values) {
    return run_reference(op_case, with_absolute_values ? absolute(op_case, inputs) : inputs);
  };
  return problem;
}

const std::vector<OpCase>& all_cases() {
  static const std::vector<OpCase> cases =
      join({linear_cases(), elementwise_cases(), gate_cases(), head_gate_cases(), layer_cases(),
            norm_cases(), attention_cases(), loss_cases(), optimizer_cases()});
  return cases;
}

const std::vector<OpCase>& record_cases() {
  static const std::vector<OpCase> cases = join(
      {linear_record_cases(), elementwise_record_cases(), gate_record_cases(), norm_record_cases(),
       attention_record_cases(), loss_record_cases(), optimizer_record_cases()});
  return cases;
}

}  // namespace pg::optest
