// Ops of models beyond the base stack, in double; formulas in src/device/ops.h.
#include <cmath>

#include "src/device/reference/reference_ops.h"
#include "src/device/reference/reference_values.h"

namespace pg {

using reference::read;
using reference::read_ids;
using reference::read_rows;
using reference::read_scalar_or_one;
using reference::Values;
using reference::write;
using reference::write_rows;

namespace {

Values zeros(int64_t count) { return Values(static_cast<size_t>(count), 0.0); }
size_t index(int64_t i) { return static_cast<size_t>(i); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// x_t[0:width] and what smear makes of it: x from its row `row` on.
double token_gate(const Values& x, int64_t row, const Values& w, int64_t dim) {
  double product = 0.0;
  for (size_t i = 0; i < w.size(); ++i) product += w[i] * x[index(row * dim) + i];
  return sigmoid(product);
}

// sigmoid(scale w_h . n[0:width] + b_h) of row r.
double head_gate(const HeadGateShape& s, const Values& n, const Values& w, const Values& b,
                 int64_t r, int64_t h) {
  double product = 0.0;
  for (int64_t i = 0; i < s.width; ++i) {
    product += w[index(h * s.width + i)] * n[index(r * s.dim + i)];
  }
  return sigmoid(static_cast<double>(s.scale) * product + b[index(h)]);
}

bool reads_before(const TokenSmearShape& s, int64_t row, int32_t id) {
  return (s.first + row) % s.tokens != 0 && id != s.bos;
}

}  // namespace

void ReferenceOps::swiglu(Out y, In gate, In up, int64_t rows, int64_t dim) {
  // y = gate sigmoid(gate) up
  const Values gate_values = read_rows(gate, rows, dim);
  Values y_values = read_rows(up, rows, dim);
  for (size_t i = 0; i < y_values.size(); ++i) {
    y_values[i] *= gate_values[i] * sigmoid(gate_values[i]);
  }
  write(y, y_values);
}

void ReferenceOps::swiglu_backward(Out dgate, Out dup, In dy, In gate, In up, int64_t rows,
                                   int64_t dim) {
  // s = sigmoid(gate): dgate = dy up s (1 + gate (1 - s)), dup = dy gate s
  const Values dy_values = read(dy, rows * dim);
  const Values gate_values = read_rows(gate, rows, dim), up_values = read_rows(up, rows, dim);
  Values dgate_values = dy_values, dup_values = dy_values;
  for (size_t i = 0; i < dy_values.size(); ++i) {
    const double g = gate_values[i], s = sigmoid(g);
    dgate_values[i] *= up_values[i] * s * (1.0 + g * (1.0 - s));
    dup_values[i] *= g * s;
  }
  write_rows(dgate, dgate_values, dim);
  write_rows(dup, dup_values, dim);
}

void ReferenceOps::token_smear(Out y, In x, In ids, In w, In scale, const TokenSmearShape& s) {
  // y_t = x_t + scale sigmoid(w . x_t[0:width]) x_{t-1}
  const int64_t before = s.first % s.tokens == 0 ? 0 : 1;  // rows in front that are read
  x.data = static_cast<const char*>(x.data) -
           before * s.dim * static_cast<int64_t>(dtype_bytes(x.dtype));
  const Values x_values = read(x, (before + s.rows) * s.dim), w_values = read(w, s.width);
  const auto id = read_ids(ids, s.rows);
  const double scale_value = read(scale, 1)[0];
  Values y_values = zeros(s.rows * s.dim);
  for (int64_t r = 0; r < s.rows; ++r) {
    const bool reads = reads_before(s, r, id[index(r)]);
    const double factor =
        reads ? scale_value * token_gate(x_values, before + r, w_values, s.dim) : 0.0;
    for (int64_t d = 0; d < s.dim; ++d) {
      const int64_t i = (before + r) * s.dim + d;
      y_values[index(r * s.dim + d)] =
          x_values[index(i)] + (reads ? factor * x_values[index(i - s.dim)] : 0.0);
    }
  }
  write(y, y_values);
}

void ReferenceOps::token_smear_backward(Out dx, Out dw, Out dscale, In dy, In x, In ids, In w,
                                        In scale, const TokenSmearShape& s) {
  // a_t = dy_t . x_{t-1}: dscale = sum g a, dw = scale sum g (1-g) a x[0:width],
  // dx_t = dy_t + scale g (1-g) a w, dx_{t-1} += scale g dy_t
  const Values dy_values = read(dy, s.rows * s.dim), x_values = read(x, s.rows * s.dim);
  const Values w_values = read(w, s.width);
  const auto id = read_ids(ids, s.rows);
  const double scale_value = read(scale, 1)[0];
  Values dx_values = dy_values, dw_values = zeros(s.width), dscale_values = zeros(1);
  for (int64_t r = 0; r < s.rows; ++r) {
    if (!reads_before(s, r, id[index(r)])) continue;
    const double g = token_gate(x_values, r, w_values, s.dim);
    double a = 0.0;
    for (int64_t i = r * s.dim; i < (r + 1) * s.dim; ++i) {
      a += dy_values[index(i)] * x_values[index(i - s.dim)];
      dx_values[index(i - s.dim)] += scale_value * g * dy_values[index(i)];
    }
    dscale_values[0] += g * a;
    const double dgate = scale_value * g * (1.0 - g) * a;
    for (int64_t i = 0; i < s.width; ++i) {
      dw_values[index(i)] += dgate * x_values[index(r * s.dim + i)];
      dx_values[index(r * s.dim + i)] += dgate * w_values[index(i)];
    }
  }
  write(dx, dx_values);
  write(dw, dw_values);
  write(dscale, dscale_values);
}

void ReferenceOps::gated_mix(Out y, In x, In z, In w, In gate, int64_t rows, int64_t dim) {
  // g = sigmoid(gate), y = g x + (1-g) w z
  const Values x_values = read(x, rows * dim), z_values = read(z, rows * dim);
  const Values w_values = read(w, dim), gates = read(gate, dim);
  Values y_values = zeros(rows * dim);
  for (int64_t i = 0; i < rows * dim; ++i) {
    const double g = sigmoid(gates[index(i % dim)]);
    y_values[index(i)] =
        g * x_values[index(i)] + (1.0 - g) * w_values[index(i % dim)] * z_values[index(i)];
  }
  write(y, y_values);
}

void ReferenceOps::gated_mix_backward(Out dx, Out dz, Out dw, Out dgate, In dy, In x, In z, In w,
                                      In gate, int64_t rows, int64_t dim) {
  // dx = g dy, dz = (1-g) w dy, dw = (1-g) sum dy z, dgate = g (1-g) sum dy (x - w z)
  const Values dy_values = read(dy, rows * dim), w_values = read(w, dim), gates = read(gate, dim);
  const Values x_values = dgate ? read(x, rows * dim) : zeros(rows * dim);
  const Values z_values = dgate || dw ? read(z, rows * dim) : zeros(rows * dim);
  Values dx_values = dy_values, dz_values = dy_values;
  Values dw_values = zeros(dim), dgate_values = zeros(dim);
  for (int64_t i = 0; i < rows * dim; ++i) {
    const size_t d = index(i % dim);
    const double g = sigmoid(gates[d]);
    dx_values[index(i)] *= g;
    dz_values[index(i)] *= (1.0 - g) * w_values[d];
    dw_values[d] += (1.0 - g) * dy_values[index(i)] * z_values[index(i)];
    dgate_values[d] += g * (1.0 - g) * dy_values[index(i)] *
                       (x_values[index(i)] - w_values[d] * z_values[index(i)]);
  }
  write(dx, dx_values);
  write(dz, dz_values);
  write(dw, dw_values);
  write(dgate, dgate_values);
}

void ReferenceOps::blend(Out y, In x, In a, In z, In b, bool sigmoid_of_b, int64_t rows,
                         int64_t dim) {
  // y = a x + s z, s = b or sigmoid(b)
  const double a_value = read_scalar_or_one(a), b_value = read(b, 1)[0];
  const double s = sigmoid_of_b ? sigmoid(b_value) : b_value;
  Values y_values = read_rows(x, rows, dim);
  const Values z_values = read_rows(z, rows, dim);
  for (size_t i = 0; i < y_values.size(); ++i)
    y_values[i] = a_value * y_values[i] + s * z_values[i];
  write(y, y_values);
}

void ReferenceOps::blend_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                                  bool sigmoid_of_b, int64_t rows, int64_t dim) {
  // dx = a dy, dz = s dy, da = sum dy x, db = s' sum dy z, s' = 1 or s (1-s)
  const double a_value = read_scalar_or_one(a), b_value = read(b, 1)[0];
  const double s = sigmoid_of_b ? sigmoid(b_value) : b_value;
  const double slope = sigmoid_of_b ? s * (1.0 - s) : 1.0;
  Values dx_values = read(dy, rows * dim), dz_values = dx_values;
  const auto dot_with_dy = [&](In term) {
    const Values term_values = read_rows(term, rows, dim);
    double total = 0.0;
    for (size_t i = 0; i < term_values.size(); ++i) total += dz_values[i] * term_values[i];
    return total;
  };
  if (da) write(da, {dot_with_dy(x)});
  if (db) write(db, {slope * dot_with_dy(z)});
  for (double& v : dx_values) v *= a_value;
  for (double& v : dz_values) v *= s;
  write_rows(dx, dx_values, dim);
  write_rows(dz, dz_values, dim);
}

void ReferenceOps::gate_heads(Out y, In x, In n, In w, In b, const HeadGateShape& s) {
  // y_h = factor sigmoid(scale w_h . n[0:width] + b_h) x_h
  const Values n_values = read(n, s.rows * s.dim), w_values = read(w, s.heads * s.width);
  const Values b_values = b ? read(b, s.heads) : zeros(s.heads);
  Values y_values = read(x, s.rows * s.heads * s.head_dim);
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const double g =
          static_cast<double>(s.factor) * head_gate(s, n_values, w_values, b_values, r, h);
      for (int64_t i = 0; i < s.head_dim; ++i) {
        y_values[index((r * s.heads + h) * s.head_dim + i)] *= g;
      }
    }
  }
  write(y, y_values);
}

void ReferenceOps::gate_heads_backward(Out dx, Out dn, Out dw, Out db, In dy, In x, In n, In w,
                                       In b, const HeadGateShape& s) {
  // u = factor g (1-g) dy_h . x_h with g the sigmoid: dx = factor g dy, db = sum u,
  // dw = scale sum u n[0:width], dn[0:width] = scale sum over heads of u w_h
  const Values x_values = read(x, s.rows * s.heads * s.head_dim);
  const Values n_values = read(n, s.rows * s.dim), w_values = read(w, s.heads * s.width);
  const Values b_values = b ? read(b, s.heads) : zeros(s.heads);
  Values dx_values = read(dy, s.rows * s.heads * s.head_dim), dn_values = zeros(s.rows * s.dim);
  Values dw_values = zeros(s.heads * s.width), db_values = zeros(s.heads);
  const auto scale = static_cast<double>(s.scale), factor = static_cast<double>(s.factor);
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const double g = head_gate(s, n_values, w_values, b_values, r, h);
      double along = 0.0;
      const int64_t first = (r * s.heads + h) * s.head_dim;
      for (int64_t i = first; i < first + s.head_dim; ++i) {
        along += dx_values[index(i)] * x_values[index(i)];
        dx_values[index(i)] *= factor * g;
      }
      const double u = factor * g * (1.0 - g) * along;
      db_values[index(h)] += u;
      for (int64_t i = 0; i < s.width; ++i) {
        dw_values[index(h * s.width + i)] += scale * u * n_values[index(r * s.dim + i)];
        dn_values[index(r * s.dim + i)] += scale * u * w_values[index(h * s.width + i)];
      }
    }
  }
  write(dx, dx_values);
  write(dn, dn_values);
  write(dw, dw_values);
  write(db, db_values);
}

void ReferenceOps::prepend_rows(Out y, In m, In x, const PrependShape& s) {
  // of each sequence y = m, then its rows of x
  const int64_t length = s.memory + s.tokens;
  const Values m_values = m ? read(m, s.memory * s.dim) : zeros(s.memory * s.dim);
  const Values x_values = read(x, s.batch * s.tokens * s.dim);
  Values y_values;
  for (int64_t row = s.first; row < s.first + s.rows; ++row) {
    const int64_t sequence = row / length, place = row % length;
    for (int64_t d = 0; d < s.dim; ++d) {
      const bool is_memory = place < s.memory;
      y_values.push_back(
          is_memory ? m_values[index(place * s.dim + d)]
                    : x_values[index((sequence * s.tokens + place - s.memory) * s.dim + d)]);
    }
  }
  write(y, y_values);
}

void ReferenceOps::prepend_rows_backward(Out dx, Out dm, In dy, const PrependShape& s) {
  // dx = dy behind the memory, dm = the sum of the rest
  const int64_t length = s.memory + s.tokens;
  const Values dy_values = read(dy, s.batch * length * s.dim);
  Values dx_values, dm_values = zeros(s.memory * s.dim);
  for (int64_t i = 0; i < s.batch * length * s.dim; ++i) {
    const int64_t place = i % (length * s.dim);
    if (place < s.memory * s.dim) {
      dm_values[index(place)] += dy_values[index(i)];
    } else {
      dx_values.push_back(dy_values[index(i)]);
    }
  }
  write(dx, dx_values);
  write(dm, dm_values);
}

}  // namespace pg
