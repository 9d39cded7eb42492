// Mixes of what several layers gave, in double; formulas in src/device/ops.h.
#include <cmath>
#include <vector>

#include "src/device/reference/reference_ops.h"
#include "src/device/reference/reference_values.h"

namespace pg {

using reference::read;
using reference::Values;
using reference::write;

namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

// gelu(x) = x sigmoid(z(x)), z = 2 sqrt(2/pi) (x + 0.044715 x^3), and its derivative.
struct Gelu {
  explicit Gelu(double x) {
    const double factor = 2.0 * std::sqrt(2.0 / 3.14159265358979323846);
    const double s = 1.0 / (1.0 + std::exp(-factor * (x + 0.044715 * x * x * x)));
    value = x * s;
    slope = s + x * s * (1.0 - s) * factor * (1.0 + 3.0 * 0.044715 * x * x);
  }
  double value, slope;
};

struct Mixed {
  Mixed(std::span<const In> xs, In h, In w, In a, const LayerMixShape& s)
      : h_values(read(h, s.rows * s.hidden)),
        w_values(read(w, std::ssize(xs) * s.hidden)),
        a_values(read(a, std::ssize(xs))) {
    for (const In x : xs) x_values.push_back(read(x, s.rows * s.dim));
  }
  // c_j of row r
  double share(const LayerMixShape& s, int64_t r, int64_t j) const {
    double sum = a_values[index(j)];
    for (int64_t k = 0; k < s.hidden; ++k) {
      sum += w_values[index(j * s.hidden + k)] * Gelu(h_values[index(r * s.hidden + k)]).value;
    }
    return sum;
  }
  int64_t count() const { return std::ssize(x_values); }

  Values h_values, w_values, a_values;
  std::vector<Values> x_values;
};

}  // namespace

void ReferenceOps::mix_layers(Out y, std::span<const In> xs, In h, In w, In a,
                              const LayerMixShape& s) {
  // y = x_{n-1} + sum_j (a_j + sum_k w_jk gelu(h_k)) x_j
  const Mixed mixed(xs, h, w, a, s);
  Values y_values = mixed.x_values.back();
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t j = 0; j < mixed.count(); ++j) {
      const double share = mixed.share(s, r, j);
      for (int64_t i = r * s.dim; i < (r + 1) * s.dim; ++i) {
        y_values[index(i)] += share * mixed.x_values[index(j)][index(i)];
      }
    }
  }
  write(y, y_values);
}

void ReferenceOps::mix_layers_backward(std::span<const Out> dxs, Out dh, Out dw, Out da, In dy,
                                       std::span<const In> xs, In h, In w, In a,
                                       const LayerMixShape& s) {
  // u_j = dy . x_j: dx_j = c_j dy, dx_{n-1} += dy, da_j = sum u_j, dw_jk = sum u_j gelu(h_k),
  // dh_k = gelu'(h_k) sum_j u_j w_jk
  const Mixed mixed(xs, h, w, a, s);
  const Values dy_values = read(dy, s.rows * s.dim);
  Values dh_values(mixed.h_values.size()), dw_values(mixed.w_values.size());
  Values da_values(mixed.a_values.size());
  for (int64_t j = 0; j < mixed.count(); ++j) {
    Values dx_values = dy_values;
    for (int64_t r = 0; r < s.rows; ++r) {
      const double share = mixed.share(s, r, j) + (j + 1 == mixed.count() ? 1.0 : 0.0);
      double along = 0.0;
      for (int64_t i = r * s.dim; i < (r + 1) * s.dim; ++i) {
        along += dy_values[index(i)] * mixed.x_values[index(j)][index(i)];
        dx_values[index(i)] *= share;
      }
      da_values[index(j)] += along;
      for (int64_t k = 0; k < s.hidden; ++k) {
        const Gelu gelu(mixed.h_values[index(r * s.hidden + k)]);
        dw_values[index(j * s.hidden + k)] += along * gelu.value;
        dh_values[index(r * s.hidden + k)] +=
            gelu.slope * along * mixed.w_values[index(j * s.hidden + k)];
      }
    }
    write(dxs[index(j)], dx_values);
  }
  write(dh, dh_values);
  write(dw, dw_values);
  write(da, da_values);
}

}  // namespace pg
