// Cases of the ops of models beyond the base stack.
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

// What token_smear does with a row: whether it reads the one before, its gate g, and of how many
// units of g that may err: the product w . x loses sum_units and a product a term, and g errs by at
// most as much as its argument.
struct TokenGate {
  bool reads = false;
  double g = 0, units = 0;
};
TokenGate token_gate(const Problem& p, const TokenSmearShape& s, int64_t row) {
  const int64_t at = row + (s.first > 0 ? 1 : 0);  // with `first`, one row lies in front
  TokenGate gate;
  gate.reads =
      (s.first + row) % s.tokens != 0 && static_cast<int64_t>(p.in("ids")[index(row)]) != s.bos;
  double product = 0.0, size = 0.0;
  for (int64_t i = 0; i < s.width; ++i) {
    const double term = p.in("w")[index(i)] * p.in("x")[index(at * s.dim + i)];
    product += term;
    size += std::abs(term);
  }
  gate.g = sigmoid(product);
  gate.units = kSigmoidUnits + (sum_units(s.width) + 1) * size;
  return gate;
}

std::string describe_smear(const TokenSmearShape& s) {
  return describe({{"rows", s.rows},
                   {"tokens", s.tokens},
                   {"dim", s.dim},
                   {"width", s.width},
                   {"bos", s.bos}}) +
         describe_first(s.first);
}

OpCase token_smear_case(const TokenSmearShape& s) {
  const int64_t front = s.first > 0 ? s.dim : 0;  // elements of the row before
  // scale g x_{t-1}: two products; and the sum.
  const ErrorBound error = [=](const Problem& p) {
    Values bound(index(s.rows * s.dim));
    const double scale = std::abs(p.in("scale")[0]);
    for (int64_t row = 0; row < s.rows; ++row) {
      const TokenGate gate = token_gate(p, s, row);
      for (int64_t d = 0; d < s.dim; ++d) {
        const int64_t i = row * s.dim + d;
        const double x = std::abs(p.in("x")[index(front + i)]);
        const double before =
            gate.reads ? scale * gate.g * std::abs(p.in("x")[index(front + i - s.dim)]) : 0.0;
        bound[index(i)] = kUnitF32 * (x + (gate.units + 3) * before);
      }
    }
    return bound;
  };
  OpCase op_case = {OpId::kTokenSmear,
                    describe_smear(s),
                    {input("x", front + s.rows * s.dim, normal()), ids("ids", s.rows, 4),
                     input_f32("w", s.width, normal()), input_f32("scale", 1, fixed({-0.7})),
                     output("y", s.rows * s.dim, error)},
                    [=](Ops& ops, const Args& a) {
                      ops.token_smear(a.out("y"), without_front(a.in("x"), front), a.in("ids"),
                                      a.in("w"), a.in("scale"), s);
                    }};
  if (s.first > 0) return op_case;
  op_case.gradient = {{"y"}, {"x", "w", "scale"}, [=](Ops& ops, const Args& a) {
                        ops.token_smear_backward(a.out("dx"), a.out("dw"), a.out("dscale"),
                                                 a.in("dy"), a.in("x"), a.in("ids"), a.in("w"),
                                                 a.in("scale"), s);
                      }};
  return op_case;
}

struct TokenSmearErrors {
  Values dx, dw, dscale;
};
TokenSmearErrors token_smear_errors(const Problem& p, const TokenSmearShape& s) {
  TokenSmearErrors e{Values(index(s.rows * s.dim)), Values(index(s.width)), Values(1)};
  const double scale = std::abs(p.in("scale")[0]);
  for (int64_t row = 0; row < s.rows; ++row) {
    const TokenGate gate = token_gate(p, s, row);
    const TokenGate after = row + 1 < s.rows ? token_gate(p, s, row + 1) : TokenGate{};
    double along = 0.0;  // |dy_t| . |x_{t-1}|
    for (int64_t i = row * s.dim; gate.reads && i < (row + 1) * s.dim; ++i) {
      along += std::abs(p.in("dy")[index(i)] * p.in("x")[index(i - s.dim)]);
    }
    // The sum and its products; g (1-g) errs by that of g twice, and two roundings; two products.
    const double size = gate.g * along;
    const double error = size * (sum_units(s.dim) + 1 + 2 * gate.units + 4);
    e.dscale[0] += kUnitF32 * (error + (sum_units(s.rows) + 1) * size);
    for (int64_t d = 0; d < s.dim; ++d) {
      const int64_t i = row * s.dim + d;
      const double w = d < s.width ? std::abs(p.in("w")[index(d)]) : 0.0;
      const double next =
          after.reads ? scale * after.g * std::abs(p.in("dy")[index(i + s.dim)]) : 0.0;
      const double own = std::abs(p.in("dy")[index(i)]);
      e.dx[index(i)] =
          kUnitF32 * (scale * w * (error + 3 * size) + (after.units + 3) * next + 2 * own);
      if (d >= s.width) continue;
      e.dw[index(d)] += kUnitF32 * scale * std::abs(p.in("x")[index(i)]) *
                        (error + (sum_units(s.rows) + 1) * size);
    }
  }
  return e;
}

OpCase token_smear_backward_case(const TokenSmearShape& s) {
  const int64_t count = s.rows * s.dim;
  return {
      OpId::kTokenSmearBackward,
      describe_smear(s),
      {input("dy", count, normal()), input("x", count, normal()), ids("ids", s.rows, 4),
       input_f32("w", s.width, normal()), input_f32("scale", 1, fixed({-0.7})),
       output("dx", count, [=](const Problem& p) { return token_smear_errors(p, s).dx; }),
       output_f32("dw", s.width, [=](const Problem& p) { return token_smear_errors(p, s).dw; }),
       output_f32("dscale", 1, [=](const Problem& p) { return token_smear_errors(p, s).dscale; })},
      [=](Ops& ops, const Args& a) {
        ops.token_smear_backward(a.out("dx"), a.out("dw"), a.out("dscale"), a.in("dy"), a.in("x"),
                                 a.in("ids"), a.in("w"), a.in("scale"), s);
      }};
}

// `units` of |x| + |w z| of each element.
ErrorBound gated_sizes(double units, int64_t rows, int64_t dim) {
  return [=](const Problem& p) {
    Values sizes(index(rows * dim));
    for (int64_t i = 0; i < rows * dim; ++i) {
      sizes[index(i)] =
          std::abs(p.in("x")[index(i)]) + std::abs(p.in("w")[index(i % dim)] * p.in("z")[index(i)]);
    }
    return units_of(units, sizes);
  };
}

OpCase gated_mix_case(int64_t rows, int64_t dim) {
  return {OpId::kGatedMix,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("x", rows * dim, normal()), input("z", rows * dim, normal()),
           input_f32("w", dim, normal()), input_f32("gate", dim, normal(2.0)),
           // g, 1 - g, two products, the sum; 1 - g errs relative to 1
           output("y", rows * dim, gated_sizes(kSigmoidUnits + 4, rows, dim))},
          [=](Ops& ops, const Args& a) {
            ops.gated_mix(a.out("y"), a.in("x"), a.in("z"), a.in("w"), a.in("gate"), rows, dim);
          },
          {{"y"}, {"x", "z", "w", "gate"}, [=](Ops& ops, const Args& a) {
             ops.gated_mix_backward(a.out("dx"), a.out("dz"), a.out("dw"), a.out("dgate"),
                                    a.in("dy"), a.in("x"), a.in("z"), a.in("w"), a.in("gate"), rows,
                                    dim);
           }}};
}

OpCase gated_mix_backward_case(int64_t rows, int64_t dim) {
  const int64_t count = rows * dim;
  const ErrorBound dz_error = [=](const Problem& p) {
    Values sizes(index(count));
    for (int64_t i = 0; i < count; ++i) {
      sizes[index(i)] = p.in("w")[index(i % dim)] * p.in("dy")[index(i)];
    }
    return units_of(kSigmoidUnits + 3, sizes);
  };
  const ErrorBound dw_error = [=](const Problem& p) {
    Values sizes(index(dim));
    for (int64_t i = 0; i < count; ++i) {
      sizes[index(i % dim)] += std::abs(p.in("dy")[index(i)] * p.in("z")[index(i)]);
    }
    return units_of(kSigmoidUnits + sum_units(rows) + 3, sizes);
  };
  const ErrorBound dgate_error = [=](const Problem& p) {
    const Values terms = gated_sizes(1 / kUnitF32, rows, dim)(p);  // |x| + |w z|
    Values sizes(index(dim)), bound(index(dim));
    for (int64_t i = 0; i < count; ++i) {
      sizes[index(i % dim)] += std::abs(p.in("dy")[index(i)]) * terms[index(i)];
    }
    for (size_t d = 0; d < bound.size(); ++d) {
      const double g = sigmoid(p.in("gate")[d]);
      bound[d] = kUnitF32 * sizes[d] *
                 (g * (1.0 - g) * (sum_units(rows) + 4) + g * (2 * kSigmoidUnits + 2));
    }
    return bound;
  };
  return {
      OpId::kGatedMixBackward,
      describe({{"rows", rows}, {"dim", dim}}),
      {input("dy", count, normal()), input("x", count, normal()), input("z", count, normal()),
       input_f32("w", dim, normal()), input_f32("gate", dim, normal(2.0)),
       output("dx", count, units_of_result("dx", kSigmoidUnits + 1)), output("dz", count, dz_error),
       output_f32("dw", dim, dw_error), output_f32("dgate", dim, dgate_error)},
      [=](Ops& ops, const Args& a) {
        ops.gated_mix_backward(a.out("dx"), a.out("dz"), a.out("dw"), a.out("dgate"), a.in("dy"),
                               a.in("x"), a.in("z"), a.in("w"), a.in("gate"), rows, dim);
      }};
}

double blend_factor(const Problem& p, bool is_sigmoid) {
  return is_sigmoid ? sigmoid(p.in("b")[0]) : std::abs(p.in("b")[0]);
}

OpCase blend_case(int64_t rows, int64_t dim, bool is_sigmoid) {
  const ErrorBound error = [=](const Problem& p) {
    Values sizes(index(rows * dim));
    const double a = p.has("a") ? std::abs(p.in("a")[0]) : 1.0, b = blend_factor(p, is_sigmoid);
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = a * std::abs(p.in("x")[i]) + b * std::abs(p.in("z")[i]);
    }
    return units_of(kSigmoidUnits + 2, sizes);
  };
  return {OpId::kBlend,
          describe({{"rows", rows}, {"dim", dim}}) + (is_sigmoid ? " sigmoid" : ""),
          {input("x", rows * dim, normal()), input("z", rows * dim, normal()),
           input_f32("a", 1, fixed({-1.3})), input_f32("b", 1, fixed({0.7})),
           output("y", rows * dim, error)},
          [=](Ops& ops, const Args& a) {
            ops.blend(a.out("y"), a.in("x"), a.in("a"), a.in("z"), a.in("b"), is_sigmoid, rows,
                      dim);
          },
          {{"y"}, {"x", "z", "a", "b"}, [=](Ops& ops, const Args& a) {
             ops.blend_backward(a.out("dx"), a.out("dz"), a.out("da"), a.out("db"), a.in("dy"),
                                a.in("x"), a.in("a"), a.in("z"), a.in("b"), is_sigmoid, rows, dim);
           }}};
}

OpCase blend_backward_case(int64_t rows, int64_t dim, bool is_sigmoid) {
  const int64_t count = rows * dim;
  const auto sum_of = [=](const Problem& p, const char* term) {
    double sum = 0.0;
    for (size_t i = 0; i < index(count); ++i) sum += std::abs(p.in("dy")[i] * p.in(term)[i]);
    return sum;
  };
  const double sum_k = sum_units(count) + 2;  // the product of each term, the last rounding
  return {OpId::kBlendBackward,
          describe({{"rows", rows}, {"dim", dim}}) + (is_sigmoid ? " sigmoid" : ""),
          {input("dy", count, normal()), input("x", count, normal()), input("z", count, normal()),
           input_f32("a", 1, fixed({-1.3})), input_f32("b", 1, fixed({0.7})),
           output("dx", count, units_of_result("dx", 1)),
           output("dz", count, units_of_result("dz", kSigmoidUnits + 1)),
           output_f32("da", 1, [=](const Problem& p) { return units_of(sum_k, {sum_of(p, "x")}); }),
           output_f32("db", 1,
                      [=](const Problem& p) {
                        const double s = blend_factor(p, is_sigmoid);
                        const double units =
                            is_sigmoid ? s * (1 - s) * sum_k + s * (2 * kSigmoidUnits + 2) : sum_k;
                        return units_of(units, {sum_of(p, "z")});
                      })},
          [=](Ops& ops, const Args& a) {
            ops.blend_backward(a.out("dx"), a.out("dz"), a.out("da"), a.out("db"), a.in("dy"),
                               a.in("x"), a.in("a"), a.in("z"), a.in("b"), is_sigmoid, rows, dim);
          }};
}

std::string describe_prepend(const PrependShape& s) {
  return describe({{"batch", s.batch},
                   {"memory", s.memory},
                   {"tokens", s.tokens},
                   {"dim", s.dim},
                   {"rows", s.rows}}) +
         describe_first(s.first);
}

OpCase prepend_rows_case(const PrependShape& s) {
  const int64_t count = s.rows * s.dim;
  OpCase op_case = {
      OpId::kPrependRows,
      describe_prepend(s),
      {input("m", s.memory * s.dim, normal()), input("x", s.batch * s.tokens * s.dim, normal()),
       output("y", count, exact(count))},
      [=](Ops& ops, const Args& a) { ops.prepend_rows(a.out("y"), a.in("m"), a.in("x"), s); }};
  if (s.rows < s.batch * (s.memory + s.tokens)) return op_case;
  op_case.gradient = {{"y"}, {"m", "x"}, [=](Ops& ops, const Args& a) {
                        ops.prepend_rows_backward(a.out("dx"), a.out("dm"), a.in("dy"), s);
                      }};
  return op_case;
}

OpCase prepend_rows_backward_case(const PrependShape& s) {
  const int64_t count = s.batch * s.tokens * s.dim;
  return {OpId::kPrependRowsBackward,
          describe_prepend(s),
          {input("dy", s.rows * s.dim, normal()), output("dx", count, exact(count)),
           output("dm", s.memory * s.dim, units_of_terms("dm", sum_units(s.batch)))},
          [=](Ops& ops, const Args& a) {
            ops.prepend_rows_backward(a.out("dx"), a.out("dm"), a.in("dy"), s);
          }};
}

std::vector<OpCase> prepend_rows_cases() {
  std::vector<OpCase> cases;
  const PrependShape shapes[] = {{1, 1, 1, 1}, {2, 1, 3, 5}, {3, 4, 2, 33}, {5, 64, 103, 48}};
  for (const PrependShape& s : shapes) {
    cases.push_back(prepend_rows_case(s));
    cases.push_back(prepend_rows_backward_case(s));
  }
  cases.push_back(without(without_gradient(prepend_rows_case({3, 4, 2, 33})), {"m"}));
  cases.push_back(without(prepend_rows_backward_case({3, 4, 2, 33}), {"dm"}));
  cases.push_back(without(prepend_rows_backward_case({3, 4, 2, 33}), {"dx"}));
  for (const int64_t first : {0, 2, 5}) {  // of the memory, across its end, of the tokens
    cases.push_back(prepend_rows_case({1, 4, 9, 31, first, 4}));
  }
  return cases;
}

std::vector<OpCase> token_smear_cases() {
  std::vector<OpCase> cases;
  // rows, tokens, dim, width, bos: one, several sequences, no BOS, several chunks of rows
  const TokenSmearShape shapes[] = {{1, 1, 1, 1, 1},       {3, 1, 5, 3, 1},
                                    {4, 2, 3, 3, -1},      {66, 33, 31, 4, 1},
                                    {515, 103, 64, 12, 1}, {257, 257, 17, 12, -1}};
  for (const TokenSmearShape& s : shapes) {
    cases.push_back(token_smear_case(s));
    cases.push_back(token_smear_backward_case(s));
  }
  for (const int64_t first : {1, 32, 33, 40}) {  // within a sequence, at its end, of the next one
    cases.push_back(token_smear_case({1, 33, 31, 12, -1, first}));
    cases.push_back(token_smear_case({70, 33, 31, 12, 1, first}));
  }
  return cases;
}

}  // namespace

std::vector<OpCase> gate_cases() {
  std::vector<OpCase> cases = token_smear_cases();
  for (const OpCase& op_case : prepend_rows_cases()) cases.push_back(op_case);
  const int64_t shapes[][2] = {{1, 1}, {2, 3}, {31, 33}, {3, 64}, {515, 48}, {67, 1000}};
  for (const auto& [rows, dim] : shapes) {
    cases.push_back(swiglu_case(rows, dim));
    cases.push_back(swiglu_backward_case(rows, dim));
    cases.push_back(with_views(swiglu_case(rows, dim), {{"gate", dim}, {"up", dim}}));
    cases.push_back(with_views(swiglu_backward_case(rows, dim),
                               {{"gate", dim}, {"up", dim}, {"dgate", dim}, {"dup", dim}}));
    cases.push_back(gated_mix_case(rows, dim));
    cases.push_back(gated_mix_backward_case(rows, dim));
    for (const bool is_sigmoid : {false, true}) {
      const OpCase forward = blend_case(rows, dim, is_sigmoid);
      const OpCase backward = blend_backward_case(rows, dim, is_sigmoid);
      cases.push_back(forward);
      cases.push_back(backward);
      cases.push_back(with_views(forward, {{"x", dim}, {"z", dim}}));
      cases.push_back(with_views(backward, {{"x", dim}, {"z", dim}, {"dx", dim}, {"dz", dim}}));
    }
  }
  cases.push_back(without(blend_case(31, 33, false), {"a"}));
  cases.push_back(without(blend_backward_case(31, 33, true), {"a", "da"}));
  return cases;
}

std::vector<OpCase> gate_record_cases() {
  return {swiglu_case(512, 1536), swiglu_backward_case(512, 1536)};
}

}  // namespace pg::optest
