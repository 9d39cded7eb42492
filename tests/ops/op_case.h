// A test case of an op: named operands, how to call it, and how large an error may be. Everything
// else (storage types, guards, accumulation, repetition, threads, gradients) is the runner's work,
// so a new op needs one entry in one cases_*.cpp, and a new device one name in ops_test.cpp.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "src/device/op_table/op_list.h"
#include "src/device/ops.h"

namespace pg::optest {

using Values = std::vector<double>;
using NamedValues = std::map<std::string, Values>;

// kActivation is stored in the device's compute type; on the f64 reference all kinds but kI32 are
// f64.
enum class Kind { kActivation, kF32, kF64, kI32 };
enum class Role { kIn, kOut, kInOut };

// One case made concrete for a compute type: inputs as the device will see them (rounded to
// storage) and, worked out when asked for, what the reference makes of them in double.
struct Problem {
  using Solve = std::function<NamedValues(const NamedValues& inputs, bool with_absolute_values)>;

  NamedValues inputs;       // by operand; for kInOut the content before the call
  double compute_unit = 0;  // unit roundoff of the compute type
  // Of attention: it stores each query head's part of a key head's gradient, and what it adds to an
  // output, in the compute type first.
  bool is_by_library = false;
  Solve solve;

  const Values& in(const std::string& name) const { return inputs.at(name); }
  bool has(const std::string& name) const { return inputs.contains(name); }
  // The result, unrounded.
  const Values& want(const std::string& name) const {
    if (wants_.empty()) wants_ = solve(inputs, false);
    return wants_.at(name);
  }
  // The result from the absolute values of all real inputs: for a sum of products, the sum of the
  // absolute values of its terms.
  const Values& magnitude(const std::string& name) const {
    if (magnitudes_.empty()) magnitudes_ = solve(inputs, true);
    return magnitudes_.at(name);
  }

 private:
  mutable NamedValues wants_, magnitudes_;
};

// Where the elements of an operand lie: side by side, or, of a view, in rows of a wider tensor.
struct Layout {
  int64_t cols = 0, stride = 0;  // of a view; a stride of 0 stands for dense

  int64_t position(int64_t i) const { return stride == 0 ? i : i / cols * stride + i % cols; }
  // Elements that so many take up, the gap behind the last row included.
  int64_t extent(int64_t count) const { return stride == 0 ? count : count / cols * stride; }
};

// Values of an input, given the operands before it.
using Fill = std::function<Values(const Problem& so_far, int64_t count, uint64_t seed)>;
// How far each element of an output may be from `want` before it is rounded to storage.
using ErrorBound = std::function<Values(const Problem& problem)>;

struct Operand {
  std::string name;
  Role role = Role::kIn;
  Kind kind = Kind::kActivation;
  int64_t count = 0;
  Fill fill;                      // kIn, kInOut
  ErrorBound error;               // kOut, kInOut
  bool error_is_of_norm = false;  // error[0] bounds the 2-norm of the output's error instead
  Layout layout = {};
};

// The operands as tensors, by name; one that the case does not list is absent (an empty In or Out).
class Args {
 public:
  In in(const std::string& name) const;
  Out out(const std::string& name) const;
  std::map<std::string, In> ins;
  std::map<std::string, Out> outs;
};

// How to check the gradient of an op: for input x the rule writes "dx", for output y it reads "dy";
// it may read the op's inputs and outputs too.
struct GradientRule {
  // A cotangent or gradient is a view where its operand is one.
  std::vector<std::string> outputs;  // those with a cotangent
  std::vector<std::string> inputs;   // those with a gradient
  std::function<void(Ops&, const Args&)> call;
  bool is_cotangent_constant = false;  // all elements kConstantCotangent
};
constexpr float kConstantCotangent = 0.75f;

struct OpCase {
  OpId op;
  std::string shape;
  std::vector<Operand> operands;
  std::function<void(Ops&, const Args&)> call;
  GradientRule gradient = {};  // empty call: not checked
};

// ---- building cases ----

std::string describe(std::initializer_list<std::pair<const char*, int64_t>> sizes);
std::string describe_first(int64_t first);  // of a case that is not of all rows; "" for 0
// Where the sequences of packed rows begin: of each of `batch` rows of T tokens at 0 and, in the b-th,
// b further on than at each of `begins`. [batch * T]
Values packed_starts(int64_t batch, int64_t tokens, const std::vector<int64_t>& begins);
// Packed rows, "starts" [batch * T] being an operand.
Operand packed_operand(Values starts);
// The same as tensors, for calls of the reference.
std::vector<int32_t> ids_of(const Values& values);
// x behind its first so many elements.
In without_front(In x, int64_t elements);

Operand input(std::string name, int64_t count, Fill fill);
Operand input_f32(std::string name, int64_t count, Fill fill);
Operand ids(std::string name, int64_t count, int64_t vocab);
Operand output(std::string name, int64_t count, ErrorBound error);
Operand output_f32(std::string name, int64_t count, ErrorBound error);
Operand in_out(std::string name, int64_t count, Fill fill, ErrorBound error);  // f32
// Without the operands of these names: optional ones that are absent, outputs that are not
// computed.
OpCase without(OpCase op_case, std::initializer_list<const char*> names);

OpCase without_gradient(OpCase op_case);

// With operands as views of wider tensors: names and the columns of their rows.
OpCase with_views(OpCase op_case,
                  std::initializer_list<std::pair<const char*, int64_t>> name_and_cols);

Fill normal(double scale = 1.0);
// Normal, but at least 0.1 away from 0: for functions with a kink there.
Fill normal_away_from_zero();
Fill squares_of_normal(double scale);
// Normal, with every third run of `row` elements all zero.
Fill normal_with_zero_rows(int64_t row);
Fill fixed(Values values);
Fill derived(std::function<Values(const Problem&)> from);
Fill ids_below(int64_t vocab);

// Doubles as tensors, for calls of the reference from fills and bounds.
inline In in_of(const Values& v) { return {v.data(), DType::kF64}; }
inline Out out_of(Values& v) { return {v.data(), DType::kF64, false}; }

// ---- using cases ----

// Every case of every op: small, at and around the edges of tiles.
const std::vector<OpCase>& all_cases();
// Of the sizes of a record's step, of the ops that most of it is. Not among all_cases(): the reference
// takes a second over some.
const std::vector<OpCase>& record_cases();
Problem make_problem(const OpCase& op_case, DType compute);
DType dtype_of(Kind kind, DType compute);
std::string title(const OpCase& op_case);

std::vector<OpCase> linear_cases();
std::vector<OpCase> elementwise_cases();
std::vector<OpCase> gate_cases();
std::vector<OpCase> head_gate_cases();
std::vector<OpCase> layer_cases();
std::vector<OpCase> norm_cases();
std::vector<OpCase> attention_cases();
std::vector<OpCase> loss_cases();
std::vector<OpCase> optimizer_cases();
std::vector<OpCase> linear_record_cases();
std::vector<OpCase> elementwise_record_cases();
std::vector<OpCase> gate_record_cases();
std::vector<OpCase> norm_record_cases();
std::vector<OpCase> attention_record_cases();
std::vector<OpCase> loss_record_cases();
std::vector<OpCase> optimizer_record_cases();

}  // namespace pg::optest
