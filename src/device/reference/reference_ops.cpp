// Linear maps, embeddings, elementwise ops, norms and the loss, in double; formulas in
// src/device/ops.h.
#include "src/device/reference/reference_ops.h"

#include <algorithm>
#include <cmath>

#include "src/device/reference/reference_values.h"

namespace pg {

using reference::read;
using reference::read_ids;
using reference::read_or_ones;
using reference::read_rows;
using reference::read_scalar_or_one;
using reference::rounded_to;
using reference::Values;
using reference::write;
using reference::write_ids;
using reference::write_rows;

namespace {

Values zeros(int64_t count) { return Values(static_cast<size_t>(count), 0.0); }
size_t index(int64_t i) { return static_cast<size_t>(i); }

// c[m, n] = a[m, k] b[k, n], where a strides by (a_row, a_col) and b by (b_row, b_col).
struct Strides {
  int64_t row, col;
};
Values multiply(const Values& a, Strides as, const Values& b, Strides bs, int64_t m, int64_t n,
                int64_t k) {
  // Whole rows of c at a time: each sum still runs along k in order, and memory is read in order.
  Values rows = zeros(k * n);
  for (int64_t l = 0; l < k; ++l) {
    for (int64_t j = 0; j < n; ++j) {
      rows[index(l * n + j)] = b[index(l * bs.row + j * bs.col)];
    }
  }
  Values c = zeros(m * n);
  for (int64_t i = 0; i < m; ++i) {
    double* const c_row = c.data() + i * n;
    for (int64_t l = 0; l < k; ++l) {
      const double factor = a[index(i * as.row + l * as.col)];
      const double* const b_row = rows.data() + l * n;
      for (int64_t j = 0; j < n; ++j) c_row[j] += factor * b_row[j];
    }
  }
  return c;
}

double dot(const Values& a, const Values& b) {
  double total = 0.0;
  for (size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// x from so many elements earlier on.
In rows_before(In x, int64_t elements) {
  x.data = static_cast<const char*>(x.data) - elements * static_cast<int64_t>(dtype_bytes(x.dtype));
  return x;
}

}  // namespace

// ---- linear maps ----

void ReferenceOps::linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) {
  // y = addend + x wT
  Values y_values =
      multiply(read(x, rows * in), {in, 1}, read(w, out * in), {1, in}, rows, out, in);
  const Values addend_values = read(addend, rows * out);
  for (size_t i = 0; i < addend_values.size(); ++i) y_values[i] += addend_values[i];
  write_rows(y, y_values, out);
}

void ReferenceOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  // dx = dy w
  write(dx,
        multiply(read_rows(dy, rows, out), {out, 1}, read(w, out * in), {in, 1}, rows, in, out));
}

void ReferenceOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  // dw = dyT x
  write(dw,
        multiply(read_rows(dy, rows, out), {1, out}, read(x, rows * in), {in, 1}, out, in, rows));
}

// ---- embeddings ----

void ReferenceOps::embed(Out y, In ids, In table, int64_t rows, int64_t dim) {
  const auto id = read_ids(ids, rows);
  // The number of table rows is not an argument: read up to the largest id.
  const int64_t used_rows = rows > 0 ? *std::max_element(id.begin(), id.end()) + int64_t{1} : 0;
  const Values table_values = read(table, used_rows * dim);
  Values y_values = zeros(rows * dim);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t d = 0; d < dim; ++d) {
      y_values[index(r * dim + d)] = table_values[index(id[index(r)] * dim + d)];
    }
  }
  write(y, y_values);
}

void ReferenceOps::embed_backward(Out dtable, In ids, In dy, int64_t rows, int64_t vocab,
                                  int64_t dim) {
  const auto id = read_ids(ids, rows);
  const Values dy_values = read(dy, rows * dim);
  Values dtable_values = zeros(vocab * dim);
  for (int64_t r = 0; r < rows; ++r) {
    PG_CHECK(id[index(r)] >= 0 && id[index(r)] < vocab, "an id lies in [0, vocab)");
    for (int64_t d = 0; d < dim; ++d) {
      dtable_values[index(id[index(r)] * dim + d)] += dy_values[index(r * dim + d)];
    }
  }
  write(dtable, dtable_values);
}

void ReferenceOps::mean_bags(Out y, In x, int64_t rows, int64_t bag, int64_t dim) {
  const Values x_values = read(x, rows * bag * dim);
  Values y_values = zeros(rows * dim);
  for (int64_t r = 0; r < rows * bag; ++r) {
    for (int64_t d = 0; d < dim; ++d) {
      y_values[index(r / bag * dim + d)] += x_values[index(r * dim + d)];
    }
  }
  for (double& value : y_values) value /= static_cast<double>(bag);
  write(y, y_values);
}

void ReferenceOps::mean_bags_backward(Out dx, In dy, int64_t rows, int64_t bag, int64_t dim) {
  const Values dy_values = read(dy, rows * dim);
  Values dx_values = zeros(rows * bag * dim);
  for (int64_t r = 0; r < rows * bag; ++r) {
    for (int64_t d = 0; d < dim; ++d) {
      dx_values[index(r * dim + d)] =
          dy_values[index(r / bag * dim + d)] / static_cast<double>(bag);
    }
  }
  write(dx, dx_values);
}

void ReferenceOps::bigram_hash(Out hashed, In ids, int64_t rows, int64_t tokens, int64_t buckets,
                               int64_t first, bool trigram) {
  PG_CHECK(buckets > 1, "one bucket is for row starts: there must be another");
  const int64_t more = trigram ? 2 : 1;
  const int64_t before = std::min(first % tokens, more);  // rows in front that are read
  const auto id = read_ids(rows_before(ids, before), before + rows);
  const int32_t modulus = static_cast<int32_t>(buckets - 1);
  std::vector<int32_t> hashed_ids(index(rows));
  for (int64_t r = 0; r < rows; ++r) {
    if ((first + r) % tokens < more) {
      hashed_ids[index(r)] = modulus;
      continue;
    }
    // int32 products that wrap; ids below 59,000 never do. The remainder has the sign of the
    // modulus (Python's rule).
    uint32_t mixed = (36313u * static_cast<uint32_t>(id[index(before + r)])) ^
                     (27191u * static_cast<uint32_t>(id[index(before + r - 1)]));
    if (trigram) mixed ^= 51497u * static_cast<uint32_t>(id[index(before + r - 2)]);
    const int32_t remainder = static_cast<int32_t>(mixed) % modulus;
    hashed_ids[index(r)] = remainder < 0 ? remainder + modulus : remainder;
  }
  write_ids(hashed, hashed_ids);
}

// ---- elementwise ----

void ReferenceOps::add_scaled(Out y, In x, In z, In s1, In s2, int64_t rows, int64_t dim) {
  // y = x + s1 s2 z
  const double scale = read_scalar_or_one(s1) * read_scalar_or_one(s2);
  Values y_values = read_rows(x, rows, dim);
  const Values z_values = read(z, rows * dim);
  for (size_t i = 0; i < y_values.size(); ++i) y_values[i] += scale * z_values[i];
  write(y, y_values);
}

void ReferenceOps::add_scaled_backward(Out dx, Out dz, Out ds1, Out ds2, In dy, In z, In s1, In s2,
                                       int64_t rows, int64_t dim) {
  // dx = dy, dz = s1 s2 dy, ds1 = s2 sum(dy z), ds2 = s1 sum(dy z)
  const double s1_value = read_scalar_or_one(s1), s2_value = read_scalar_or_one(s2);
  const Values dy_values = read(dy, rows * dim);
  write_rows(dx, dy_values, dim);
  Values dz_values = dy_values;
  for (double& v : dz_values) v *= s1_value * s2_value;
  write(dz, dz_values);
  if (!ds1 && !ds2) return;
  const double dy_z = dot(dy_values, read(z, rows * dim));
  write(ds1, {s2_value * dy_z});
  write(ds2, {s1_value * dy_z});
}

void ReferenceOps::mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) {
  // y = a x + b z
  const Values x_values = read(x, rows * dim);
  const Values z_values = z ? read(z, rows * dim) : zeros(rows * dim);
  const Values a_values = read_or_ones(a, dim);
  const Values b_values = z ? read_or_ones(b, dim) : zeros(dim);
  Values y_values = zeros(rows * dim);
  for (int64_t i = 0; i < rows * dim; ++i) {
    y_values[index(i)] = a_values[index(i % dim)] * x_values[index(i)] +
                         b_values[index(i % dim)] * z_values[index(i)];
  }
  write(y, y_values);
}

void ReferenceOps::mix_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                                int64_t rows, int64_t dim) {
  // dx = a dy, dz = b dy, da = sum over rows of dy x, db = sum over rows of dy z
  const Values dy_values = read(dy, rows * dim);
  const auto backward_of_term = [&](Out dterm, Out dfactor, In term, In factor) {
    const Values factor_values = read_or_ones(factor, dim);
    Values dterm_values = dy_values;
    for (int64_t i = 0; i < rows * dim; ++i)
      dterm_values[index(i)] *= factor_values[index(i % dim)];
    write(dterm, dterm_values);
    if (!dfactor) return;
    const Values term_values = read(term, rows * dim);
    Values dfactor_values = zeros(dim);
    for (int64_t i = 0; i < rows * dim; ++i) {
      dfactor_values[index(i % dim)] += dy_values[index(i)] * term_values[index(i)];
    }
    write(dfactor, dfactor_values);
  };
  backward_of_term(dx, da, x, a);
  backward_of_term(dz, db, z, b);
}

void ReferenceOps::leaky_relu2(Out y, In x, float slope, int64_t count) {
  // y = l(x)^2, l(x) = x > 0 ? x : slope x
  Values y_values = read(x, count);
  for (double& v : y_values) {
    const double l = v > 0.0 ? v : slope * v;
    v = l * l;
  }
  write(y, y_values);
}

void ReferenceOps::leaky_relu2_backward(Out dx, In dy, In x, float slope, int64_t count) {
  // dx = dy (x > 0 ? 2 x : 2 slope^2 x)
  const Values x_values = read(x, count);
  Values dx_values = read(dy, count);
  const double slope_squared = static_cast<double>(slope) * slope;
  for (size_t i = 0; i < dx_values.size(); ++i) {
    dx_values[i] *= 2.0 * x_values[i] * (x_values[i] > 0.0 ? 1.0 : slope_squared);
  }
  write(dx, dx_values);
}

void ReferenceOps::smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim,
                         int64_t first) {
  // g = sigmoid(gate), y_t = (1-g) x_t + g x_{t-1}, x_{-1} = 0
  const int64_t before = first % tokens == 0 ? 0 : 1;  // rows in front that are read
  const Values x_values = read(rows_before(x, before * dim), (before + rows) * dim);
  const Values gate_values = read(gate, dim);
  Values y_values = zeros(rows * dim);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t d = 0; d < dim; ++d) {
      const double g = sigmoid(gate_values[index(d)]);
      const int64_t i = (before + r) * dim + d;
      const double previous = (first + r) % tokens == 0 ? 0.0 : x_values[index(i - dim)];
      y_values[index(r * dim + d)] = (1.0 - g) * x_values[index(i)] + g * previous;
    }
  }
  write(y, y_values);
}

void ReferenceOps::smear_backward(Out dx, Out dgate, In dy, In x, In gate, int64_t rows,
                                  int64_t tokens, int64_t dim) {
  // dx_t = (1-g) dy_t + g dy_{t+1}, dy_T = 0; dgate = g (1-g) sum over rows of dy_t (x_{t-1} - x_t)
  const Values dy_values = read(dy, rows * dim), gate_values = read(gate, dim);
  const Values x_values = dgate ? read(x, rows * dim) : zeros(rows * dim);
  Values dx_values = zeros(rows * dim), dgate_values = zeros(dim);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t d = 0; d < dim; ++d) {
      const double g = sigmoid(gate_values[index(d)]);
      const int64_t i = r * dim + d;
      const double next_dy = r % tokens == tokens - 1 ? 0.0 : dy_values[index(i + dim)];
      const double previous_x = r % tokens == 0 ? 0.0 : x_values[index(i - dim)];
      dx_values[index(i)] = (1.0 - g) * dy_values[index(i)] + g * next_dy;
      dgate_values[index(d)] +=
          g * (1.0 - g) * dy_values[index(i)] * (previous_x - x_values[index(i)]);
    }
  }
  write(dx, dx_values);
  write(dgate, dgate_values);
}

// ---- norms ----

void ReferenceOps::rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows,
                           int64_t dim) {
  // r = 1 / sqrt(mean(x^2) + eps), y = scale r x
  Values y_values = read(x, rows * dim), rstd_values = zeros(rows);
  for (int64_t r = 0; r < rows; ++r) {
    double squares = 0.0;
    for (int64_t d = 0; d < dim; ++d)
      squares += y_values[index(r * dim + d)] * y_values[index(r * dim + d)];
    rstd_values[index(r)] = 1.0 / std::sqrt(squares / static_cast<double>(dim) + eps);
    for (int64_t d = 0; d < dim; ++d) y_values[index(r * dim + d)] *= scale * rstd_values[index(r)];
  }
  write(y, y_values);
  write(rstd, rstd_values);
}

void ReferenceOps::rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                                    int64_t dim) {
  // dx = scale r (dy - x r^2 mean(dy x))
  const Values dy_values = read(dy, rows * dim), x_values = read(x, rows * dim);
  const Values rstd_values = read(rstd, rows);
  Values dx_values = zeros(rows * dim);
  for (int64_t r = 0; r < rows; ++r) {
    const double rs = rstd_values[index(r)];
    double mean = 0.0;
    for (int64_t i = r * dim; i < (r + 1) * dim; ++i) {
      mean += dy_values[index(i)] * x_values[index(i)] / static_cast<double>(dim);
    }
    for (int64_t i = r * dim; i < (r + 1) * dim; ++i) {
      dx_values[index(i)] =
          scale * rs * (dy_values[index(i)] - x_values[index(i)] * rs * rs * mean);
    }
  }
  write(dx, dx_values);
}

void ReferenceOps::mix_rmsnorm(Out y, Out n, Out rstd, In x, In a, In z, In b, float scale,
                               float eps, int64_t rows, int64_t dim) {
  // Qualified calls: a device that derives from this one may compute them elsewhere, and not in f64.
  ReferenceOps::mix(y, x, a, z, b, rows, dim);
  // The norm is that of the mix as activations are stored.
  Values y_values = zeros(rows * dim);
  ReferenceOps::mix(Out{y_values.data(), DType::kF64}, x, a, z, b, rows, dim);
  y_values = rounded_to(x.dtype, y_values);
  ReferenceOps::rmsnorm(n, rstd, In{y_values.data(), DType::kF64}, scale, eps, rows, dim);
}

void ReferenceOps::mix_rmsnorm_backward(Out dx, Out dz, Out da, Out db, In dy, In dn, In x, In a,
                                        In z, In b, In rstd, float scale, int64_t rows,
                                        int64_t dim) {
  // g = dy + rmsnorm_backward(dn) at y = a x + b z, then mix_backward(g); nothing between is rounded
  Values y_values = zeros(rows * dim), g_values = zeros(rows * dim);
  ReferenceOps::mix(Out{y_values.data(), DType::kF64}, x, a, z, b, rows, dim);
  if (dy) g_values = read(dy, rows * dim);
  ReferenceOps::rmsnorm_backward(Out{g_values.data(), DType::kF64, true}, dn,
                                 In{y_values.data(), DType::kF64}, rstd, scale, rows, dim);
  ReferenceOps::mix_backward(dx, dz, da, db, In{g_values.data(), DType::kF64}, x, a, z, b, rows,
                             dim);
}

// ---- loss ----

namespace {

// sum of the weights of targets[row, :] that are not skipped
double live_weight(const std::vector<int32_t>& targets, const Values& weights, int64_t row) {
  const size_t n = weights.size();
  double total = 0.0;
  for (size_t i = 0; i < n; ++i) total += targets[index(row) * n + i] < 0 ? 0.0 : weights[i];
  return total;
}

// c of a logit z, and what its gradients are made of.
class CapOfLogits {
 public:
  explicit CapOfLogits(const Softcap& form) : form_(form) {
    if (form.sides) sides_ = read(form.sides, 2);
  }
  double value(double z) const { return is_none() ? z : cap(z) * tanh(z); }
  double slope(double z) const { return is_none() ? 1.0 : ratio() * (1.0 - tanh(z) * tanh(z)); }
  // Where sides are given, dc/ds of the logit's side.
  double side_slope(double z) const { return tanh(z) - z / cap(z) * (1.0 - tanh(z) * tanh(z)); }

 private:
  bool is_none() const { return form_.cap == 0 && sides_.empty(); }
  double ratio() const { return static_cast<double>(form_.ratio()); }
  double cap(double z) const {
    return sides_.empty() ? static_cast<double>(form_.cap) : sides_[z > 0 ? 0 : 1];
  }
  double tanh(double z) const {
    if (!sides_.empty()) return std::tanh(z / cap(z));
    return std::tanh((z + static_cast<double>(form_.shift)) / static_cast<double>(form_.width));
  }

  const Softcap& form_;
  Values sides_;
};

Values row_weights_of(const Softcap& cap, int64_t rows) {
  if (cap.row_weights) return read(cap.row_weights, rows);
  return Values(index(rows), 1.0);
}

double log_sum_exp(const double* c, int64_t count) {
  const double top = *std::max_element(c, c + count);
  double total = 0.0;
  for (int64_t j = 0; j < count; ++j) total += std::exp(c[j] - top);
  return top + std::log(total);
}

}  // namespace

void ReferenceOps::softcap_xent(Out loss, Out lse, In logits, In targets, In weights,
                                const Softcap& cap, int64_t rows, int64_t vocab, int64_t n) {
  // loss = r ((sum_i w_i) lse - sum_i w_i c[y_i]) + z_loss lse^2
  Values c = read(logits, rows * vocab);
  const CapOfLogits capped(cap);
  for (double& v : c) v = capped.value(v);
  const auto target = read_ids(targets, rows * n);
  const Values weight = read(weights, n), row_weight = row_weights_of(cap, rows);
  Values loss_values = zeros(rows), lse_values = zeros(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const double row_lse = log_sum_exp(&c[index(r * vocab)], vocab);
    const double total_weight = live_weight(target, weight, r);
    double row_loss = total_weight * row_lse;
    for (int64_t i = 0; i < n; ++i) {
      const int32_t y = target[index(r * n + i)];
      if (y >= 0) row_loss -= weight[index(i)] * c[index(r * vocab + y)];
    }
    const double z_loss = total_weight != 0 ? static_cast<double>(cap.z_loss) : 0.0;
    lse_values[index(r)] = row_lse;
    loss_values[index(r)] = row_weight[index(r)] * row_loss + z_loss * row_lse * row_lse;
  }
  write(loss, loss_values);
  write(lse, lse_values);
}

namespace {

// dL/dc of all rows: dloss ((r sum_i w_i + 2 z_loss lse) p - r sum_i w_i onehot(y_i)), p = exp(c - lse)
Values score_gradients(const Values& z, In lse, In targets, In weights, In dloss,
                       const Softcap& cap, int64_t rows, int64_t vocab, int64_t n) {
  const Values lse_values = read(lse, rows), weight = read(weights, n),
               row_weight = row_weights_of(cap, rows);
  const auto target = read_ids(targets, rows * n);
  const double loss_scale = read(dloss, 1)[0];
  const CapOfLogits capped(cap);
  Values gradients = zeros(rows * vocab);
  for (int64_t r = 0; r < rows; ++r) {
    const double row_lse = lse_values[index(r)];
    double total_weight = live_weight(target, weight, r);
    const double z_loss = total_weight != 0 ? static_cast<double>(cap.z_loss) : 0.0;
    total_weight = row_weight[index(r)] * total_weight + 2.0 * z_loss * row_lse;
    for (int64_t j = 0; j < vocab; ++j) {
      double dc = total_weight * std::exp(capped.value(z[index(r * vocab + j)]) - row_lse);
      for (int64_t i = 0; i < n; ++i) {
        if (target[index(r * n + i)] == j) dc -= row_weight[index(r)] * weight[index(i)];
      }
      gradients[index(r * vocab + j)] = loss_scale * dc;
    }
  }
  return gradients;
}

}  // namespace

void ReferenceOps::softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights,
                                         In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                         int64_t n) {
  const Values z = read(logits, rows * vocab);
  Values dz = score_gradients(z, lse, targets, weights, dloss, cap, rows, vocab, n);
  const CapOfLogits capped(cap);
  for (size_t i = 0; i < dz.size(); ++i) dz[i] *= capped.slope(z[i]);
  write(dlogits, dz);
}

void ReferenceOps::softcap_xent_sides_backward(Out dsides, In logits, In lse, In targets,
                                               In weights, In dloss, const Softcap& cap,
                                               int64_t rows, int64_t vocab, int64_t n) {
  const Values z = read(logits, rows * vocab);
  const Values dc = score_gradients(z, lse, targets, weights, dloss, cap, rows, vocab, n);
  Values sums = zeros(2);
  const CapOfLogits capped(cap);
  for (size_t i = 0; i < dc.size(); ++i) {
    sums[z[i] > 0 ? 0 : 1] += dc[i] * capped.side_slope(z[i]);
  }
  write(dsides, sums);
}

void ReferenceOps::softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap,
                                     int64_t rows, int64_t vocab) {
  // log p = c - lse; entropy = -sum p log p
  Values log_p = read(logits, rows * vocab), entropies = zeros(rows);
  const CapOfLogits capped(cap);
  for (double& v : log_p) v = capped.value(v);
  for (int64_t r = 0; r < rows; ++r) {
    const double lse = log_sum_exp(&log_p[index(r * vocab)], vocab);
    for (int64_t j = 0; j < vocab; ++j) {
      double& value = log_p[index(r * vocab + j)];
      value -= lse;
      entropies[index(r)] -= std::exp(value) * value;
    }
  }
  write(log_probs, log_p);
  write(entropy, entropies);
}

}  // namespace pg
