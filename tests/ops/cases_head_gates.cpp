// Cases of the gates on what attention's heads give.
#include <cmath>

#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The sigmoid of a head's gate, and of how many units of it that may err: exp, the sum and the
// quotient of the sigmoid, which errs by at most as much as its argument; a product a term, their sum,
// its scale and the bias.
struct HeadGate {
  double g = 0, units = 0;
};
HeadGate head_gate(const Problem& p, const HeadGateShape& s, int64_t row, int64_t head) {
  double product = 0.0, size = 0.0;
  for (int64_t i = 0; i < s.width; ++i) {
    const double term = p.in("w")[index(head * s.width + i)] * p.in("n")[index(row * s.dim + i)];
    product += term;
    size += std::abs(term);
  }
  const auto scale = static_cast<double>(s.scale);
  const double bias = p.has("b") ? p.in("b")[index(head)] : 0.0;
  return {sigmoid(scale * product + bias),
          kExpUnits + 2 + (sum_units(s.width) + 2) * scale * size + std::abs(bias)};
}

std::string describe_gates(const HeadGateShape& s) {
  return describe({{"rows", s.rows},
                   {"dim", s.dim},
                   {"heads", s.heads},
                   {"head_dim", s.head_dim},
                   {"width", s.width}}) +
         (s.factor == 1.0f ? "" : " doubled");
}

// A product with the factor, one with what the gate scales.
ErrorBound scaled_by_gate(const char* of, const HeadGateShape& s) {
  return [=](const Problem& p) {
    Values bound(index(s.rows * s.heads * s.head_dim));
    for (size_t i = 0; i < bound.size(); ++i) {
      const auto head = static_cast<int64_t>(i) / s.head_dim;
      const HeadGate gate = head_gate(p, s, head / s.heads, head % s.heads);
      bound[i] = kUnitF32 * (gate.units + 2) * static_cast<double>(s.factor) * gate.g *
                 std::abs(p.in(of)[i]);
    }
    return bound;
  };
}

OpCase gate_heads_case(const HeadGateShape& s) {
  const int64_t count = s.rows * s.heads * s.head_dim;
  return {OpId::kGateHeads,
          describe_gates(s),
          {input("x", count, normal()), input("n", s.rows * s.dim, normal()),
           input_f32("w", s.heads * s.width, normal(0.3)), input_f32("b", s.heads, normal()),
           output("y", count, scaled_by_gate("x", s))},
          [=](Ops& ops, const Args& a) {
            ops.gate_heads(a.out("y"), a.in("x"), a.in("n"), a.in("w"), a.in("b"), s);
          },
          {{"y"}, {"x", "n", "w", "b"}, [=](Ops& ops, const Args& a) {
             ops.gate_heads_backward(a.out("dx"), a.out("dn"), a.out("dw"), a.out("db"), a.in("dy"),
                                     a.in("x"), a.in("n"), a.in("w"), a.in("b"), s);
           }}};
}

struct GateErrors {
  Values dn, dw, db;
};
GateErrors gate_errors(const Problem& p, const HeadGateShape& s) {
  GateErrors e{Values(index(s.rows * s.dim)), Values(index(s.heads * s.width)),
               Values(index(s.heads))};
  const double scale = kUnitF32 * static_cast<double>(s.scale);
  for (int64_t row = 0; row < s.rows; ++row) {
    for (int64_t head = 0; head < s.heads; ++head) {
      const HeadGate gate = head_gate(p, s, row, head);
      double along = 0.0;  // |dy_h| . |x_h|
      const int64_t first = (row * s.heads + head) * s.head_dim;
      for (int64_t i = first; i < first + s.head_dim; ++i) {
        along += std::abs(p.in("dy")[index(i)] * p.in("x")[index(i)]);
      }
      // The sum and its products; g (1-g) errs by that of g twice, and two roundings; two products.
      const double size = static_cast<double>(s.factor) * gate.g * along;
      const double error = size * (sum_units(s.head_dim) + 1 + 2 * gate.units + 4);
      e.db[index(head)] += kUnitF32 * (error + sum_units(s.rows) * size);
      for (int64_t i = 0; i < s.width; ++i) {
        const double n = std::abs(p.in("n")[index(row * s.dim + i)]);
        const double w = std::abs(p.in("w")[index(head * s.width + i)]);
        e.dw[index(head * s.width + i)] += scale * n * (error + (sum_units(s.rows) + 2) * size);
        e.dn[index(row * s.dim + i)] += scale * w * (error + (sum_units(s.heads) + 2) * size);
      }
    }
  }
  return e;
}

OpCase gate_heads_backward_case(const HeadGateShape& s) {
  const int64_t count = s.rows * s.heads * s.head_dim;
  return {
      OpId::kGateHeadsBackward,
      describe_gates(s),
      {input("dy", count, normal()), input("x", count, normal()),
       input("n", s.rows * s.dim, normal()), input_f32("w", s.heads * s.width, normal(0.3)),
       input_f32("b", s.heads, normal()), output("dx", count, scaled_by_gate("dy", s)),
       output("dn", s.rows * s.dim, [=](const Problem& p) { return gate_errors(p, s).dn; }),
       output_f32("dw", s.heads * s.width, [=](const Problem& p) { return gate_errors(p, s).dw; }),
       output_f32("db", s.heads, [=](const Problem& p) { return gate_errors(p, s).db; })},
      [=](Ops& ops, const Args& a) {
        ops.gate_heads_backward(a.out("dx"), a.out("dn"), a.out("dw"), a.out("db"), a.in("dy"),
                                a.in("x"), a.in("n"), a.in("w"), a.in("b"), s);
      }};
}

HeadGateShape gates(int64_t rows, int64_t dim, int64_t heads, int64_t head_dim, int64_t width,
                    float scale = 1, float factor = 1) {
  return {rows, dim, heads, head_dim, width, scale, factor};
}

}  // namespace

std::vector<OpCase> head_gate_cases() {
  std::vector<OpCase> cases;
  // The published widths, all channels, widths around a warp; heads that no pack fits, more heads than
  // a warp has lanes; chunks of rows.
  for (const HeadGateShape& s :
       {gates(1, 1, 1, 1, 1), gates(3, 16, 4, 4, 12, 0.5f), gates(31, 33, 3, 11, 5, 0.5f, 2),
        gates(37, 64, 4, 16, 12, 0.5f), gates(19, 40, 5, 8, 40), gates(20, 24, 2, 8, 24, 1, 2),
        gates(515, 48, 3, 16, 33), gates(9, 136, 34, 4, 12, 0.5f)}) {
    const OpCase forward = gate_heads_case(s), backward = gate_heads_backward_case(s);
    cases.push_back(forward);
    cases.push_back(backward);
    cases.push_back(without(forward, {"b"}));
    cases.push_back(without(backward, {"b", "db"}));
  }
  return cases;
}

}  // namespace pg::optest
