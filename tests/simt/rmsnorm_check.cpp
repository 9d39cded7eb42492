#include "tests/simt/rmsnorm_check.h"

#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {
namespace {

constexpr float kEps = 1e-3f;  // large enough that leaving it out shows
constexpr float kScale = 0.7f;
// Roundings in f32 on the way to a value, times 2^-24: a thread adds up to 40 products one by one,
// then 13 levels of reduction, then a handful of operations, of which rsqrtf counts 2.
constexpr double kF32Steps = 64 * kF32Rounding;

enum : uint64_t { kStreamX = 1, kStreamDy, kStreamPrior };

struct RowSums {
  double rstd = 0, mean = 0, mean_of_sizes = 0;  // of dy x, and of |dy x|
};

template <class T>
struct Problem {
  RmsnormCase shape;
  std::vector<T> x, dy, prior;
  std::vector<float> rstd;  // as the backward pass gets it
  std::vector<RowSums> sums;

  explicit Problem(const RmsnormCase& s) : shape(s) {
    const int64_t count = s.rows * s.dim;
    x = normal_values<T>(count, 2.0, kStreamX);
    dy = normal_values<T>(count, 1.0, kStreamDy);
    prior = normal_values<T>(count, 1.0, kStreamPrior);
    for (int64_t row = 0; row < s.rows; ++row) {
      double squares = 0;
      RowSums row_sums;
      for (int64_t i = row * s.dim; i < (row + 1) * s.dim; ++i) {
        const double xi = as_double(x[static_cast<size_t>(i)]);
        const double product = as_double(dy[static_cast<size_t>(i)]) * xi;
        squares += xi * xi;
        row_sums.mean += product / static_cast<double>(s.dim);
        row_sums.mean_of_sizes += std::abs(product) / static_cast<double>(s.dim);
      }
      row_sums.rstd = 1.0 / std::sqrt(squares / static_cast<double>(s.dim) + kEps);
      rstd.push_back(static_cast<float>(row_sums.rstd));
      sums.push_back(row_sums);
    }
  }
  // What an output holds when `value` is written to an element, and the error it may have.
  void expect(size_t i, double value, double error, std::vector<double>& want,
              std::vector<double>& bound) const {
    const double stored = value + (shape.accumulate ? as_double(prior[i]) : 0.0);
    want.push_back(stored);
    bound.push_back(error + kRounding<T> * (std::abs(stored) + error));
  }
};

template <class T>
std::string check_forward(decltype(&kernels::rmsnorm<T>) forward, const Problem<T>& p) {
  const RmsnormCase& s = p.shape;
  std::vector<double> want, bound, want_rstd, bound_rstd;
  for (size_t i = 0; i < p.x.size(); ++i) {
    const double r = p.sums[i / static_cast<size_t>(s.dim)].rstd;
    const double y = kScale * r * as_double(p.x[i]);
    p.expect(i, y, kF32Steps * std::abs(y), want, bound);
  }
  for (const RowSums& row : p.sums) {
    want_rstd.push_back(row.rstd);
    bound_rstd.push_back(kF32Steps * row.rstd);
  }
  SameBytes same;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<T> x(p.x, s.offset), y(p.prior, s.offset);
    const DeviceArray<float> rstd(std::vector<float>(p.rstd.size(), NAN), s.offset);
    forward({y.data(), s.accumulate}, {rstd.data(), false}, x.data(), kScale, kEps, s.rows, s.dim,
            nullptr);
    if (!y.are_guards_intact() || !rstd.are_guards_intact()) return "writes outside its outputs";
    const std::vector<T> got = y.fetch();
    const std::vector<float> got_rstd = rstd.fetch();
    std::string error = compare("rstd", got_rstd, want_rstd, bound_rstd);
    if (error.empty()) error = compare("y", got, want, bound);
    if (error.empty()) error = same.check("y", got);
    if (error.empty()) error = same.check("rstd", got_rstd);
    return error;
  });
}

template <class T>
std::string check_backward(decltype(&kernels::rmsnorm_backward<T>) backward, const Problem<T>& p) {
  const RmsnormCase& s = p.shape;
  std::vector<double> want, bound;
  for (size_t i = 0; i < p.x.size(); ++i) {
    const size_t row = i / static_cast<size_t>(s.dim);
    const double r = static_cast<double>(p.rstd[row]), x = as_double(p.x[i]),
                 dy = as_double(p.dy[i]);
    const double sizes = std::abs(dy) + std::abs(x) * r * r * p.sums[row].mean_of_sizes;
    p.expect(i, kScale * r * (dy - x * r * r * p.sums[row].mean), kF32Steps * kScale * r * sizes,
             want, bound);
  }
  SameBytes same;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<T> x(p.x, s.offset), dy(p.dy), dx(p.prior, s.offset);
    const DeviceArray<float> rstd(p.rstd);
    backward({dx.data(), s.accumulate}, dy.data(), x.data(), rstd.data(), kScale, s.rows, s.dim,
             nullptr);
    if (!dx.are_guards_intact()) return "writes outside its outputs";
    const std::vector<T> got = dx.fetch();
    const std::string error = compare("dx", got, want, bound);
    return error.empty() ? same.check("dx", got) : error;
  });
}

template <class T>
std::string check_type(const char* type, decltype(&kernels::rmsnorm<T>) forward,
                       decltype(&kernels::rmsnorm_backward<T>) backward, const RmsnormCase& shape) {
  const Problem<T> problem(shape);
  std::string error = check_forward<T>(forward, problem);
  if (!error.empty()) return std::string(type) + " forward: " + error;
  error = check_backward<T>(backward, problem);
  if (!error.empty()) return std::string(type) + " backward: " + error;
  return "";
}

}  // namespace

std::string check_rmsnorm(const RmsnormFamily& family, const RmsnormCase& shape) {
  const std::string error =
      check_type<float>("f32", family.forward_f32, family.backward_f32, shape);
  if (!error.empty()) return error;
  return check_type<bf16>("bf16", family.forward_bf16, family.backward_bf16, shape);
}

}  // namespace pg::kerneltest
