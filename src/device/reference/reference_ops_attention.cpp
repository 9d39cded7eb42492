// Attention and what surrounds it, in double, row by row; formulas in src/device/ops.h.
#include <algorithm>
#include <cmath>
#include <utility>

#include "src/device/reference/reference_ops.h"
#include "src/device/reference/reference_values.h"

namespace pg {

using reference::read;
using reference::read_or_ones;
using reference::read_rows;
using reference::Values;
using reference::write;
using reference::write_rows;

namespace {

constexpr double kXsaMinNorm = 1e-12;

Values zeros(int64_t count) { return Values(static_cast<size_t>(count), 0.0); }

double dot(const double* a, const double* b, int64_t count) {
  double total = 0.0;
  for (int64_t i = 0; i < count; ++i) total += a[i] * b[i];
  return total;
}

// y += s x
void add_scaled_row(double* y, double s, const double* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] += s * x[i];
}

// Turns the pairs (i, i + R/2) of one head by the angles of cos_sin [R/2, 2]; direction -1 is the
// inverse.
void rotate(double* head, const double* cos_sin, int64_t rope_dims, double direction) {
  const int64_t half = rope_dims / 2;
  for (int64_t i = 0; i < half; ++i) {
    const double c = cos_sin[2 * i], s = direction * cos_sin[2 * i + 1];
    const double low = head[i], high = head[i + half];
    head[i] = low * c + high * s;
    head[i + half] = high * c - low * s;
  }
}

int64_t start_of(const PackedRows& packed, int64_t row) {
  return packed.starts ? packed.starts.as<int32_t>()[row] : 0;
}

// Positions that a table of angles has.
int64_t table_rows(const HeadShape& shape) {
  return shape.packed.starts ? shape.packed.longest : shape.first + shape.tokens;
}

// Where the vectors of one (batch row, token, head) lie in [N, H*S] and [N, K*S].
struct HeadIndex {
  explicit HeadIndex(const AttentionShape& shape) : s(shape) {}
  int64_t q(int64_t b, int64_t t, int64_t h) const {
    return ((b * s.tokens + t) * s.heads + h) * s.head_dim;
  }
  int64_t kv(int64_t b, int64_t t, int64_t h) const {
    const int64_t kv_head = h / (s.heads / s.kv_heads);
    return ((b * s.keys() + t) * s.kv_heads + kv_head) * s.head_dim;
  }
  int64_t lse(int64_t b, int64_t t, int64_t h) const { return (b * s.heads + h) * s.tokens + t; }
  int64_t first_key(int64_t b, int64_t t) const { return start_of(s.packed, b * s.tokens + t); }
  const AttentionShape& s;
};

// Calls body(batch row, head, token) for all.
template <class Body>
void for_each_query(const AttentionShape& shape, const Body& body) {
  PG_CHECK(shape.heads % shape.kv_heads == 0, "query heads are a multiple of kv heads");
  for (int64_t b = 0; b < shape.batch; ++b) {
    for (int64_t h = 0; h < shape.heads; ++h) {
      for (int64_t t = 0; t < shape.tokens; ++t) body(b, h, t);
    }
  }
}

}  // namespace

void ReferenceOps::qk_norm_rope(Out y, Out rstd, In x, In gain, In table, float eps,
                                const HeadShape& shape) {
  // n = x r, r = 1 / sqrt(mean(x^2) + eps) over the head, or 1; y = gain rope(n)
  const int64_t size = shape.head_dim;
  Values y_values = read_rows(x, shape.rows(), shape.heads * size);
  const Values gains = read_or_ones(gain, shape.heads);
  const Values cos_sin = read(table, table_rows(shape) * shape.rope_dims);
  Values rstd_values = zeros(shape.rows() * shape.heads);
  for (int64_t i = 0; i < shape.rows() * shape.heads; ++i) {
    const int64_t h = i % shape.heads, row = i / shape.heads;
    const int64_t t = shape.first + row % shape.tokens - start_of(shape.packed, row);
    double* head = &y_values[static_cast<size_t>(i * size)];
    const double mean = dot(head, head, size) / static_cast<double>(size);
    const double r = shape.is_normed ? 1.0 / std::sqrt(mean + eps) : 1.0;
    rotate(head, cos_sin.data() + t * shape.rope_dims, shape.rope_dims, 1.0);
    for (int64_t d = 0; d < size; ++d) head[d] *= r * gains[static_cast<size_t>(h)];
    rstd_values[static_cast<size_t>(i)] = r;
  }
  write(y, y_values);
  write(rstd, rstd_values);
}

void ReferenceOps::qk_norm_rope_backward(Out dx, Out dgain, In dy, In x, In rstd, In gain, In table,
                                         const HeadShape& shape) {
  // dn = gain rope^-1(dy); dx = r (dn - x r^2 mean(dn x)); dgain = sum of rope^-1(dy) . n, since a
  // rotation keeps inner products: dy . rope(n) = rope^-1(dy) . n
  const int64_t size = shape.head_dim;
  const Values x_values = read_rows(x, shape.rows(), shape.heads * size);
  const Values rstd_values = read(rstd, shape.rows() * shape.heads);
  const Values gains = read_or_ones(gain, shape.heads);
  const Values cos_sin = read(table, table_rows(shape) * shape.rope_dims);
  Values dx_values = read(dy, shape.rows() * shape.heads * size), dgain_values = zeros(shape.heads);
  for (int64_t i = 0; i < shape.rows() * shape.heads; ++i) {
    const size_t h = static_cast<size_t>(i % shape.heads);
    const int64_t row = i / shape.heads;
    const int64_t t = row % shape.tokens - start_of(shape.packed, row);
    const double r = shape.is_normed ? rstd_values[static_cast<size_t>(i)] : 1.0;
    const double* x_head = &x_values[static_cast<size_t>(i * size)];
    double* d_head = &dx_values[static_cast<size_t>(i * size)];
    rotate(d_head, cos_sin.data() + t * shape.rope_dims, shape.rope_dims, -1.0);
    const double d_dot_x = dot(d_head, x_head, size);
    dgain_values[h] += r * d_dot_x;
    const double mean = shape.is_normed ? gains[h] * d_dot_x / static_cast<double>(size) : 0.0;
    for (int64_t d = 0; d < size; ++d) {
      d_head[d] = r * (gains[h] * d_head[d] - x_head[d] * r * r * mean);
    }
  }
  write_rows(dx, dx_values, shape.heads * size);
  write(dgain, dgain_values);
}

void ReferenceOps::attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) {
  // s_j = scale q_t . k_j for j <= t, of packed rows from the sequence's first; lse = log sum_j exp(s_j); y_t = sum_j exp(s_j - lse) v_j
  const int64_t size = shape.head_dim, q_count = shape.rows() * shape.heads * size;
  const int64_t kv_rows = shape.batch * shape.keys(), kv_count = kv_rows * shape.kv_heads * size;
  const Values q_values = read(q, q_count), k_values = read(k, kv_count),
               v_values = read_rows(v, kv_rows, shape.kv_heads * size);
  Values y_values = zeros(q_count), lse_values = zeros(shape.rows() * shape.heads);
  Values scores = zeros(shape.keys());
  const HeadIndex at(shape);
  for_each_query(shape, [&](int64_t b, int64_t h, int64_t t) {
    double largest = -HUGE_VAL, total = 0.0;
    const int64_t begin = at.first_key(b, t), last = shape.first + t;
    for (int64_t j = begin; j <= last; ++j) {
      scores[static_cast<size_t>(j)] =
          shape.scale * dot(&q_values[static_cast<size_t>(at.q(b, t, h))],
                            &k_values[static_cast<size_t>(at.kv(b, j, h))], size);
      largest = std::max(largest, scores[static_cast<size_t>(j)]);
    }
    for (int64_t j = begin; j <= last; ++j) {
      total += std::exp(scores[static_cast<size_t>(j)] - largest);
    }
    const double log_sum_exp = largest + std::log(total);
    lse_values[static_cast<size_t>(at.lse(b, t, h))] = log_sum_exp;
    for (int64_t j = begin; j <= last; ++j) {
      add_scaled_row(&y_values[static_cast<size_t>(at.q(b, t, h))],
                     std::exp(scores[static_cast<size_t>(j)] - log_sum_exp),
                     &v_values[static_cast<size_t>(at.kv(b, j, h))], size);
    }
  });
  write(y, y_values);
  write(lse, lse_values);
}

void ReferenceOps::attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                                      const AttentionShape& shape) {
  // p_tj = exp(scale q_t . k_j - lse_t); ds_tj = p_tj (dy_t . v_j - dy_t . y_t);
  // dq_t = scale sum_j ds_tj k_j, dk_j = scale sum_t ds_tj q_t, dv_j = sum_t p_tj dy_t
  PG_CHECK(shape.first == 0, "a gradient is that of all queries");
  const int64_t size = shape.head_dim, q_count = shape.rows() * shape.heads * size;
  const int64_t kv_count = shape.rows() * shape.kv_heads * size;
  const Values q_values = read(q, q_count), k_values = read(k, kv_count),
               v_values = read_rows(v, shape.rows(), shape.kv_heads * size);
  const Values y_values = read(y, q_count), dy_values = read(dy, q_count);
  const Values lse_values = read(lse, shape.rows() * shape.heads);
  Values dq_values = zeros(q_count), dk_values = zeros(kv_count), dv_values = zeros(kv_count);
  const HeadIndex at(shape);
  for_each_query(shape, [&](int64_t b, int64_t h, int64_t t) {
    const size_t iq = static_cast<size_t>(at.q(b, t, h));
    const double log_sum_exp = lse_values[static_cast<size_t>(at.lse(b, t, h))];
    const double dy_dot_y = dot(&dy_values[iq], &y_values[iq], size);
    for (int64_t j = at.first_key(b, t); j <= t; ++j) {
      const size_t ik = static_cast<size_t>(at.kv(b, j, h));
      const double score = shape.scale * dot(&q_values[iq], &k_values[ik], size);
      const double p = std::exp(score - log_sum_exp);
      const double ds = p * (dot(&dy_values[iq], &v_values[ik], size) - dy_dot_y);
      add_scaled_row(&dq_values[iq], shape.scale * ds, &k_values[ik], size);
      add_scaled_row(&dk_values[ik], shape.scale * ds, &q_values[iq], size);
      add_scaled_row(&dv_values[ik], p, &dy_values[iq], size);
    }
  });
  write(dq, dq_values);
  write(dk, dk_values);
  write_rows(dv, dv_values, shape.kv_heads * size);
}

void ReferenceOps::xsa(Out y, In x, In v, const AttentionShape& shape) {
  // y = x - (x . u) u, u = v / max(|v|, 1e-12)
  const int64_t size = shape.head_dim;
  const Values x_values = read(x, shape.rows() * shape.heads * size);
  const Values v_values = read_rows(v, shape.rows(), shape.kv_heads * size);
  Values y_values = x_values;
  const HeadIndex at(shape);
  for_each_query(shape, [&](int64_t b, int64_t h, int64_t t) {
    const double* v_head = &v_values[static_cast<size_t>(at.kv(b, t, h))];
    const size_t ix = static_cast<size_t>(at.q(b, t, h));
    const double norm = std::max(std::sqrt(dot(v_head, v_head, size)), kXsaMinNorm);
    const double x_dot_u = dot(&x_values[ix], v_head, size) / norm;
    add_scaled_row(&y_values[ix], -x_dot_u / norm, v_head, size);
  });
  write(y, y_values);
}

void ReferenceOps::xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) {
  // dx = dy - (dy . u) u; du = -(dy . u) x - (x . u) dy; dv = sum over the heads of v of (du - (du
  // . u) u) / |v|, where below the smallest norm u is linear in v and dv = du / 1e-12
  const int64_t size = shape.head_dim;
  const Values x_values = read(x, shape.rows() * shape.heads * size);
  const Values v_values = read_rows(v, shape.rows(), shape.kv_heads * size);
  const Values dy_values = read(dy, shape.rows() * shape.heads * size);
  Values dx_values = dy_values, dv_values = zeros(shape.rows() * shape.kv_heads * size);
  Values u = zeros(size), du = zeros(size);
  const HeadIndex at(shape);
  for_each_query(shape, [&](int64_t b, int64_t h, int64_t t) {
    const size_t iv = static_cast<size_t>(at.kv(b, t, h)), ix = static_cast<size_t>(at.q(b, t, h));
    const double true_norm = std::sqrt(dot(&v_values[iv], &v_values[iv], size));
    const double norm = std::max(true_norm, kXsaMinNorm);
    for (int64_t d = 0; d < size; ++d)
      u[static_cast<size_t>(d)] = v_values[iv + static_cast<size_t>(d)] / norm;
    const double dy_dot_u = dot(&dy_values[ix], u.data(), size);
    const double x_dot_u = dot(&x_values[ix], u.data(), size);
    add_scaled_row(&dx_values[ix], -dy_dot_u, u.data(), size);
    std::fill(du.begin(), du.end(), 0.0);
    add_scaled_row(du.data(), -dy_dot_u, &x_values[ix], size);
    add_scaled_row(du.data(), -x_dot_u, &dy_values[ix], size);
    if (true_norm > kXsaMinNorm)
      add_scaled_row(du.data(), -dot(du.data(), u.data(), size), u.data(), size);
    add_scaled_row(&dv_values[iv], 1.0 / norm, du.data(), size);
  });
  write(dx, dx_values);
  write_rows(dv, dv_values, shape.kv_heads * size);
}

}  // namespace pg
