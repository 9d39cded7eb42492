// Reductions, casts, scaled weights and optimizer steps, in double; formulas in src/device/ops.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "src/device/reference/reference_ops.h"
#include "src/device/reference/reference_values.h"

namespace pg {

using reference::read;
using reference::read_scalar_or_one;
using reference::Values;
using reference::write;

namespace {

constexpr double kClipEpsilon = 1e-6;
constexpr double kMinRowNorm = 1e-7;
constexpr double kMinMatrixNorm = 1e-7;
constexpr double kMinNeuronSquare = 1e-10, kMinUpdateNorm = 1e-10;  // ops.h, normuon

double sum_of_squares(const Values& x) {
  double total = 0.0;
  for (const double v : x) total += v * v;
  return total;
}

// In-place results replace what was there, whatever the accumulate flag says.
void overwrite(Out y, const Values& values) { write(Out{y.data, y.dtype, false}, values); }

// c[m, n] = a[m, k] b[k, n], row-major.
Values multiply(const Values& a, const Values& b, size_t m, size_t n, size_t k) {
  Values c(m * n, 0.0);
  for (size_t i = 0; i < m; ++i) {
    for (size_t l = 0; l < k; ++l) {
      for (size_t j = 0; j < n; ++j) c[i * n + j] += a[i * k + l] * b[l * n + j];
    }
  }
  return c;
}

// [rows, cols] -> [cols, rows]
Values transpose(const Values& x, size_t rows, size_t cols) {
  Values y(x.size());
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) y[j * rows + i] = x[i * cols + j];
  }
  return y;
}

// Newton-Schulz on one matrix.
void orthogonalise(Out u, std::span<const NewtonSchulzCoefficients> steps, NewtonSchulzStart start,
                   int64_t rows, int64_t cols) {
  // x = u / (|u|_F + 1e-7), transposed when it is tall; then per (a, b, c): A = x xT, x = a x + (b
  // A + c A A) x
  const size_t m = static_cast<size_t>(std::min(rows, cols)),
               n = static_cast<size_t>(std::max(rows, cols));
  const bool is_tall = rows > cols;
  Values x = read(u, rows * cols);
  if (is_tall) x = transpose(x, n, m);
  const double norm = std::sqrt(sum_of_squares(x)) + kMinMatrixNorm;
  for (double& v : x) v /= norm;
  if (start == NewtonSchulzStart::kAol) {
    const Values gram = multiply(x, transpose(x, m, n), m, m, n);
    for (size_t i = 0; i < m; ++i) {
      double sum = 0.0;
      for (size_t j = 0; j < m; ++j) sum += std::abs(gram[i * m + j]);
      const double divisor = std::sqrt(std::max(sum, kMinRowNorm * kMinRowNorm));
      for (size_t j = 0; j < n; ++j) x[i * n + j] /= divisor;
    }
  }
  for (const auto& [a, b, c] : steps) {
    const Values gram = multiply(x, transpose(x, m, n), m, m, n);
    Values polynomial = multiply(gram, gram, m, m, m);
    for (size_t i = 0; i < m * m; ++i) polynomial[i] = b * gram[i] + c * polynomial[i];
    const Values product = multiply(polynomial, x, m, n, m);
    for (size_t i = 0; i < m * n; ++i) x[i] = a * x[i] + product[i];
  }
  overwrite(u, is_tall ? transpose(x, m, n) : x);
}

// Which row, or column, element i of a matrix is of.
size_t neuron_of(size_t i, bool columns, const MatrixBatch& shape) {
  const auto cols = static_cast<size_t>(shape.cols);
  return columns ? i % cols : i / cols;
}

Values sum_neurons(const Values& x, bool columns, const MatrixBatch& shape) {
  Values sums(static_cast<size_t>(columns ? shape.cols : shape.rows), 0.0);
  for (size_t i = 0; i < x.size(); ++i) sums[neuron_of(i, columns, shape)] += x[i] * x[i];
  return sums;
}

// Where the element so many further lies.
template <class Tensor>
Tensor part(Tensor t, int64_t elements) {
  if (!t) return t;
  const int64_t bytes = elements * static_cast<int64_t>(dtype_bytes(t.dtype));
  if constexpr (std::is_same_v<Tensor, In>) {
    t.data = static_cast<const char*>(t.data) + bytes;
  } else {
    t.data = static_cast<char*>(t.data) + bytes;
  }
  return t;
}

}  // namespace

void ReferenceOps::cast(Out y, In x, int64_t count) { write(y, read(x, count)); }

void ReferenceOps::sum(Out sum, In x, double scale, int64_t count) {
  double total = 0.0;
  for (const double v : read(x, count)) total += v;
  write(sum, {scale * total});
}

void ReferenceOps::sum_squares(Out sums, In x, const MatrixBatch& shape, int64_t sums_stride) {
  // sums[i, k] = sum of x^2 over piece k of matrix i
  for (int64_t i = 0; i < shape.count; ++i) {
    const Values values = read(part(x, i * shape.stride), shape.size());
    Values of_pieces;
    for (int64_t begin = 0; begin < shape.size(); begin += kSumPiece) {
      const auto piece = values.begin() + begin;
      of_pieces.push_back(
          sum_of_squares(Values(piece, piece + std::min(kSumPiece, shape.size() - begin))));
    }
    overwrite(part(sums, i * sums_stride), of_pieces);
  }
}

void ReferenceOps::sum_pieces(Out sum, In pieces, int64_t count) {
  double total = 0.0;
  for (const double v : read(pieces, count)) total += v;
  write(sum, {total});
}

void ReferenceOps::clip_coefficient(Out coefficient, In squares, float max_norm) {
  // min(1, max_norm / (|g| + 1e-6)); 0 means no clipping
  const double norm = std::sqrt(read(squares, 1)[0]);
  const double clip = max_norm == 0.0f ? 1.0 : std::min(1.0, max_norm / (norm + kClipEpsilon));
  write(coefficient, {std::isfinite(norm) ? clip : std::numeric_limits<double>::quiet_NaN()});
}

void ReferenceOps::scale_rows(Out y, In x, In s, const MatrixBatch& shape, int64_t s_stride) {
  // y[r, :] = s[r] x[r, :]
  for (int64_t i = 0; i < shape.count; ++i) {
    Values values = read(part(x, i * shape.stride), shape.rows * shape.cols);
    const Values factors = read(part(s, i * s_stride), shape.rows);
    for (size_t k = 0; k < values.size(); ++k) {
      values[k] *= factors[k / static_cast<size_t>(shape.cols)];
    }
    write(part(y, i * shape.stride), values);
  }
}

void ReferenceOps::scale_rows_backward(Out dx, Out ds, In x, In s, const MatrixBatch& shape,
                                       int64_t s_stride) {
  // ds[r] = sum(dy x), dx[r, :] = s[r] dy[r, :], dy in dx
  for (int64_t i = 0; i < shape.count; ++i) {
    const Values values = read(part(x, i * shape.stride), shape.rows * shape.cols);
    const Values factors = read(part(s, i * s_stride), shape.rows);
    const Out gradient_out = part(dx, i * shape.stride);
    Values gradient = read(gradient_out, shape.rows * shape.cols), sums(factors.size(), 0.0);
    for (size_t k = 0; k < values.size(); ++k) {
      const size_t row = k / static_cast<size_t>(shape.cols);
      sums[row] += gradient[k] * values[k];
      gradient[k] *= factors[row];
    }
    overwrite(gradient_out, gradient);
    if (ds) overwrite(part(ds, i * s_stride), sums);
  }
}

void ReferenceOps::adamw(Out p, Out m, Out v, In g, In coefficient, In step_scalars, bool cautious,
                         int64_t count) {
  // m = b1 m + (1-b1) g'; v = b2 v + (1-b2) g'^2; p = p (1 - lr wd) - lr (m/bias1) / (sqrt(v/bias2)
  // + eps)
  const double clip = read_scalar_or_one(coefficient);
  if (std::isnan(clip)) return;
  const Values scalars = read(step_scalars, kAdamWScalars);  // in the order of AdamWStep
  const double lr = scalars[0], b1 = scalars[1], b2 = scalars[2], epsilon = scalars[3],
               weight_decay = scalars[4], bias1 = scalars[5], bias2 = scalars[6];
  const Values g_values = read(g, count);
  Values p_values = read(p, count), m_values = read(m, count), v_values = read(v, count);
  for (size_t i = 0; i < g_values.size(); ++i) {
    const double gradient = g_values[i] * clip;
    m_values[i] = b1 * m_values[i] + (1.0 - b1) * gradient;
    v_values[i] = b2 * v_values[i] + (1.0 - b2) * gradient * gradient;
    const bool decays = !cautious || m_values[i] * p_values[i] > 0.0;
    p_values[i] = p_values[i] * (1.0 - (decays ? lr * weight_decay : 0.0)) -
                  lr * (m_values[i] / bias1) / (std::sqrt(v_values[i] / bias2) + epsilon);
  }
  overwrite(p, p_values);
  overwrite(m, m_values);
  overwrite(v, v_values);
}

void ReferenceOps::muon_momentum(Out u, Out m, In g, In coefficient, In momentum, bool row_norm,
                                 const MatrixBatch& shape) {
  // m = mu m + g'; u = g' + mu m; with row_norm each row of u is divided by max(|row|, 1e-7)
  const double clip = read_scalar_or_one(coefficient), mu = read(momentum, 1)[0];
  if (std::isnan(clip)) return;
  for (int64_t k = 0; k < shape.count; ++k) {
    const Values g_values = read(part(g, k * shape.stride), shape.size());
    Values m_values = read(part(m, k * shape.stride), shape.size()), u_values(g_values.size());
    for (size_t i = 0; i < g_values.size(); ++i) {
      m_values[i] = mu * m_values[i] + clip * g_values[i];
      u_values[i] = clip * g_values[i] + mu * m_values[i];
    }
    for (int64_t r = 0; row_norm && r < shape.rows; ++r) {
      const auto begin = u_values.begin() + r * shape.cols, end = begin + shape.cols;
      const double norm = std::max(std::sqrt(sum_of_squares(Values(begin, end))), kMinRowNorm);
      std::for_each(begin, end, [&](double& v) { v /= norm; });
    }
    overwrite(part(m, k * shape.stride), m_values);
    write(part(u, k * shape.stride), u_values);
  }
}

void ReferenceOps::newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                                 NewtonSchulzStart start, const MatrixBatch& shape) {
  for (int64_t i = 0; i < shape.count; ++i) {
    orthogonalise(part(u, i * shape.stride), steps, start, shape.rows, shape.cols);
  }
}

void ReferenceOps::normuon(Out u, Out v, In coefficient, In beta2, bool columns, float rms,
                           const MatrixBatch& shape, int64_t v_stride) {
  // v_i = b2 v_i + (1-b2) mean(u_i^2); w_i = u_i / sqrt(max(v_i, 1e-10)); u = w scale / |w|
  if (std::isnan(read_scalar_or_one(coefficient))) return;
  const double b2 = read(beta2, 1)[0];
  for (int64_t k = 0; k < shape.count; ++k) {
    Values u_values = read(part(u, k * shape.stride), shape.size());
    const Values sums = sum_neurons(u_values, columns, shape);
    const double length = static_cast<double>(columns ? shape.rows : shape.cols);
    Values v_values = read(part(v, k * v_stride), std::ssize(sums));
    for (size_t i = 0; i < sums.size(); ++i) {
      v_values[i] = b2 * v_values[i] + (1.0 - b2) * sums[i] / length;
    }
    const double size = static_cast<double>(shape.size());
    const double scale = rms > 0.0f ? static_cast<double>(rms) * std::sqrt(size)
                                    : std::sqrt(sum_of_squares(u_values));
    for (size_t i = 0; i < u_values.size(); ++i) {
      u_values[i] /= std::sqrt(std::max(v_values[neuron_of(i, columns, shape)], kMinNeuronSquare));
    }
    const double norm = std::max(std::sqrt(sum_of_squares(u_values)), kMinUpdateNorm);
    for (double& value : u_values) value *= scale / norm;
    overwrite(part(u, k * shape.stride), u_values);
    overwrite(part(v, k * v_stride), v_values);
  }
}

void ReferenceOps::balance_neurons(Out y, Out d, In x, float beta, bool is_first,
                                   const MatrixBatch& shape) {
  // d_i = 1 / max(|x_i|, 1e-7), or d_i ((m/n) / max(|y_i|^2, 1e-14))^beta; y_i = d_i x_i
  const bool columns = shape.cols > shape.rows;
  const int64_t n = std::max(shape.rows, shape.cols), m = std::min(shape.rows, shape.cols);
  for (int64_t k = 0; k < shape.count; ++k) {
    Values values = read(part(x, k * shape.stride), shape.size());
    Values factors(static_cast<size_t>(n));
    if (is_first) {
      const Values sums = sum_neurons(values, columns, shape);
      for (size_t i = 0; i < sums.size(); ++i) {
        factors[i] = 1.0 / std::max(std::sqrt(sums[i]), kMinRowNorm);
      }
    } else {
      factors = read(part(d, k * n), n);
      const Values sums =
          sum_neurons(read(part(y, k * shape.stride), shape.size()), columns, shape);
      for (size_t i = 0; i < sums.size(); ++i) {
        const double target = static_cast<double>(m) / static_cast<double>(n);
        factors[i] *= std::pow(target / std::max(sums[i], kMinRowNorm * kMinRowNorm),
                               static_cast<double>(beta));
      }
    }
    for (size_t i = 0; i < values.size(); ++i) values[i] *= factors[neuron_of(i, columns, shape)];
    overwrite(part(d, k * n), factors);
    overwrite(part(y, k * shape.stride), values);
  }
}

void ReferenceOps::apply_update(Out p, In u, In coefficient, In decay_step, bool cautious,
                                const MatrixBatch& shape) {
  // p = p decay - step u
  if (std::isnan(read_scalar_or_one(coefficient))) return;
  const Values scalars = read(decay_step, 2);
  for (int64_t k = 0; k < shape.count; ++k) {
    const Values u_values = read(part(u, k * shape.stride), shape.size());
    Values p_values = read(part(p, k * shape.stride), shape.size());
    for (size_t i = 0; i < p_values.size(); ++i) {
      const bool decays = !cautious || u_values[i] * p_values[i] >= 0.0;
      p_values[i] = p_values[i] * (decays ? scalars[0] : 1.0) - scalars[1] * u_values[i];
    }
    overwrite(part(p, k * shape.stride), p_values);
  }
}

void ReferenceOps::lerp(Out average, In x, In decay_factor, int64_t count) {
  // average = decay average + (1 - decay) x
  const Values x_values = read(x, count);
  const double decay = read(decay_factor, 1)[0];
  Values values = read(average, count);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = decay * values[i] + (1.0 - decay) * x_values[i];
  }
  overwrite(average, values);
}

}  // namespace pg
