#include "tests/simt/elementwise_check.h"

#include <array>
#include <memory>

#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {
namespace {

using kernels::Dest;
using kernels::RowsIn;
using kernels::RowsOut;

// Roundings in f32 on the way to a value, times 2^-24, of numbers up to 16 in size. A sum has as many
// more as terms.
constexpr double kF32Steps = 64 * kF32Rounding;
constexpr double kSize = 16;

enum : uint64_t { kStreamInput = 1, kStreamPrior = 11, kStreamVector = 21, kStreamSum = 31 };

// What an op does with one element of each input, in double: outputs, and what it adds to each sum.
// p and q are the op's two vectors at that column, or its two scalars.
struct Element {
  std::array<double, 2> y{}, terms{};
};
using Formula = Element (*)(const std::array<double, 3>& x, double p, double q);

struct Op {
  int inputs = 1, outputs = 1, sums = 0;
  bool per_column = false;
  Formula formula;
};

// What a launch gets.
template <class T>
struct Operands {
  RowsIn<T> in[3];
  RowsOut<T> out[2];
  const float* p;
  const float* q;
  Dest<float> sums[2];
  float* partial;
  int64_t rows, dim;
};

template <class T>
using Launch = std::function<void(const Operands<T>&)>;

template <class T>
class Problem {
 public:
  Problem(const Op& op, const ElementwiseCase& c) : op_(op), case_(c), stride_(c.dim + c.gap) {
    const int64_t count = c.rows * stride_, columns = op.per_column ? c.dim : 1;
    for (int k = 0; k < op.inputs; ++k) {
      inputs_.push_back(normal_values<T>(count, 1.0, kStreamInput + static_cast<uint64_t>(k)));
    }
    for (uint64_t k = 0; k < 2; ++k) {
      priors_[k] = normal_values<T>(count, 1.0, kStreamPrior + k);
      vectors_[k] = normal_values<float>(columns, 1.0, kStreamVector + k);
      sum_priors_[k] = normal_values<float>(columns, 1.0, kStreamSum + k);
      want_[k].assign(priors_[k].size(), 0.0);
      bound_[k].assign(priors_[k].size(), 0.0);
      want_sums_[k].assign(sum_priors_[k].size(), 0.0);
      bound_sums_[k].assign(sum_priors_[k].size(), 0.0);
    }
    for (int64_t i = 0; i < count; ++i) expect(i);
    for (uint64_t k = 0; k < 2; ++k) {
      for (size_t i = 0; i < want_sums_[k].size(); ++i) {
        if (c.accumulate) want_sums_[k][i] += as_double(sum_priors_[k][i]);
      }
    }
  }

  std::string check(const Launch<T>& launch) const {
    SameBytes same;
    return for_each_schedule([&]() -> std::string {
      std::string error;
      for (const size_t offset : {0u, 1u}) {
        if (error.empty()) error = check_once(launch, offset, same);
      }
      return error;
    });
  }

 private:
  void expect(int64_t i) {
    const auto at = static_cast<size_t>(i), column = static_cast<size_t>(i % stride_);
    if (i % stride_ >= case_.dim) {  // between rows, where nothing may change
      for (uint64_t k = 0; k < 2; ++k) want_[k][at] = as_double(priors_[k][at]);
      return;
    }
    std::array<double, 3> x{};
    for (size_t k = 0; k < inputs_.size(); ++k) x[k] = as_double(inputs_[k][at]);
    const size_t v = op_.per_column ? column : 0;
    const Element element = op_.formula(x, as_double(vectors_[0][v]), as_double(vectors_[1][v]));
    for (uint64_t k = 0; k < 2; ++k) {
      want_[k][at] = element.y[k] + (case_.accumulate ? as_double(priors_[k][at]) : 0.0);
      bound_[k][at] = kF32Steps * kSize + kRounding<T> * (std::abs(want_[k][at]) + kF32Steps);
      want_sums_[k][v] += element.terms[k];
      bound_sums_[k][v] += kF32Steps * kSize;
    }
  }

  std::string check_once(const Launch<T>& launch, size_t offset, SameBytes& same) const {
    std::vector<std::unique_ptr<DeviceArray<T>>> inputs, outputs;
    std::vector<std::unique_ptr<DeviceArray<float>>> vectors, sums;
    Operands<T> operands = {};
    for (size_t k = 0; k < inputs_.size(); ++k) {
      inputs.push_back(std::make_unique<DeviceArray<T>>(inputs_[k], offset));
      operands.in[k] = {inputs[k]->data(), stride_};
    }
    for (size_t k = 0; k < 2; ++k) {
      outputs.push_back(std::make_unique<DeviceArray<T>>(priors_[k], offset));
      vectors.push_back(std::make_unique<DeviceArray<float>>(vectors_[k], offset));
      sums.push_back(std::make_unique<DeviceArray<float>>(sum_priors_[k], offset));
      operands.out[k] = {outputs[k]->data(), stride_, case_.accumulate};
      operands.sums[k] = {sums[k]->data(), case_.accumulate};
    }
    const int64_t floats = std::max(kernels::column_partials(2, case_.rows, case_.dim),
                                    kernels::total_partials<T>(2, case_.dim));
    const DeviceArray<float> partial(std::vector<float>(static_cast<size_t>(floats), NAN));
    operands.p = vectors[0]->data();
    operands.q = vectors[1]->data();
    operands.partial = partial.data();
    operands.rows = case_.rows;
    operands.dim = case_.dim;
    launch(operands);

    std::string error = partial.are_guards_intact() ? "" : "writes outside its working memory";
    const auto check_output = [&](const std::string& name, const auto& array, const auto& want,
                                  const auto& bound) {
      if (error.empty() && !array.are_guards_intact()) error = name + ": writes past its ends";
      const auto got = array.fetch();
      if (error.empty()) error = compare(name.c_str(), got, want, bound);
      if (error.empty()) error = same.check(name.c_str(), got);
    };
    for (size_t k = 0; k < static_cast<size_t>(op_.outputs); ++k) {
      check_output("output " + std::to_string(k), *outputs[k], want_[k], bound_[k]);
    }
    for (size_t k = 0; k < static_cast<size_t>(op_.sums); ++k) {
      check_output("sum " + std::to_string(k), *sums[k], want_sums_[k], bound_sums_[k]);
    }
    return error;
  }

  Op op_;
  ElementwiseCase case_;
  int64_t stride_;
  std::vector<std::vector<T>> inputs_;
  std::array<std::vector<T>, 2> priors_;
  std::array<std::vector<float>, 2> vectors_, sum_priors_;
  std::array<std::vector<double>, 2> want_, bound_, want_sums_, bound_sums_;
};

template <class T>
std::string check(const ElementwiseCase& c, const Op& forward, const Launch<T>& run_forward,
                  const Op& backward, const Launch<T>& run_backward) {
  std::string error = Problem<T>(forward, c).check(run_forward);
  if (!error.empty()) return "forward: " + error;
  error = Problem<T>(backward, c).check(run_backward);
  return error.empty() ? "" : "backward: " + error;
}

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

template <class T>
std::string check_elementwise(const AddScaledFamily<T>& family, const ElementwiseCase& c) {
  const Op forward = {2, 1, 0, false, [](const auto& x, double p, double q) {
                        return Element{{x[0] + p * q * x[1]}, {}};
                      }};
  const Op backward = {2, 2, 2, false, [](const auto& x, double p, double q) {
                         return Element{{x[0], p * q * x[0]}, {q * x[0] * x[1], p * x[0] * x[1]}};
                       }};
  return check<T>(
      c, forward,
      [&](const Operands<T>& o) {
        family.forward(o.out[0], o.in[0], o.in[1], o.p, o.q, o.rows, o.dim, nullptr);
      },
      backward,
      [&](const Operands<T>& o) {
        family.backward(o.out[0], o.out[1], o.sums[0], o.sums[1], o.in[0], o.in[1], o.p, o.q,
                        o.partial, o.rows, o.dim, nullptr);
      });
}

template <class T>
std::string check_elementwise(const MixFamily<T>& family, const ElementwiseCase& c) {
  const Op forward = {2, 1, 0, true, [](const auto& x, double p, double q) {
                        return Element{{p * x[0] + q * x[1]}, {}};
                      }};
  const Op backward = {3, 2, 2, true, [](const auto& x, double p, double q) {
                         return Element{{p * x[0], q * x[0]}, {x[0] * x[1], x[0] * x[2]}};
                       }};
  return check<T>(
      c, forward,
      [&](const Operands<T>& o) {
        family.forward(o.out[0], o.in[0], o.p, o.in[1], o.q, o.rows, o.dim, nullptr);
      },
      backward,
      [&](const Operands<T>& o) {
        family.backward(o.out[0], o.out[1], o.sums[0], o.sums[1], o.in[0], o.in[1], o.p, o.in[2],
                        o.q, o.partial, o.rows, o.dim, nullptr);
      });
}

template <class T>
std::string check_elementwise(const LeakyRelu2Family<T>& family, const ElementwiseCase& c) {
  static constexpr float kSlope = 0.5f;
  const Op forward = {1, 1, 0, false, [](const auto& x, double, double) {
                        const double l = x[0] > 0 ? x[0] : kSlope * x[0];
                        return Element{{l * l}, {}};
                      }};
  const Op backward = {2, 1, 0, false, [](const auto& x, double, double) {
                         const double slope = x[1] > 0 ? 1.0 : kSlope * kSlope;
                         return Element{{x[0] * 2.0 * slope * x[1]}, {}};
                       }};
  const ElementwiseCase flat = {.rows = 1, .dim = c.rows * c.dim, .accumulate = c.accumulate};
  return check<T>(
      flat, forward,
      [&](const Operands<T>& o) {
        family.forward({o.out[0].data, o.out[0].accumulate}, o.in[0].data, kSlope, o.dim, nullptr);
      },
      backward,
      [&](const Operands<T>& o) {
        family.backward({o.out[0].data, o.out[0].accumulate}, o.in[0].data, o.in[1].data, kSlope,
                        o.dim, nullptr);
      });
}

template <class T>
std::string check_elementwise(const SwigluFamily<T>& family, const ElementwiseCase& c) {
  const Op forward = {2, 1, 0, false, [](const auto& x, double, double) {
                        return Element{{x[0] * logistic(x[0]) * x[1]}, {}};
                      }};
  const Op backward = {
      3, 2, 0, false, [](const auto& x, double, double) {
        const double s = logistic(x[1]);
        return Element{{x[0] * x[2] * s * (1.0 + x[1] * (1.0 - s)), x[0] * x[1] * s}, {}};
      }};
  return check<T>(
      c, forward,
      [&](const Operands<T>& o) {
        family.forward(o.out[0], o.in[0], o.in[1], o.rows, o.dim, nullptr);
      },
      backward,
      [&](const Operands<T>& o) {
        family.backward(o.out[0], o.out[1], o.in[0], o.in[1], o.in[2], o.rows, o.dim, nullptr);
      });
}

template <class T>
std::string check_elementwise(const GatedMixFamily<T>& family, const ElementwiseCase& c) {
  const Op forward = {2, 1, 0, true, [](const auto& x, double w, double gate) {
                        const double g = logistic(gate);
                        return Element{{g * x[0] + (1 - g) * w * x[1]}, {}};
                      }};
  const Op backward = {3, 2, 2, true, [](const auto& x, double w, double gate) {
                         const double g = logistic(gate);
                         return Element{
                             {g * x[0], (1 - g) * w * x[0]},
                             {(1 - g) * x[0] * x[2], g * (1 - g) * x[0] * (x[1] - w * x[2])}};
                       }};
  return check<T>(
      c, forward,
      [&](const Operands<T>& o) {
        family.forward(o.out[0], o.in[0], o.in[1], o.p, o.q, o.rows, o.dim, nullptr);
      },
      backward,
      [&](const Operands<T>& o) {
        family.backward(o.out[0], o.out[1], o.sums[0], o.sums[1], o.in[0], o.in[1], o.in[2], o.p,
                        o.q, o.partial, o.rows, o.dim, nullptr);
      });
}

template <class T>
std::string check_elementwise(const BlendFamily<T>& family, const ElementwiseCase& c) {
  const Op forward = {2, 1, 0, false, [](const auto& x, double a, double b) {
                        return Element{{a * x[0] + logistic(b) * x[1]}, {}};
                      }};
  const Op backward = {
      3, 2, 2, false, [](const auto& x, double a, double b) {
        const double s = logistic(b);
        return Element{{a * x[0], s * x[0]}, {x[0] * x[1], s * (1 - s) * x[0] * x[2]}};
      }};
  return check<T>(
      c, forward,
      [&](const Operands<T>& o) {
        family.forward(o.out[0], o.in[0], o.p, o.in[1], o.q, true, o.rows, o.dim, nullptr);
      },
      backward,
      [&](const Operands<T>& o) {
        family.backward(o.out[0], o.out[1], o.sums[0], o.sums[1], o.in[0], o.in[1], o.p, o.in[2],
                        o.q, true, o.partial, o.rows, o.dim, nullptr);
      });
}

std::string check_total_sums(const TotalSumsFamily& family) {
  constexpr int64_t kCount = 2305;  // a multiple of the block, and one
  std::vector<float> values;        // whole numbers: every order adds up to the same
  std::array<float, 2> sums = {10.0f, 20.0f};
  for (int64_t i = 0; i < 2 * kCount; ++i) {
    values.push_back(static_cast<float>(i % 7 - 2));
    sums[static_cast<size_t>(i / kCount)] += values.back();
  }
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> partial(values), first({10.0f}), second({20.0f});
    family.sum({{{first.data(), true}, {second.data(), true}}}, partial.data(), 2, kCount, nullptr);
    if (!first.are_guards_intact() || !second.are_guards_intact()) return "writes past a total";
    if (first.fetch()[0] != sums[0]) return "the first total is wrong";
    return second.fetch()[0] != sums[1] ? "the second total is wrong" : "";
  });
}

template std::string check_elementwise(const AddScaledFamily<float>&, const ElementwiseCase&);
template std::string check_elementwise(const AddScaledFamily<bf16>&, const ElementwiseCase&);
template std::string check_elementwise(const MixFamily<float>&, const ElementwiseCase&);
template std::string check_elementwise(const MixFamily<bf16>&, const ElementwiseCase&);
template std::string check_elementwise(const LeakyRelu2Family<float>&, const ElementwiseCase&);
template std::string check_elementwise(const LeakyRelu2Family<bf16>&, const ElementwiseCase&);
template std::string check_elementwise(const SwigluFamily<float>&, const ElementwiseCase&);
template std::string check_elementwise(const SwigluFamily<bf16>&, const ElementwiseCase&);
template std::string check_elementwise(const GatedMixFamily<float>&, const ElementwiseCase&);
template std::string check_elementwise(const GatedMixFamily<bf16>&, const ElementwiseCase&);
template std::string check_elementwise(const BlendFamily<float>&, const ElementwiseCase&);
template std::string check_elementwise(const BlendFamily<bf16>&, const ElementwiseCase&);

}  // namespace pg::kerneltest
