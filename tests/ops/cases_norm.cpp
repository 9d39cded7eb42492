// Cases of rmsnorm, alone and with the mix before it, and of the per-head norm with RoPE and gain.
#include <cmath>

#include "src/device/reference/reference_ops.h"
#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

constexpr float kEps = 1.1920929e-7f;  // of the public recipes: the f32 epsilon
constexpr double kRopeBase = 10000.0;

size_t index(int64_t i) { return static_cast<size_t>(i); }

// r = 1 / sqrt(mean + eps): a sum of n positive terms with a product each, halved by the root; the
// division by n, the sum with eps, the root (2 units: CUDA's rsqrtf), the quotient.
double rstd_units(int64_t n) { return 0.5 * (sum_units(n) + 1) + 5; }

// Rows (or heads) of `dim` elements.
Values rstd_of(const Values& x, int64_t dim) {
  Values y(x.size()), rstd(x.size() / index(dim));
  ReferenceOps().rmsnorm(out_of(y), out_of(rstd), in_of(x), 1.0f, kEps,
                         static_cast<int64_t>(rstd.size()), dim);
  return rstd;
}

OpCase rmsnorm_case(int64_t rows, int64_t dim, float scale) {
  return {OpId::kRmsnorm,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("x", rows * dim, normal_with_zero_rows(dim)),
           output("y", rows * dim, units_of_result("y", rstd_units(dim) + 2)),
           output_f32("rstd", rows, units_of_result("rstd", rstd_units(dim)))},
          [=](Ops& ops, const Args& a) {
            ops.rmsnorm(a.out("y"), a.out("rstd"), a.in("x"), scale, kEps, rows, dim);
          }};
}

// For the gradient no row is zero: there the third derivative is of the order of eps^-3/2.
OpCase rmsnorm_gradient_case(int64_t rows, int64_t dim, float scale) {
  OpCase op_case = rmsnorm_case(rows, dim, scale);
  op_case.shape += " gradient";
  op_case.operands[0].fill = normal_away_from_zero();
  op_case.gradient = {{"y"}, {"x"}, [=](Ops& ops, const Args& a) {
                        ops.rmsnorm_backward(a.out("dx"), a.in("dy"), a.in("x"), a.in("rstd"),
                                             scale, rows, dim);
                      }};
  return op_case;
}

OpCase rmsnorm_backward_case(int64_t rows, int64_t dim, float scale) {
  // The mean of dim products; then r^2, times it, times x, the difference, times scale r.
  const double k = sum_units(dim) + 8;
  const auto error = [=](const Problem& p) {
    Values sizes(index(rows * dim));
    for (int64_t r = 0; r < rows; ++r) {
      const double rs = p.in("rstd")[index(r)];
      double mean = 0.0;
      for (int64_t i = r * dim; i < (r + 1) * dim; ++i) {
        mean += std::abs(p.in("dy")[index(i)] * p.in("x")[index(i)]) / static_cast<double>(dim);
      }
      for (int64_t i = r * dim; i < (r + 1) * dim; ++i) {
        sizes[index(i)] =
            scale * rs *
            (std::abs(p.in("dy")[index(i)]) + std::abs(p.in("x")[index(i)]) * rs * rs * mean);
      }
    }
    return units_of(k, sizes);
  };
  return {
      OpId::kRmsnormBackward,
      describe({{"rows", rows}, {"dim", dim}}),
      {input("dy", rows * dim, normal()), input("x", rows * dim, normal()),
       input_f32("rstd", rows, derived([=](const Problem& p) { return rstd_of(p.in("x"), dim); })),
       output("dx", rows * dim, error)},
      [=](Ops& ops, const Args& a) {
        ops.rmsnorm_backward(a.out("dx"), a.in("dy"), a.in("x"), a.in("rstd"), scale, rows, dim);
      }};
}

double factor_of(const Problem& p, const char* name, int64_t channel) {
  return p.has(name) ? p.in(name)[index(channel)] : 1.0;
}

// |a x| + |b z|
Values mix_sizes(const Problem& p, int64_t rows, int64_t dim) {
  Values sizes(index(rows * dim));
  for (int64_t i = 0; i < rows * dim; ++i) {
    sizes[index(i)] = std::abs(factor_of(p, "a", i % dim) * p.in("x")[index(i)]) +
                      std::abs(factor_of(p, "b", i % dim) * p.in("z")[index(i)]);
  }
  return sizes;
}

// y errs by the rounding of a mix, two products and a sum, and by that to its storage, delta in all.
// With q = r^2 mean(|y| delta), r^-2 shrinks by a factor of at most 1 - 2 q.
struct MixNormErrors {
  Values n, rstd;
};
MixNormErrors mix_norm_errors(const Problem& p, double scale, int64_t rows, int64_t dim) {
  MixNormErrors errors{Values(index(rows * dim)), Values(index(rows))};
  Values delta = units_of(2, mix_sizes(p, rows, dim));
  for (size_t i = 0; i < delta.size(); ++i) {
    delta[i] += p.compute_unit * (std::abs(p.want("y")[i]) + delta[i]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const double r = p.want("rstd")[index(row)];
    double mean = 0.0;
    for (int64_t i = row * dim; i < (row + 1) * dim; ++i) {
      mean += std::abs(p.want("y")[index(i)]) * delta[index(i)] / static_cast<double>(dim);
    }
    const double of_r =
        1.0 / std::sqrt(1.0 - 2.0 * r * r * mean) - 1.0 + kUnitF32 * rstd_units(dim);
    errors.rstd[index(row)] = r * of_r;
    for (int64_t i = row * dim; i < (row + 1) * dim; ++i) {
      errors.n[index(i)] = scale * r *
                           ((1.0 + of_r) * delta[index(i)] +
                            std::abs(p.want("y")[index(i)]) * (of_r + 2 * kUnitF32));
    }
  }
  return errors;
}

OpCase mix_rmsnorm_case(int64_t rows, int64_t dim, float scale) {
  const auto errors = [=](const Problem& p) { return mix_norm_errors(p, scale, rows, dim); };
  return {OpId::kMixRmsnorm,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("x", rows * dim, normal_with_zero_rows(dim)), input_f32("a", dim, normal()),
           input("z", rows * dim, normal_with_zero_rows(dim)), input_f32("b", dim, normal()),
           output("y", rows * dim,
                  [=](const Problem& p) { return units_of(2, mix_sizes(p, rows, dim)); }),
           output("n", rows * dim, [=](const Problem& p) { return errors(p).n; }),
           output_f32("rstd", rows, [=](const Problem& p) { return errors(p).rstd; })},
          [=](Ops& ops, const Args& a) {
            ops.mix_rmsnorm(a.out("y"), a.out("n"), a.out("rstd"), a.in("x"), a.in("a"), a.in("z"),
                            a.in("b"), scale, kEps, rows, dim);
          }};
}

OpCase mix_rmsnorm_gradient_case(int64_t rows, int64_t dim, float scale) {
  OpCase op_case = mix_rmsnorm_case(rows, dim, scale);
  op_case.shape += " gradient";
  for (Operand& operand : op_case.operands) {
    if (operand.role == Role::kIn) operand.fill = normal_away_from_zero();
  }
  op_case.gradient = {{"y", "n"}, {"x", "a", "z", "b"}, [=](Ops& ops, const Args& a) {
                        ops.mix_rmsnorm_backward(a.out("dx"), a.out("dz"), a.out("da"), a.out("db"),
                                                 a.in("dy"), a.in("dn"), a.in("x"), a.in("a"),
                                                 a.in("z"), a.in("b"), a.in("rstd"), scale, rows,
                                                 dim);
                      }};
  return op_case;
}

// Where nothing but the norm reads the mix.
OpCase without_dy(OpCase op_case) {
  op_case.shape += " no dy";
  op_case.gradient.outputs = {"n"};
  return op_case;
}

// Sizes of what g = dy + scale r (dn - y r^2 mean(dn y)) adds up, with |a x| + |b z| for y.
Values mix_gradient_sizes(const Problem& p, double scale, int64_t rows, int64_t dim) {
  const Values y = mix_sizes(p, rows, dim);
  Values sizes(y.size());
  for (int64_t row = 0; row < rows; ++row) {
    const double r = p.in("rstd")[index(row)];
    double mean = 0.0;
    for (int64_t i = row * dim; i < (row + 1) * dim; ++i) {
      mean += std::abs(p.in("dn")[index(i)]) * y[index(i)] / static_cast<double>(dim);
    }
    for (int64_t i = row * dim; i < (row + 1) * dim; ++i) {
      sizes[index(i)] = scale * r * (std::abs(p.in("dn")[index(i)]) + y[index(i)] * r * r * mean);
      if (p.has("dy")) sizes[index(i)] += std::abs(p.in("dy")[index(i)]);
    }
  }
  return sizes;
}

OpCase mix_rmsnorm_backward_case(int64_t rows, int64_t dim, float scale) {
  // The mean of dim products with a y of two units; then y once more, r^2, three products, two
  // differences, times scale r.
  const double g_units = sum_units(dim) + 13;
  const auto term_error = [=](const char* factor) {
    return [=](const Problem& p) {
      Values sizes = mix_gradient_sizes(p, scale, rows, dim);
      for (int64_t i = 0; i < rows * dim; ++i) sizes[index(i)] *= factor_of(p, factor, i % dim);
      return units_of(g_units + 1, sizes);
    };
  };
  const auto factor_error = [=](const char* term) {
    return [=](const Problem& p) {
      const Values g = mix_gradient_sizes(p, scale, rows, dim);
      Values sizes(index(dim));
      for (int64_t i = 0; i < rows * dim; ++i) {
        sizes[index(i % dim)] += g[index(i)] * std::abs(p.in(term)[index(i)]);
      }
      return units_of(g_units + sum_units(rows) + 1, sizes);
    };
  };
  const auto rstd = [=](const Problem& p) {
    Values y(index(rows * dim)), result(index(rows));
    const auto factor = [&](const char* name) { return p.has(name) ? in_of(p.in(name)) : In{}; };
    ReferenceOps().mix_rmsnorm(out_of(y), {}, out_of(result), in_of(p.in("x")), factor("a"),
                               in_of(p.in("z")), factor("b"), scale, kEps, rows, dim);
    return result;
  };
  return {OpId::kMixRmsnormBackward,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("dy", rows * dim, normal()), input("dn", rows * dim, normal()),
           input("x", rows * dim, normal()), input_f32("a", dim, normal()),
           input("z", rows * dim, normal()), input_f32("b", dim, normal()),
           input_f32("rstd", rows, derived(rstd)), output("dx", rows * dim, term_error("a")),
           output("dz", rows * dim, term_error("b")), output_f32("da", dim, factor_error("x")),
           output_f32("db", dim, factor_error("z"))},
          [=](Ops& ops, const Args& a) {
            ops.mix_rmsnorm_backward(a.out("dx"), a.out("dz"), a.out("da"), a.out("db"), a.in("dy"),
                                     a.in("dn"), a.in("x"), a.in("a"), a.in("z"), a.in("b"),
                                     a.in("rstd"), scale, rows, dim);
          }};
}

std::vector<OpCase> mix_rmsnorm_cases() {
  std::vector<OpCase> cases;
  const int64_t shapes[][2] = {{1, 1},   {2, 2},    {5, 31},   {3, 32},
                               {31, 33}, {515, 48}, {67, 513}, {130, 1024}};
  for (const auto& [rows, dim] : shapes) {
    cases.push_back(mix_rmsnorm_case(rows, dim, 0.5f));
    cases.push_back(mix_rmsnorm_backward_case(rows, dim, 0.70710678f));
  }
  // Rows of whole vectors: of a warp's most, of a block, of more than registers hold.
  for (const auto& [rows, dim] : {std::pair<int64_t, int64_t>{19, 48}, {2, 520}, {1, 2056}}) {
    cases.push_back(mix_rmsnorm_case(rows, dim, 0.5f));
    cases.push_back(mix_rmsnorm_backward_case(rows, dim, 0.5f));
  }
  cases.push_back(mix_rmsnorm_case(1, 4104, 0.5f));
  const OpCase forward = mix_rmsnorm_case(35, 65, 0.5f);
  const OpCase gradient = mix_rmsnorm_gradient_case(3, 7, 0.7f);
  const OpCase backward = mix_rmsnorm_backward_case(35, 65, 0.5f);
  for (const OpCase& op_case : {forward, gradient}) {
    cases.push_back(op_case);
    cases.push_back(without(op_case, {"a"}));
    cases.push_back(without(op_case, {"b"}));
    cases.push_back(without(op_case, {"a", "b"}));
  }
  cases.push_back(without_dy(gradient));
  cases.push_back(backward);
  cases.push_back(without(backward, {"dy"}));
  cases.push_back(without(backward, {"a", "da"}));
  cases.push_back(without(backward, {"b", "db"}));
  cases.push_back(without(backward, {"dy", "a", "b", "da", "db"}));
  return cases;
}

// table[t, i] = (cos, sin)(t base^(-2i/R))
Values rope_table(int64_t tokens, int64_t rope_dims) {
  Values table;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < rope_dims / 2; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rope_dims);
      const double angle = static_cast<double>(t) * std::pow(kRopeBase, exponent);
      table.push_back(std::cos(angle));
      table.push_back(std::sin(angle));
    }
  }
  return table;
}

// |x_i c| + |x_j s| for every element of [N, heads*S]: what a rotation (either way) adds up.
Values rotated_sizes(const Values& x, const Problem& p, const HeadShape& s) {
  Values sizes(x.size());
  const int64_t half = s.rope_dims / 2;
  for (int64_t i = 0; i < s.rows() * s.heads * s.head_dim; ++i) {
    const int64_t d = i % s.head_dim, row = i / (s.head_dim * s.heads);
    int64_t t = s.first + row % s.tokens;
    if (p.has("starts")) t -= static_cast<int64_t>(p.in("starts")[index(row)]);
    sizes[index(i)] = std::abs(x[index(i)]);
    if (d >= s.rope_dims) continue;
    const int64_t pair = d < half ? i + half : i - half;
    const double* cos_sin = &p.in("table")[index((t * half + d % half) * 2)];
    sizes[index(i)] = std::abs(x[index(i)] * cos_sin[0]) + std::abs(x[index(pair)] * cos_sin[1]);
  }
  return sizes;
}

double gain_of(const Problem& p, int64_t head) {
  return p.has("gain") ? std::abs(p.in("gain")[index(head)]) : 1.0;
}

Values qk_error(const Problem& p, const HeadShape& s) {
  Values sizes = rotated_sizes(p.in("x"), p, s);
  for (size_t i = 0; i < sizes.size(); ++i) {
    const size_t head = i / index(s.head_dim);
    sizes[i] *= p.want("rstd")[head] * gain_of(p, static_cast<int64_t>(head) % s.heads);
  }
  // r, times x, product and sum of the rotation, times gain
  return units_of(rstd_units(s.head_dim) + 4, sizes);
}

struct QkBackwardErrors {
  Values dx, dgain;
};
QkBackwardErrors qk_backward_errors(const Problem& p, const HeadShape& s) {
  QkBackwardErrors errors;
  const Values turned = rotated_sizes(p.in("dy"), p, s);
  errors.dx.resize(turned.size());
  errors.dgain.assign(index(s.heads), 0.0);
  for (int64_t i = 0; i < s.rows() * s.heads; ++i) {
    const double r = p.in("rstd")[index(i)], gain = gain_of(p, i % s.heads);
    double dot = 0.0;
    for (int64_t d = i * s.head_dim; d < (i + 1) * s.head_dim; ++d) {
      dot += turned[index(d)] * std::abs(p.in("x")[index(d)]);
    }
    errors.dgain[index(i % s.heads)] += r * dot;
    const double mean = s.is_normed ? dot / static_cast<double>(s.head_dim) : 0.0;
    for (int64_t d = i * s.head_dim; d < (i + 1) * s.head_dim; ++d) {
      errors.dx[index(d)] =
          r * gain * (turned[index(d)] + std::abs(p.in("x")[index(d)]) * r * r * mean);
    }
  }
  // The rotation (2), times gain, the mean of S products, r^2, two products, the difference, times
  // r.
  errors.dx = units_of(sum_units(s.head_dim) + 10, errors.dx);
  // The rotation, times r and x, the sum over all rows.
  errors.dgain = units_of(sum_units(s.rows() * s.head_dim) + 5, errors.dgain);
  return errors;
}

std::string describe_heads(const HeadShape& s) {
  return describe({{"batch", s.batch},
                   {"tokens", s.tokens},
                   {"heads", s.heads},
                   {"head_dim", s.head_dim},
                   {"rope_dims", s.rope_dims}}) +
         describe_first(s.first) + (s.is_normed ? "" : " no norm");
}

OpCase qk_norm_rope_case(const HeadShape& s) {
  const int64_t count = s.rows() * s.heads * s.head_dim, positions = s.first + s.tokens;
  const int64_t table_count = positions * s.rope_dims;
  return {OpId::kQkNormRope,
          describe_heads(s),
          {input("x", count, normal()), input_f32("gain", s.heads, normal(2.0)),
           input_f32("table", table_count, fixed(rope_table(positions, s.rope_dims))),
           output("y", count, [=](const Problem& p) { return qk_error(p, s); }),
           output_f32("rstd", s.rows() * s.heads, units_of_result("rstd", rstd_units(s.head_dim)))},
          [=](Ops& ops, const Args& a) {
            ops.qk_norm_rope(a.out("y"), a.out("rstd"), a.in("x"), a.in("gain"), a.in("table"),
                             kEps, s);
          },
          {{"y"}, {"x", "gain"}, [=](Ops& ops, const Args& a) {
             ops.qk_norm_rope_backward(a.out("dx"), a.out("dgain"), a.in("dy"), a.in("x"),
                                       a.in("rstd"), a.in("gain"), a.in("table"), s);
           }}};
}

OpCase qk_norm_rope_backward_case(const HeadShape& s) {
  const int64_t count = s.rows() * s.heads * s.head_dim;
  const int64_t table_count = s.tokens * s.rope_dims;
  return {OpId::kQkNormRopeBackward,
          describe_heads(s),
          {input("dy", count, normal()), input("x", count, normal()),
           input_f32("rstd", s.rows() * s.heads, derived([=](const Problem& p) {
                       Values rstd = rstd_of(p.in("x"), s.head_dim);
                       if (!s.is_normed) rstd.assign(rstd.size(), 1.0);
                       return rstd;
                     })),
           input_f32("gain", s.heads, normal(2.0)),
           input_f32("table", table_count, fixed(rope_table(s.tokens, s.rope_dims))),
           output("dx", count, [=](const Problem& p) { return qk_backward_errors(p, s).dx; }),
           output_f32("dgain", s.heads,
                      [=](const Problem& p) { return qk_backward_errors(p, s).dgain; })},
          [=](Ops& ops, const Args& a) {
            ops.qk_norm_rope_backward(a.out("dx"), a.out("dgain"), a.in("dy"), a.in("x"),
                                      a.in("rstd"), a.in("gain"), a.in("table"), s);
          }};
}

// Of packed rows: positions begin anew with each sequence, whose longest has so many rows.
OpCase packed_qk_case(OpCase op_case, HeadShape s, const Values& starts, int64_t longest) {
  op_case.shape += " packed";
  op_case.operands.insert(op_case.operands.begin(), packed_operand(starts));
  for (Operand& operand : op_case.operands) {
    if (operand.name != "table") continue;
    operand.count = longest * s.rope_dims;
    operand.fill = fixed(rope_table(longest, s.rope_dims));
  }
  const auto packed = [=](const Args& a) {
    HeadShape shape = s;
    shape.packed = {a.in("starts"), longest};
    return shape;
  };
  const auto backward = [=](Ops& ops, const Args& a) {
    ops.qk_norm_rope_backward(a.out("dx"), a.out("dgain"), a.in("dy"), a.in("x"), a.in("rstd"),
                              a.in("gain"), a.in("table"), packed(a));
  };
  if (op_case.op == OpId::kQkNormRopeBackward) {
    op_case.call = backward;
    return op_case;
  }
  op_case.call = [=](Ops& ops, const Args& a) {
    ops.qk_norm_rope(a.out("y"), a.out("rstd"), a.in("x"), a.in("gain"), a.in("table"), kEps,
                     packed(a));
  };
  op_case.gradient.call = backward;
  return op_case;
}

}  // namespace

std::vector<OpCase> norm_cases() {
  std::vector<OpCase> cases = mix_rmsnorm_cases();
  const int64_t shapes[][2] = {{1, 1},  {2, 2},    {5, 31},  {3, 32},    {31, 33},
                               {4, 64}, {515, 48}, {7, 513}, {130, 1024}};
  for (const auto& [rows, dim] : shapes) {
    cases.push_back(rmsnorm_case(rows, dim, 0.5f));
    cases.push_back(rmsnorm_backward_case(rows, dim, 0.70710678f));
  }
  cases.push_back(rmsnorm_gradient_case(3, 7, 0.7f));
  cases.push_back(rmsnorm_gradient_case(2, 1, 1.0f));

  // batch, tokens, heads, head_dim, rope_dims: partial, full and no RoPE, odd heads, T = 1
  const HeadShape heads[] = {{1, 1, 1, 16, 16},  {2, 3, 1, 16, 8},    {2, 5, 3, 16, 16},
                             {1, 4, 2, 16, 0},   {2, 33, 3, 32, 16},  {1, 67, 5, 64, 16},
                             {3, 31, 2, 64, 64}, {1, 257, 4, 32, 32}, {1, 17, 1, 128, 32},
                             {1, 2, 34, 64, 16}, {1, 5, 2, 24, 12}};
  for (const HeadShape& s : heads) {
    cases.push_back(qk_norm_rope_case(s));
    cases.push_back(qk_norm_rope_backward_case(s));
    const int64_t cols = s.heads * s.head_dim;
    cases.push_back(with_views(qk_norm_rope_case(s), {{"x", cols}}));
    cases.push_back(with_views(qk_norm_rope_backward_case(s), {{"x", cols}, {"dx", cols}}));
  }
  const HeadShape small = {2, 4, 3, 16, 8};
  cases.push_back(without(qk_norm_rope_case(small), {"gain"}));
  cases.push_back(without(qk_norm_rope_backward_case(small), {"gain", "dgain"}));
  HeadShape unnormed[] = {{2, 33, 3, 32, 16}, {1, 67, 5, 64, 64}, {1, 4, 2, 16, 0}};
  for (HeadShape& s : unnormed) {
    s.is_normed = false;
    cases.push_back(qk_norm_rope_case(s));
    cases.push_back(qk_norm_rope_backward_case(s));
    cases.push_back(without(qk_norm_rope_case(s), {"gain"}));
    cases.push_back(without(qk_norm_rope_backward_case(s), {"gain", "dgain"}));
  }
  for (const HeadShape& s : {HeadShape{2, 9, 3, 16, 8}, HeadShape{1, 67, 5, 64, 16}}) {
    const Values starts = packed_starts(s.batch, s.tokens, {1, 5});
    const int64_t longest = s.tokens - 5;
    cases.push_back(packed_qk_case(qk_norm_rope_case(s), s, starts, longest));
    cases.push_back(packed_qk_case(qk_norm_rope_backward_case(s), s, starts, longest));
  }
  // Positions behind the first.
  for (const HeadShape& s : {HeadShape{1, 1, 3, 64, 16, 37}, HeadShape{2, 5, 2, 16, 16, 3}}) {
    cases.push_back(without_gradient(qk_norm_rope_case(s)));
    cases.push_back(
        with_views(without_gradient(qk_norm_rope_case(s)), {{"x", s.heads * s.head_dim}}));
  }
  return cases;
}

std::vector<OpCase> norm_record_cases() {
  constexpr int64_t kRows = 2048, kDim = 512;
  const HeadShape heads = {1, 2048, 8, 64, 16};
  return {rmsnorm_case(kRows, kDim, 0.5f),
          rmsnorm_backward_case(kRows, kDim, 0.5f),
          mix_rmsnorm_case(kRows, kDim, 0.5f),
          mix_rmsnorm_backward_case(kRows, kDim, 0.5f),
          qk_norm_rope_case(heads),
          qk_norm_rope_backward_case(heads)};
}

}  // namespace pg::optest
