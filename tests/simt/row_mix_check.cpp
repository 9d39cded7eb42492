#include "tests/simt/row_mix_check.h"

#include "kernels/column_sums.h"
#include "tests/simt/exact_values.h"

namespace pg::kerneltest {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

// Elements of a matrix in double.
template <class T>
struct Rows {
  const std::vector<T>& values;
  int64_t dim;
  double at(int64_t row, int64_t column) const {
    return as_double(values[index(row * dim + column)]);
  }
};

// Calls body(row, column) for each element.
template <class Body>
void for_each_element(int64_t rows, int64_t dim, const Body& body) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < dim; ++column) body(row, column);
  }
}

// ---- bags ----

template <class T>
std::string check_bags_of(decltype(&kernels::mean_bags<T>) mean,
                          decltype(&kernels::mean_bags_backward<T>) backward, const RowMixCase& s) {
  const std::vector<T> x = small_integers<T>(s.rows * s.bag * s.dim, 1);
  const std::vector<T> dy = small_integers<T>(s.rows * s.dim, 2);
  std::vector<double> want_y(index(s.rows * s.dim), 0.0), want_dx;
  for_each_element(s.rows * s.bag, s.dim, [&](int64_t row, int64_t column) {
    const double part = 1.0 / static_cast<double>(s.bag);
    want_y[index(row / s.bag * s.dim + column)] += part * Rows<T>{x, s.dim}.at(row, column);
    want_dx.push_back(part * Rows<T>{dy, s.dim}.at(row / s.bag, column));
  });
  ExactOutput<T> y("y", want_y, s.accumulate, s.offset), dx("dx", want_dx, s.accumulate, s.offset);
  return for_each_schedule([&] {
    const DeviceArray<T> device_x(x, s.offset), device_dy(dy, s.offset);
    mean(y.dest(), device_x.data(), s.rows, s.bag, s.dim, nullptr);
    backward(dx.dest(), device_dy.data(), s.rows, s.bag, s.dim, nullptr);
    const std::string error = y.check();
    return error.empty() ? dx.check() : error;
  });
}

// ---- prepend_rows ----

template <class T>
std::string check_prepend_forward(decltype(&kernels::prepend_rows<T>) prepend, const RowMixCase& s,
                                  const kernels::PrependedRows& shape, bool has_memory) {
  const std::vector<T> m = small_integers<T>(s.memory * s.dim, 1);
  const std::vector<T> x = small_integers<T>(shape.batch * s.tokens * s.dim, 2);
  std::vector<double> want;
  for_each_element(s.rows, s.dim, [&](int64_t row, int64_t column) {
    const int64_t length = s.memory + s.tokens;
    const int64_t sequence = (s.first + row) / length, place = (s.first + row) % length;
    const double memory = has_memory ? Rows<T>{m, s.dim}.at(place % s.memory, column) : 0.0;
    want.push_back(place < s.memory
                       ? memory
                       : Rows<T>{x, s.dim}.at(sequence * s.tokens + place - s.memory, column));
  });
  ExactOutput<T> y("y", want, s.accumulate, s.offset);
  return for_each_schedule([&] {
    const DeviceArray<T> device_m(m, s.offset), device_x(x, s.offset);
    prepend(y.dest(), has_memory ? device_m.data() : nullptr, device_x.data(), shape, s.first,
            s.rows, nullptr);
    return y.check();
  });
}

template <class T>
std::string check_prepend_backward(decltype(&kernels::prepend_rows_backward<T>) backward,
                                   const RowMixCase& s, const kernels::PrependedRows& shape) {
  const int64_t length = s.memory + s.tokens;
  const std::vector<T> dy = small_integers<T>(shape.batch * length * s.dim, 3);
  std::vector<double> want_dx, want_dm(index(s.memory * s.dim), 0.0);
  for_each_element(shape.batch * length, s.dim, [&](int64_t row, int64_t column) {
    const double value = Rows<T>{dy, s.dim}.at(row, column);
    if (row % length < s.memory) {
      want_dm[index(row % length * s.dim + column)] += value;
    } else {
      want_dx.push_back(value);
    }
  });
  ExactOutput<T> dx("dx", want_dx, s.accumulate, s.offset);
  ExactOutput<T> dm("dm", want_dm, s.accumulate, s.offset);
  return for_each_schedule([&] {
    const DeviceArray<T> device_dy(dy, s.offset);
    backward(dx.dest(), dm.dest(), device_dy.data(), shape, nullptr);
    const std::string error = dx.check();
    return error.empty() ? dm.check() : error;
  });
}

template <class T>
std::string check_prepend_of(decltype(&kernels::prepend_rows<T>) prepend,
                             decltype(&kernels::prepend_rows_backward<T>) backward,
                             const RowMixCase& s) {
  const int64_t length = s.memory + s.tokens;
  const kernels::PrependedRows shape{(s.first + s.rows + length - 1) / length, s.memory, s.tokens,
                                     s.dim};
  std::string error = check_prepend_forward<T>(prepend, s, shape, true);
  if (error.empty()) error = check_prepend_forward<T>(prepend, s, shape, false);
  if (error.empty() && s.first == 0) error = check_prepend_backward<T>(backward, s, shape);
  return error;
}

// ---- smear ----

// A gate a channel: 0, 1/2 and 1 in turn.
std::vector<float> even_gates(int64_t dim) {
  std::vector<float> gates;
  for (int64_t i = 0; i < dim; ++i) gates.push_back(200.0f * static_cast<float>(i % 3 - 1));
  return gates;
}
double gate_of(int64_t channel) { return static_cast<double>(channel % 3) / 2.0; }

template <class T>
std::string check_smear_of(decltype(&kernels::smear<T>) smear,
                           decltype(&kernels::smear_backward<T>) backward, const RowMixCase& s) {
  const int64_t front = s.first > 0 ? 1 : 0;  // rows
  const std::vector<T> x = small_integers<T>((front + s.rows) * s.dim, 1);
  const std::vector<T> dy = small_integers<T>(s.rows * s.dim, 2);
  const std::vector<float> gates = even_gates(s.dim);
  const Rows<T> xs{x, s.dim}, dys{dy, s.dim};
  std::vector<double> want_y, want_dx, want_dgate(index(s.dim), 0.0);
  for_each_element(s.rows, s.dim, [&](int64_t row, int64_t column) {
    const int64_t t = (s.first + row) % s.tokens;
    const double g = gate_of(column), own = xs.at(front + row, column);
    const double before = t > 0 ? xs.at(front + row - 1, column) : 0.0;
    const double next_dy = t + 1 < s.tokens && row + 1 < s.rows ? dys.at(row + 1, column) : 0.0;
    want_y.push_back((1 - g) * own + g * before);
    want_dx.push_back((1 - g) * dys.at(row, column) + g * next_dy);
    want_dgate[index(column)] += g * (1 - g) * dys.at(row, column) * (before - own);
  });
  ExactOutput<T> y("y", want_y, s.accumulate, s.offset), dx("dx", want_dx, s.accumulate, s.offset);
  ExactOutput<float> dgate("dgate", want_dgate, s.accumulate, s.offset);
  return for_each_schedule([&] {
    const DeviceArray<T> device_x(x, s.offset), device_dy(dy, s.offset);
    const DeviceArray<float> device_gates(gates, s.offset);
    smear(y.dest(), device_x.data() + front * s.dim, device_gates.data(), s.rows, s.tokens, s.dim,
          s.first, nullptr);
    std::string error = y.check();
    if (!error.empty() || s.first > 0) return error;
    const Scratch<float> partial(kernels::count_row_chunks(s.rows) * s.dim);
    backward(dx.dest(), dgate.dest(), device_dy.data(), device_x.data(), device_gates.data(),
             s.rows, s.tokens, s.dim, partial.data(), nullptr);
    error = dx.check();
    return error.empty() ? dgate.check() : error;
  });
}

// ---- token_smear ----

constexpr double kScale = -0.5;
constexpr int64_t kBos = 1;

// w . x is a multiple of 256 for integers x.
std::vector<float> even_weights(int64_t width) {
  std::vector<float> w;
  for (int64_t i = 0; i < width; ++i) w.push_back(i % 2 == 0 ? 256.0f : -256.0f);
  return w;
}
double even_gate(double product) { return product == 0 ? 0.5 : product > 0 ? 1.0 : 0.0; }

template <class T>
std::string check_token_smear_of(decltype(&kernels::token_smear<T>) smear,
                                 decltype(&kernels::token_smear_backward<T>) backward,
                                 const RowMixCase& s) {
  const kernels::SmearedTokens shape{s.rows, s.tokens, s.dim, s.width, kBos, s.first};
  const int64_t front = s.first > 0 ? 1 : 0;  // rows
  const std::vector<T> x = small_integers<T>((front + s.rows) * s.dim, 1);
  const std::vector<T> dy = small_integers<T>(s.rows * s.dim, 2);
  const std::vector<float> w = even_weights(s.width);
  std::vector<int32_t> ids(index(s.rows));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i % 7);
  const Rows<T> xs{x, s.dim}, dys{dy, s.dim};

  std::vector<double> want_y, want_dx(index(s.rows * s.dim));
  std::vector<double> want_dw(index(s.width), 0.0), want_dscale(1, 0.0);
  for (int64_t row = 0; row < s.rows; ++row) {
    const bool reads = (s.first + row) % s.tokens != 0 && ids[index(row)] != kBos;
    double product = 0, along = 0;
    for (int64_t i = 0; i < s.width; ++i) {
      product += static_cast<double>(w[index(i)]) * xs.at(front + row, i);
    }
    const double g = reads ? even_gate(product) : 0.0;
    for (int64_t i = 0; i < s.dim; ++i) {
      const double before = reads ? xs.at(front + row - 1, i) : 0.0;
      along += dys.at(row, i) * before;
      want_y.push_back(xs.at(front + row, i) + kScale * g * before);
      want_dx[index(row * s.dim + i)] += dys.at(row, i);
      if (reads && row > 0) {
        want_dx[index((row - 1) * s.dim + i)] += kScale * g * dys.at(row, i);
      }
    }
    want_dscale[0] += g * along;
    for (int64_t i = 0; i < s.width; ++i) {
      const double slope = kScale * g * (1 - g) * along;
      want_dw[index(i)] += slope * xs.at(front + row, i);
      want_dx[index(row * s.dim + i)] += slope * static_cast<double>(w[index(i)]);
    }
  }
  ExactOutput<T> y("y", want_y, s.accumulate, s.offset), dx("dx", want_dx, s.accumulate, s.offset);
  ExactOutput<float> dw("dw", want_dw, s.accumulate, s.offset);
  ExactOutput<float> dscale("dscale", want_dscale, s.accumulate);
  return for_each_schedule([&] {
    const DeviceArray<T> device_x(x, s.offset), device_dy(dy, s.offset);
    const DeviceArray<int32_t> device_ids(ids);
    const DeviceArray<float> device_w(w), scale({static_cast<float>(kScale)});
    smear(y.dest(), device_x.data() + front * s.dim, device_ids.data(), device_w.data(),
          scale.data(), shape, nullptr);
    std::string error = y.check();
    if (!error.empty() || s.first > 0) return error;
    const Scratch<float> partial(kernels::count_token_smear_sums(shape));
    backward(dx.dest(), dw.dest(), dscale.dest(), device_dy.data(), device_x.data(),
             device_ids.data(), device_w.data(), scale.data(), shape, partial.data(), nullptr);
    error = dx.check();
    if (error.empty()) error = dw.check();
    return error.empty() ? dscale.check() : error;
  });
}

}  // namespace

std::string check_bags(const BagsFamily& family, const RowMixCase& shape) {
  const std::string error = check_bags_of<float>(family.mean_f32, family.backward_f32, shape);
  if (!error.empty()) return "f32: " + error;
  return check_bags_of<bf16>(family.mean_bf16, family.backward_bf16, shape);
}
std::string check_prepend_rows(const PrependRowsFamily& family, const RowMixCase& shape) {
  const std::string error = check_prepend_of<float>(family.prepend_f32, family.backward_f32, shape);
  if (!error.empty()) return "f32: " + error;
  return check_prepend_of<bf16>(family.prepend_bf16, family.backward_bf16, shape);
}
std::string check_smear(const SmearFamily& family, const RowMixCase& shape) {
  const std::string error = check_smear_of<float>(family.smear_f32, family.backward_f32, shape);
  if (!error.empty()) return "f32: " + error;
  return check_smear_of<bf16>(family.smear_bf16, family.backward_bf16, shape);
}
std::string check_token_smear(const TokenSmearFamily& family, const RowMixCase& shape) {
  const std::string error =
      check_token_smear_of<float>(family.smear_f32, family.backward_f32, shape);
  if (!error.empty()) return "f32: " + error;
  return check_token_smear_of<bf16>(family.smear_bf16, family.backward_bf16, shape);
}

}  // namespace pg::kerneltest
