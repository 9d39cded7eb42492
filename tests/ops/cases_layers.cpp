// Cases of mixes of what several layers gave.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

// Of one element of h: gelu, the sum of the sizes of its slope's terms, and of how many units of |h|
// sigmoid, and of those sizes, each may err. The sigmoid errs by its own three roundings and at most as
// much as its argument, which has five.
struct Gelu {
  double value = 0, slope_size = 0, units = 0;
};
Gelu gelu_of(double h) {
  const double factor = 2.0 * std::sqrt(2.0 / 3.14159265358979323846);
  const double argument = factor * (h + 0.044715 * h * h * h);
  const double s = 1.0 / (1.0 + std::exp(-argument));
  return {h * s, s + std::abs(h) * s * factor * (1.0 + 3.0 * 0.044715 * h * h),
          kExpUnits + 2 + 5 * std::abs(argument) + 1};
}

// |c_j| at most, and what it errs by, in units: its terms, their sum.
struct Share {
  double size = 0, error = 0;
};
Share share_of(const Problem& p, const LayerMixShape& s, int64_t row, int64_t layer, bool is_last) {
  Share share{std::abs(p.in("a")[index(layer)]) + (is_last ? 1.0 : 0.0), 0.0};
  for (int64_t k = 0; k < s.hidden; ++k) {
    const Gelu gelu = gelu_of(p.in("h")[index(row * s.hidden + k)]);
    const double term = std::abs(p.in("w")[index(layer * s.hidden + k)] * gelu.value);
    share.size += term;
    share.error += term * gelu.units;
  }
  share.error += (sum_units(s.hidden + 2) + 1) * share.size;
  return share;
}

std::string name_of(const char* prefix, int64_t layer) {
  std::string name = prefix;
  return name += std::to_string(layer);
}

std::string describe_layers(const LayerMixShape& s, int64_t count) {
  return describe({{"rows", s.rows}, {"dim", s.dim}, {"hidden", s.hidden}, {"layers", count}});
}

std::vector<In> layers_of(const Args& a, int64_t count) {
  std::vector<In> xs;
  for (int64_t j = 0; j < count; ++j) xs.push_back(a.in(name_of("x", j)));
  return xs;
}

void call_backward(Ops& ops, const Args& a, const LayerMixShape& s, int64_t count) {
  std::vector<Out> dxs;
  for (int64_t j = 0; j < count; ++j) dxs.push_back(a.out(name_of("dx", j)));
  ops.mix_layers_backward(dxs, a.out("dh"), a.out("dw"), a.out("da"), a.in("dy"),
                          layers_of(a, count), a.in("h"), a.in("w"), a.in("a"), s);
}

std::vector<Operand> inputs_of(const LayerMixShape& s, int64_t count) {
  std::vector<Operand> operands;
  for (int64_t j = 0; j < count; ++j) {
    operands.push_back(input(name_of("x", j), s.rows * s.dim, normal()));
  }
  operands.push_back(input("h", s.rows * s.hidden, normal(2.0)));
  operands.push_back(input_f32("w", count * s.hidden, normal(0.5)));
  operands.push_back(input_f32("a", count, normal()));
  return operands;
}

OpCase mix_layers_case(const LayerMixShape& s, int64_t count) {
  std::vector<Operand> operands = inputs_of(s, count);
  operands.push_back(output("y", s.rows * s.dim, [=](const Problem& p) {
    Values bound(index(s.rows * s.dim));
    for (int64_t row = 0; row < s.rows; ++row) {
      for (int64_t j = 0; j < count; ++j) {
        const Share share = share_of(p, s, row, j, j + 1 == count);
        const Values& x = p.in(name_of("x", j));
        for (int64_t i = row * s.dim; i < (row + 1) * s.dim; ++i) {
          bound[index(i)] += kUnitF32 * std::abs(x[index(i)]) *
                             (share.error + (sum_units(count + 1) + 1) * share.size);
        }
      }
    }
    return bound;
  }));
  std::vector<std::string> inputs = {"h", "w", "a"};
  for (int64_t j = 0; j < count; ++j) inputs.push_back(name_of("x", j));
  return {OpId::kMixLayers,
          describe_layers(s, count),
          std::move(operands),
          [=](Ops& ops, const Args& a) {
            ops.mix_layers(a.out("y"), layers_of(a, count), a.in("h"), a.in("w"), a.in("a"), s);
          },
          {{"y"}, inputs, [=](Ops& ops, const Args& a) { call_backward(ops, a, s, count); }}};
}

struct LayerErrors {
  Values dh, dw, da;
};
LayerErrors layer_errors(const Problem& p, const LayerMixShape& s, int64_t count) {
  LayerErrors e{Values(index(s.rows * s.hidden)), Values(index(count * s.hidden)),
                Values(index(count))};
  const double sum = sum_units(s.dim) + 1;  // of u_j
  for (int64_t row = 0; row < s.rows; ++row) {
    for (int64_t j = 0; j < count; ++j) {
      const Values& x = p.in(name_of("x", j));
      double along = 0.0;
      for (int64_t i = row * s.dim; i < (row + 1) * s.dim; ++i) {
        along += std::abs(p.in("dy")[index(i)] * x[index(i)]);
      }
      e.da[index(j)] += kUnitF32 * along * (sum + sum_units(s.rows));
      for (int64_t k = 0; k < s.hidden; ++k) {
        const Gelu gelu = gelu_of(p.in("h")[index(row * s.hidden + k)]);
        const double w = std::abs(p.in("w")[index(j * s.hidden + k)]);
        e.dw[index(j * s.hidden + k)] +=
            kUnitF32 * along * std::abs(gelu.value) * (sum + gelu.units + sum_units(s.rows) + 1);
        e.dh[index(row * s.hidden + k)] += kUnitF32 * along * w * gelu.slope_size *
                                           (sum + sum_units(count) + 2 + 2 * gelu.units + 6);
      }
    }
  }
  return e;
}

OpCase mix_layers_backward_case(const LayerMixShape& s, int64_t count) {
  std::vector<Operand> operands = inputs_of(s, count);
  operands.push_back(input("dy", s.rows * s.dim, normal()));
  for (int64_t j = 0; j < count; ++j) {
    operands.push_back(output(name_of("dx", j), s.rows * s.dim, [=](const Problem& p) {
      Values bound(index(s.rows * s.dim));
      for (int64_t i = 0; i < s.rows * s.dim; ++i) {
        const Share share = share_of(p, s, i / s.dim, j, j + 1 == count);
        bound[index(i)] = kUnitF32 * std::abs(p.in("dy")[index(i)]) * (share.error + share.size);
      }
      return bound;
    }));
  }
  operands.push_back(output("dh", s.rows * s.hidden,
                            [=](const Problem& p) { return layer_errors(p, s, count).dh; }));
  operands.push_back(output_f32("dw", count * s.hidden,
                                [=](const Problem& p) { return layer_errors(p, s, count).dw; }));
  operands.push_back(
      output_f32("da", count, [=](const Problem& p) { return layer_errors(p, s, count).da; }));
  return {OpId::kMixLayersBackward, describe_layers(s, count), std::move(operands),
          [=](Ops& ops, const Args& a) { call_backward(ops, a, s, count); }};
}

}  // namespace

std::vector<OpCase> layer_cases() {
  std::vector<OpCase> cases;
  // One layer, the published counts and widths, rows that no pack fits, chunks of rows, the most layers
  // and more of h than a warp has lanes.
  const std::pair<LayerMixShape, int64_t> shapes[] = {{{1, 1, 1}, 1},    {{3, 16, 2}, 2},
                                                      {{31, 33, 5}, 4},  {{37, 64, 34}, 17},
                                                      {{515, 24, 3}, 3}, {{9, 40, 64}, 32}};
  for (const auto& [shape, count] : shapes) {
    cases.push_back(mix_layers_case(shape, count));
    cases.push_back(mix_layers_backward_case(shape, count));
  }
  return cases;
}

}  // namespace pg::optest
