// Cases of attention and of exclusive self-attention.
#include <algorithm>
#include <cmath>

#include "src/device/reference/reference_ops.h"
#include "tests/ops/attention_tolerance.h"
#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

AttentionShape shape_of(int64_t batch, int64_t tokens, int64_t heads, int64_t kv_heads,
                        int64_t head_dim) {
  return {batch, tokens, heads, kv_heads, head_dim, 1.0f / std::sqrt(static_cast<float>(head_dim))};
}

int64_t q_count(const AttentionShape& s) { return s.rows() * s.heads * s.head_dim; }
int64_t kv_count(const AttentionShape& s) { return s.batch * s.keys() * s.kv_heads * s.head_dim; }

std::string describe_shape(const AttentionShape& s) {
  return describe({{"batch", s.batch},
                   {"tokens", s.tokens},
                   {"heads", s.heads},
                   {"kv_heads", s.kv_heads},
                   {"head_dim", s.head_dim}}) +
         describe_first(s.first);
}

// q_scale: 1 gives mild attention, more makes it peaked and its scores large.
OpCase attention_case(const AttentionShape& s, double q_scale) {
  return {OpId::kAttention,
          describe_shape(s) + " q_scale=" + std::to_string(q_scale),
          {input("q", q_count(s), normal(q_scale)), input("k", kv_count(s), normal()),
           input("v", kv_count(s), normal()),
           output("y", q_count(s), [=](const Problem& p) { return attention_errors(p, s).y; }),
           output_f32("lse", s.rows() * s.heads,
                      [=](const Problem& p) { return attention_errors(p, s).lse; })},
          [=](Ops& ops, const Args& a) {
            ops.attention(a.out("y"), a.out("lse"), a.in("q"), a.in("k"), a.in("v"), s);
          },
          {{"y"}, {"q", "k", "v"}, [=](Ops& ops, const Args& a) {
             ops.attention_backward(a.out("dq"), a.out("dk"), a.out("dv"), a.in("dy"), a.in("y"),
                                    a.in("lse"), a.in("q"), a.in("k"), a.in("v"), s);
           }}};
}

Values attention_result(const Problem& p, const AttentionShape& s, bool wants_lse) {
  Values y(index(q_count(s))), lse(index(s.rows() * s.heads));
  ReferenceOps().attention(out_of(y), out_of(lse), in_of(p.in("q")), in_of(p.in("k")),
                           in_of(p.in("v")), s);
  return wants_lse ? lse : y;
}

OpCase attention_backward_case(const AttentionShape& s, double q_scale) {
  const auto errors = [=](const Problem& p) { return attention_backward_errors(p, s); };
  return {OpId::kAttentionBackward,
          describe_shape(s) + " q_scale=" + std::to_string(q_scale),
          {input("q", q_count(s), normal(q_scale)), input("k", kv_count(s), normal()),
           input("v", kv_count(s), normal()), input("dy", q_count(s), normal()),
           input("y", q_count(s),
                 derived([=](const Problem& p) { return attention_result(p, s, false); })),
           input_f32("lse", s.rows() * s.heads,
                     derived([=](const Problem& p) { return attention_result(p, s, true); })),
           output("dq", q_count(s), [=](const Problem& p) { return errors(p).dq; }),
           output("dk", kv_count(s), [=](const Problem& p) { return errors(p).dk; }),
           output("dv", kv_count(s), [=](const Problem& p) { return errors(p).dv; })},
          [=](Ops& ops, const Args& a) {
            ops.attention_backward(a.out("dq"), a.out("dk"), a.out("dv"), a.in("dy"), a.in("y"),
                                   a.in("lse"), a.in("q"), a.in("k"), a.in("v"), s);
          }};
}

// The cases above over packed rows.
AttentionShape shape_of_packed(AttentionShape s, In starts) {
  s.packed = {starts, s.tokens};
  return s;
}

OpCase packed_attention_case(const AttentionShape& s, const Values& starts) {
  OpCase packed = attention_case(s, 1.0);
  packed.shape += " packed";
  packed.operands.insert(packed.operands.begin(), packed_operand(starts));
  packed.call = [=](Ops& ops, const Args& a) {
    ops.attention(a.out("y"), a.out("lse"), a.in("q"), a.in("k"), a.in("v"),
                  shape_of_packed(s, a.in("starts")));
  };
  packed.gradient.call = [=](Ops& ops, const Args& a) {
    ops.attention_backward(a.out("dq"), a.out("dk"), a.out("dv"), a.in("dy"), a.in("y"),
                           a.in("lse"), a.in("q"), a.in("k"), a.in("v"),
                           shape_of_packed(s, a.in("starts")));
  };
  return packed;
}

OpCase packed_attention_backward_case(const AttentionShape& s, const Values& starts) {
  OpCase packed = attention_backward_case(s, 1.0);
  packed.shape += " packed";
  packed.operands.insert(packed.operands.begin(), packed_operand(starts));
  for (Operand& operand : packed.operands) {
    const bool wants_lse = operand.name == "lse";
    if (operand.name != "y" && !wants_lse) continue;
    operand.fill = derived([=](const Problem& p) {
      const std::vector<int32_t> ids = ids_of(starts);
      return attention_result(p, shape_of_packed(s, {ids.data(), DType::kI32}), wants_lse);
    });
  }
  packed.call = [=](Ops& ops, const Args& a) {
    ops.attention_backward(a.out("dq"), a.out("dk"), a.out("dv"), a.in("dy"), a.in("y"),
                           a.in("lse"), a.in("q"), a.in("k"), a.in("v"),
                           shape_of_packed(s, a.in("starts")));
  };
  return packed;
}

// For each query head its x (or dy), its kv head's v and |v|.
template <class Body>
void for_each_head(const Problem& p, const AttentionShape& s, const Body& body) {
  for (int64_t i = 0; i < s.rows() * s.heads; ++i) {
    const int64_t row = i / s.heads, kv_head = i % s.heads / (s.heads / s.kv_heads);
    const size_t iv = index((row * s.kv_heads + kv_head) * s.head_dim);
    double squares = 0.0;
    for (size_t d = 0; d < index(s.head_dim); ++d) squares += p.in("v")[iv + d] * p.in("v")[iv + d];
    body(index(i * s.head_dim), iv, std::max(std::sqrt(squares), 1e-12));
  }
}

// sum_d |a_d u_d|
double dot_size(const Values& a, size_t ia, const Values& v, size_t iv, double norm,
                int64_t count) {
  double total = 0.0;
  for (size_t d = 0; d < index(count); ++d) total += std::abs(a[ia + d] * v[iv + d]) / norm;
  return total;
}

// y = x - (x . u) u: sizes |x| + |x|.|u| |u|; x.u loses a sum of S products, u twice half a sum of
// S squares (its norm) and three roundings, then a product and a difference.
Values xsa_errors(const Problem& p, const AttentionShape& s, const char* name) {
  const Values& x = p.in(name);
  Values sizes(x.size());
  for_each_head(p, s, [&](size_t ix, size_t iv, double norm) {
    const double x_dot_u = dot_size(x, ix, p.in("v"), iv, norm, s.head_dim);
    for (size_t d = 0; d < index(s.head_dim); ++d) {
      sizes[ix + d] = std::abs(x[ix + d]) + x_dot_u * std::abs(p.in("v")[iv + d]) / norm;
    }
  });
  return units_of(2 * sum_units(s.head_dim) + 10, sizes);
}

// du = -(dy . u) x - (x . u) dy, dv = (du - (du . u) u) / |v|, summed over the heads of v: a sum of
// S products inside another, and the norm (half a sum of S squares) in four places.
Values xsa_dv_errors(const Problem& p, const AttentionShape& s) {
  const Values &x = p.in("x"), &dy = p.in("dy"), &v = p.in("v");
  Values sizes(v.size(), 0.0), du(index(s.head_dim));
  for_each_head(p, s, [&](size_t ix, size_t iv, double norm) {
    const double x_dot_u = dot_size(x, ix, v, iv, norm, s.head_dim);
    const double dy_dot_u = dot_size(dy, ix, v, iv, norm, s.head_dim);
    for (size_t d = 0; d < du.size(); ++d) {
      du[d] = dy_dot_u * std::abs(x[ix + d]) + x_dot_u * std::abs(dy[ix + d]);
    }
    const double du_dot_u = dot_size(du, 0, v, iv, norm, s.head_dim);
    for (size_t d = 0; d < du.size(); ++d) {
      sizes[iv + d] += (du[d] + du_dot_u * std::abs(v[iv + d]) / norm) / norm;
    }
  });
  return units_of(4 * sum_units(s.head_dim) + sum_units(s.heads / s.kv_heads) + 16, sizes);
}

OpCase xsa_case(const AttentionShape& s) {
  return {OpId::kXsa,
          describe_shape(s),
          {input("x", q_count(s), normal()), input("v", kv_count(s), normal()),
           output("y", q_count(s), [=](const Problem& p) { return xsa_errors(p, s, "x"); })},
          [=](Ops& ops, const Args& a) { ops.xsa(a.out("y"), a.in("x"), a.in("v"), s); },
          {{"y"}, {"x", "v"}, [=](Ops& ops, const Args& a) {
             ops.xsa_backward(a.out("dx"), a.out("dv"), a.in("dy"), a.in("x"), a.in("v"), s);
           }}};
}

OpCase xsa_backward_case(const AttentionShape& s) {
  return {OpId::kXsaBackward,
          describe_shape(s),
          {input("dy", q_count(s), normal()), input("x", q_count(s), normal()),
           input("v", kv_count(s), normal()),
           output("dx", q_count(s), [=](const Problem& p) { return xsa_errors(p, s, "dy"); }),
           output("dv", kv_count(s), [=](const Problem& p) { return xsa_dv_errors(p, s); })},
          [=](Ops& ops, const Args& a) {
            ops.xsa_backward(a.out("dx"), a.out("dv"), a.in("dy"), a.in("x"), a.in("v"), s);
          }};
}

// Heads without a direction: v = 0 takes the 1e-12 branch, where u = 0.
OpCase with_zero_values(OpCase op_case, const AttentionShape& s) {
  for (Operand& operand : op_case.operands) {
    if (operand.name == "v") operand.fill = normal_with_zero_rows(s.head_dim);
  }
  op_case.gradient = {};
  op_case.shape += " some v = 0";
  return op_case;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  std::vector<OpCase> cases;
  // T of 1, 2, around and not a multiple of 32, 64 and 128; GQA ratios 1, 2, 3, 4; odd heads;
  // batches.
  const AttentionShape shapes[] = {
      shape_of(1, 1, 1, 1, 16), shape_of(3, 1, 2, 1, 16), shape_of(2, 3, 2, 2, 16),
      shape_of(2, 5, 2, 1, 16), shape_of(1, 33, 3, 3, 16), shape_of(2, 31, 6, 2, 32),
      shape_of(2, 65, 4, 2, 64), shape_of(1, 64, 2, 1, 64), shape_of(1, 130, 4, 1, 32),
      shape_of(1, 257, 1, 1, 64), shape_of(1, 128, 4, 2, 16),
      // Heads of more than one panel, of part of one and of part of a vector; several key blocks.
      shape_of(1, 70, 2, 1, 128), shape_of(1, 530, 1, 1, 16), shape_of(1, 75, 3, 1, 80),
      shape_of(2, 19, 2, 1, 24)};
  for (const AttentionShape& s : shapes) {
    cases.push_back(attention_case(s, 1.0));
    cases.push_back(attention_backward_case(s, 1.0));
    const int64_t cols = s.kv_heads * s.head_dim;
    cases.push_back(with_views(attention_case(s, 1.0), {{"v", cols}}));
    cases.push_back(with_views(attention_backward_case(s, 1.0), {{"v", cols}, {"dv", cols}}));
  }
  // Scores of about +-20 (peaked) and +-200 (exp of the unshifted score would overflow).
  for (const double q_scale : {8.0, 80.0}) {
    cases.push_back(attention_case(shape_of(1, 67, 2, 1, 32), q_scale));
    cases.push_back(attention_backward_case(shape_of(1, 67, 2, 1, 32), q_scale));
  }
  // Queries behind others: alone and with more, at and around the end of 16 and of 64 keys, of the
  // second block of keys, in a batch.
  for (const auto& [first, tokens] : std::initializer_list<std::pair<int64_t, int64_t>>{
           {1, 1}, {14, 1}, {15, 1}, {16, 1}, {63, 1}, {64, 3}, {31, 34}, {511, 1}, {500, 40}}) {
    for (AttentionShape s : {shape_of(1, tokens, 3, 1, 64), shape_of(2, tokens, 2, 2, 24)}) {
      s.first = first;
      const OpCase later = without_gradient(attention_case(s, 1.0));
      cases.push_back(later);
      cases.push_back(with_views(later, {{"v", s.kv_heads * s.head_dim}}));
    }
  }
  // Sequences of one row, of more than a tile, of more than a block of keys; a batch whose rows begin
  // theirs elsewhere; heads of part of a panel; views.
  const std::pair<AttentionShape, std::vector<int64_t>> packed[] = {
      {shape_of(1, 1, 1, 1, 16), {}},
      {shape_of(2, 9, 2, 1, 16), {1, 4}},
      {shape_of(1, 70, 4, 2, 64), {1, 2, 35, 64, 69}},
      {shape_of(3, 40, 2, 2, 32), {16, 17}},
      {shape_of(1, 300, 2, 1, 16), {7, 130, 131, 260}},
      {shape_of(1, 560, 1, 1, 16), {20}},
      {shape_of(2, 45, 3, 1, 24), {30}}};
  for (const auto& [s, begins] : packed) {
    const Values starts = packed_starts(s.batch, s.tokens, begins);
    cases.push_back(packed_attention_case(s, starts));
    cases.push_back(packed_attention_backward_case(s, starts));
    const int64_t cols = s.kv_heads * s.head_dim;
    cases.push_back(with_views(packed_attention_case(s, starts), {{"v", cols}}));
    cases.push_back(
        with_views(packed_attention_backward_case(s, starts), {{"v", cols}, {"dv", cols}}));
  }
  AttentionShape other_scale = shape_of(1, 33, 2, 2, 32);
  other_scale.scale = 0.3f;
  cases.push_back(attention_case(other_scale, 1.5));
  cases.push_back(attention_backward_case(other_scale, 1.5));

  const AttentionShape xsa_shapes[] = {
      shape_of(1, 1, 1, 1, 16),  shape_of(2, 3, 2, 1, 16),   shape_of(1, 5, 3, 3, 16),
      shape_of(3, 33, 4, 1, 32), shape_of(1, 131, 8, 4, 64), shape_of(2, 257, 3, 1, 16),
      shape_of(1, 3, 2, 1, 128), shape_of(1, 2, 34, 34, 64), shape_of(1, 3, 4, 2, 24)};
  for (const AttentionShape& s : xsa_shapes) {
    cases.push_back(xsa_case(s));
    cases.push_back(xsa_backward_case(s));
    const int64_t cols = s.kv_heads * s.head_dim;
    cases.push_back(with_views(xsa_case(s), {{"v", cols}}));
    cases.push_back(with_views(xsa_backward_case(s), {{"v", cols}, {"dv", cols}}));
  }
  for (const AttentionShape& s : {xsa_shapes[2], xsa_shapes[3]}) {
    cases.push_back(with_zero_values(xsa_case(s), s));
    cases.push_back(with_zero_values(xsa_backward_case(s), s));
  }
  return cases;
}

std::vector<OpCase> attention_record_cases() {
  const AttentionShape grouped = shape_of(1, 512, 8, 4, 64), wide = shape_of(1, 512, 2, 1, 128);
  const AttentionShape rows = shape_of(1, 2048, 8, 4, 64);
  return {attention_case(grouped, 1.0),
          attention_backward_case(grouped, 1.0),
          attention_case(wide, 1.0),
          attention_backward_case(wide, 1.0),
          xsa_case(rows),
          xsa_backward_case(rows)};
}

}  // namespace pg::optest
