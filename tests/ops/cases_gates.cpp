// Cases of the gates of models beyond the base stack.
#include <cmath>

#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// 1 / (1 + e^-x): exp, the sum and the quotient round; relative to the sigmoid itself.
constexpr double kSigmoidUnits = kExpUnits + 2;

OpCase swiglu_case(int64_t rows, int64_t dim) {
  return {
      OpId::kSwiglu,
      describe({{"rows", rows}, {"dim", dim}}),
      {input("gate", rows * dim, normal(2.0)), input("up", rows * dim, normal()),
       output("y", rows * dim, units_of_result("y", kSigmoidUnits + 2))},
      [=](Ops& ops, const Args& a) { ops.swiglu(a.out("y"), a.in("gate"), a.in("up"), rows, dim); },
      {{"y"}, {"gate", "up"}, [=](Ops& ops, const Args& a) {
         ops.swiglu_backward(a.out("dgate"), a.out("dup"), a.in("dy"), a.in("gate"), a.in("up"),
                             rows, dim);
       }}};
}

OpCase swiglu_backward_case(int64_t rows, int64_t dim) {
  // dgate = dy up s (1 + g (1 - s)). 1 - s errs by kSigmoidUnits of s and a rounding of at most 1,
  // g times that; the sum with 1 rounds once; s, then three products.
  const ErrorBound dgate_error = [=](const Problem& p) {
    Values bound(index(rows * dim));
    for (size_t i = 0; i < bound.size(); ++i) {
      const double g = p.in("gate")[i], s = sigmoid(g);
      const double factor = 1.0 + std::abs(g) * (1.0 - s);
      const double units = std::abs(g) * (kSigmoidUnits * s + 1) + factor * (kSigmoidUnits + 4);
      bound[i] = kUnitF32 * units * s * std::abs(p.in("dy")[i] * p.in("up")[i]);
    }
    return bound;
  };
  return {OpId::kSwigluBackward,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("dy", rows * dim, normal()), input("gate", rows * dim, normal(2.0)),
           input("up", rows * dim, normal()), output("dgate", rows * dim, dgate_error),
           output("dup", rows * dim, units_of_result("dup", kSigmoidUnits + 2))},
          [=](Ops& ops, const Args& a) {
            ops.swiglu_backward(a.out("dgate"), a.out("dup"), a.in("dy"), a.in("gate"), a.in("up"),
                                rows, dim);
          }};
}

}  // namespace

std::vector<OpCase> gate_cases() {
  std::vector<OpCase> cases;
  const int64_t shapes[][2] = {{1, 1}, {2, 3}, {31, 33}, {3, 64}, {515, 48}, {67, 1000}};
  for (const auto& [rows, dim] : shapes) {
    cases.push_back(swiglu_case(rows, dim));
    cases.push_back(swiglu_backward_case(rows, dim));
    cases.push_back(with_views(swiglu_case(rows, dim), {{"gate", dim}, {"up", dim}}));
    cases.push_back(with_views(swiglu_backward_case(rows, dim),
                               {{"gate", dim}, {"up", dim}, {"dgate", dim}, {"dup", dim}}));
  }
  return cases;
}

}  // namespace pg::optest
