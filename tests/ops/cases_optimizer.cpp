// Cases of optimizer steps, averaging and gradient clipping.
#include <cmath>

#include "tests/ops/newton_schulz_tolerance.h"
#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

constexpr double kClip = 0.37;

// Matrices with `gap` elements of something else behind each.
MatrixBatch batch_of(int64_t count, int64_t rows, int64_t cols, int64_t gap) {
  return {count, rows, cols, rows * cols + gap};
}
std::string describe_batch(const MatrixBatch& s) {
  return describe({{"count", s.count}, {"rows", s.rows}, {"cols", s.cols}, {"stride", s.stride}});
}

// The error of each element that belongs to a matrix (a row's vector); 0 for what lies between.
ErrorBound within_batch(int64_t count, int64_t size, int64_t stride, const ErrorBound& bound) {
  return [=](const Problem& p) {
    Values errors = bound(p);
    for (int64_t i = 0; i < count * stride; ++i) {
      if (i % stride >= size) errors[static_cast<size_t>(i)] = 0;
    }
    return errors;
  };
}

OpCase clip_coefficient_case(double squares, float max_norm) {
  Operand in{"squares", Role::kIn, Kind::kF64, 1, fixed({squares}), {}};
  return {OpId::kClipCoefficient,
          "squares=" + std::to_string(squares) + " max_norm=" + std::to_string(max_norm),
          // root, sum, quotient, and each may be rounded to f32
          {in, output_f32("coefficient", 1, units_of_result("coefficient", 4))},
          [=](Ops& ops, const Args& a) {
            ops.clip_coefficient(a.out("coefficient"), a.in("squares"), max_norm);
          }};
}

// A sum of two products, where g' = g coefficient is rounded first.
Values m_sizes(const Problem& p, double beta1) {
  Values sizes = p.in("m");
  for (size_t i = 0; i < sizes.size(); ++i) {
    sizes[i] = std::abs(beta1 * sizes[i]) + (1.0 - beta1) * std::abs(kClip * p.in("g")[i]);
  }
  return sizes;
}

// m' errs by 5 units of |b1 m| + |(1-b1) g'|, v' by 6 of itself (both its terms are positive); then
// lr (m'/bias1) / (sqrt(v'/bias2) + eps) rounds 5 times, the root halves the error of v'; p (1 - lr
// wd) rounds 3 times.
Values adamw_p_errors(const Problem& p, const AdamWStep& step) {
  const Values m = m_sizes(p, step.beta1);
  Values errors(m.size());
  for (size_t i = 0; i < errors.size(); ++i) {
    const double denominator = std::sqrt(p.want("v")[i] / step.bias2) + step.epsilon;
    const double update = std::abs(step.lr * p.want("m")[i] / step.bias1 / denominator);
    const double update_from_m = step.lr * 5 * m[i] / step.bias1 / denominator;
    errors[i] =
        kUnitF32 * (4 * std::abs(p.in("p")[i]) + update_from_m + (0.5 * 6 + 1 + 6) * update);
  }
  return errors;
}

OpCase adamw_case(int64_t count, const AdamWStep& step, bool cautious = false) {
  return {OpId::kAdamw,
          describe({{"count", count}}) + " beta2=" + std::to_string(step.beta2) +
              (cautious ? " cautious" : ""),
          {in_out("p", count, normal(), [=](const Problem& p) { return adamw_p_errors(p, step); }),
           in_out("m", count, normal(0.1),
                  [=](const Problem& p) { return units_of(5, m_sizes(p, step.beta1)); }),
           in_out("v", count, squares_of_normal(0.1), units_of_result("v", 6)),
           input_f32("g", count, normal(0.1)), input_f32("coefficient", 1, fixed({kClip})),
           input_f32("step", kAdamWScalars,
                     fixed({step.lr, step.beta1, step.beta2, step.epsilon, step.weight_decay,
                            step.bias1, step.bias2}))},
          [=](Ops& ops, const Args& a) {
            ops.adamw(a.out("p"), a.out("m"), a.out("v"), a.in("g"), a.in("coefficient"),
                      a.in("step"), cautious, count);
          }};
}

// u = g' + mu m', m' = mu m + g'; a row's norm adds the relative error of a sum of squares, and
// that of u itself.
Values muon_u_errors(const Problem& p, float mu, bool row_norm, int64_t rows, int64_t cols) {
  Values errors(static_cast<size_t>(rows * cols));
  for (size_t i = 0; i < errors.size(); ++i) {
    const double g = std::abs(kClip * p.in("g")[i]), m = std::abs(mu * p.in("m")[i]);
    errors[i] = 5 * kUnitF32 * (g + mu * (m + g));
  }
  for (int64_t r = 0; row_norm && r < rows; ++r) {
    double squares = 0.0, error_squares = 0.0;
    for (size_t i = static_cast<size_t>(r * cols); i < static_cast<size_t>((r + 1) * cols); ++i) {
      // The row before normalisation, recomputed: want("u") has norm 1.
      const double g = kClip * p.in("g")[i];
      squares += std::pow(g + mu * (mu * p.in("m")[i] + g), 2);
      error_squares += errors[i] * errors[i];
    }
    const double norm = std::max(std::sqrt(squares), 1e-7);
    const double norm_error =
        std::sqrt(error_squares) / norm + kUnitF32 * (0.5 * (sum_units(cols) + 1) + 3);
    for (size_t i = static_cast<size_t>(r * cols); i < static_cast<size_t>((r + 1) * cols); ++i) {
      errors[i] = errors[i] / norm + std::abs(p.want("u")[i]) * norm_error;
    }
  }
  return errors;
}

OpCase muon_momentum_case(const MatrixBatch& shape, bool row_norm) {
  constexpr float kMu = 0.95f;
  const int64_t count = shape.count * shape.stride, rows = count / shape.cols, cols = shape.cols;
  const auto within = [=](const ErrorBound& bound) {
    return within_batch(shape.count, shape.size(), shape.stride, bound);
  };
  const auto m_error = [](const Problem& p) {
    Values sizes = p.in("m");
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = std::abs(kMu * sizes[i]) + std::abs(kClip * p.in("g")[i]);
    }
    return units_of(3, sizes);
  };
  return {OpId::kMuonMomentum,
          describe_batch(shape) + (row_norm ? " row norm" : ""),
          {in_out("u", count, normal(), within([=](const Problem& p) {
                    return muon_u_errors(p, kMu, row_norm, rows, cols);
                  })),
           in_out("m", count, normal_with_zero_rows(cols), within(m_error)),
           input_f32("g", count, normal_with_zero_rows(cols)),
           input_f32("coefficient", 1, fixed({kClip})), input_f32("mu", 1, fixed({kMu}))},
          [=](Ops& ops, const Args& a) {
            ops.muon_momentum(a.out("u"), a.out("m"), a.in("g"), a.in("coefficient"), a.in("mu"),
                              row_norm, shape);
          }};
}

OpCase newton_schulz_case(const MatrixBatch& shape, int steps,
                          NewtonSchulzStart start = NewtonSchulzStart::kNorm) {
  // Jordan et al. 2024, Muon.
  const std::vector<NewtonSchulzCoefficients> coefficients(
      static_cast<size_t>(steps), NewtonSchulzCoefficients{3.4445f, -4.7750f, 2.0315f});
  Operand u = in_out("u", shape.count * shape.stride, normal(3.0), [=](const Problem& p) {
    double squares = 0;  // the batch's error in Frobenius norm; what lies between stays as it is
    for (int64_t i = 0; i < shape.count; ++i) {
      const auto begin = p.in("u").begin() + i * shape.stride;
      squares +=
          std::pow(newton_schulz_error(Values(begin, begin + shape.rows * shape.cols), shape.rows,
                                       shape.cols, coefficients, start, p.compute_unit),
                   2);
    }
    return Values{std::sqrt(squares)};
  });
  u.error_is_of_norm = true;
  return {
      OpId::kNewtonSchulz,
      describe_batch(shape) + " steps=" + std::to_string(steps) +
          (start == NewtonSchulzStart::kAol ? " aol" : ""),
      {u},
      [=](Ops& ops, const Args& a) { ops.newton_schulz(a.out("u"), coefficients, start, shape); }};
}
OpCase newton_schulz_case(int64_t rows, int64_t cols, int steps) {
  return newton_schulz_case(batch_of(1, rows, cols, 0), steps);
}

OpCase scale_rows_backward_case(const MatrixBatch& shape, int64_t s_stride) {
  const int64_t size = shape.rows * shape.cols;
  const auto sum_error = [=](const Problem& p) {
    return units_of(sum_units(shape.cols) + 1, p.magnitude("ds"));
  };
  return {OpId::kScaleRowsBackward,
          describe_batch(shape) + " s_stride=" + std::to_string(s_stride),
          {in_out("dx", shape.count * shape.stride, normal(),
                  within_batch(shape.count, size, shape.stride, units_of_result("dx", 1))),
           in_out("ds", shape.count * s_stride, normal(),
                  within_batch(shape.count, shape.rows, s_stride, sum_error)),
           input_f32("x", shape.count * shape.stride, normal()),
           input_f32("s", shape.count * s_stride, normal())},
          [=](Ops& ops, const Args& a) {
            ops.scale_rows_backward(a.out("dx"), a.out("ds"), a.in("x"), a.in("s"), shape,
                                    s_stride);
          }};
}

OpCase scale_rows_case(const MatrixBatch& shape, int64_t s_stride) {
  const int64_t elements = shape.count * shape.stride;
  return {OpId::kScaleRows,
          describe_batch(shape) + " s_stride=" + std::to_string(s_stride),
          {input_f32("x", elements, normal()), input_f32("s", shape.count * s_stride, normal()),
           output("y", elements, units_of_result("y", 1))},
          [=](Ops& ops, const Args& a) {
            ops.scale_rows(a.out("y"), a.in("x"), a.in("s"), shape, s_stride);
          },
          {{"y"}, {"x", "s"}, [=](Ops& ops, const Args& a) {
             ops.cast(a.out("dx"), a.in("dy"), elements);  // the rule works in place
             ops.scale_rows_backward(a.out("dx"), a.out("ds"), a.in("x"), a.in("s"), shape,
                                     s_stride);
           }}};
}

OpCase apply_update_case(const MatrixBatch& shape, bool cautious = false) {
  const int64_t count = shape.count * shape.stride;
  constexpr float kDecay = 0.98f, kStep = 0.03f;
  const auto error = [](const Problem& p) {
    Values sizes = p.in("p");
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = std::abs(kDecay * sizes[i]) + std::abs(kStep * p.in("u")[i]);
    }
    return units_of(2, sizes);
  };
  return {
      OpId::kApplyUpdate,
      describe_batch(shape) + (cautious ? " cautious" : ""),
      {in_out("p", count, normal(), within_batch(shape.count, shape.size(), shape.stride, error)),
       input_f32("u", count, normal()), input_f32("decay_step", 2, fixed({kDecay, kStep}))},
      [=](Ops& ops, const Args& a) {
        ops.apply_update(a.out("p"), a.in("u"), {}, a.in("decay_step"), cautious, shape);
      }};
}

// v' is worked out in f64. An element of u is a product of two rounded factors.
OpCase normuon_case(const MatrixBatch& shape, bool columns, float rms) {
  constexpr float kBeta2 = 0.95f;
  const int64_t neurons = columns ? shape.cols : shape.rows, v_stride = neurons + 3;
  return {OpId::kNormuon,
          describe_batch(shape) + (columns ? " columns" : "") + (rms > 0 ? " rms" : ""),
          {in_out("u", shape.count * shape.stride, normal(),
                  within_batch(shape.count, shape.size(), shape.stride, units_of_result("u", 2))),
           in_out("v", shape.count * v_stride, squares_of_normal(1.0),
                  within_batch(shape.count, neurons, v_stride, units_of_result("v", 1))),
           input_f32("coefficient", 1, fixed({kClip})), input_f32("beta2", 1, fixed({kBeta2}))},
          [=](Ops& ops, const Args& a) {
            ops.normuon(a.out("u"), a.out("v"), a.in("coefficient"), a.in("beta2"), columns, rms,
                        shape, v_stride);
          }};
}

// d' is worked out in f64 and rounded once, then the product is.
OpCase balance_neurons_case(const MatrixBatch& shape, float beta, bool is_first) {
  const int64_t elements = shape.count * shape.stride;
  const int64_t neurons = std::max(shape.rows, shape.cols);
  return {OpId::kBalanceNeurons,
          describe_batch(shape) + " beta=" + std::to_string(beta) + (is_first ? " first" : ""),
          {in_out("y", elements, normal(0.3),
                  within_batch(shape.count, shape.size(), shape.stride, units_of_result("y", 2))),
           in_out("d", shape.count * neurons, squares_of_normal(1.0), units_of_result("d", 1)),
           input_f32("x", elements, normal_with_zero_rows(shape.cols))},
          [=](Ops& ops, const Args& a) {
            ops.balance_neurons(a.out("y"), a.out("d"), a.in("x"), beta, is_first, shape);
          }};
}

OpCase lerp_case(int64_t count, float decay) {
  const auto error = [=](const Problem& p) {
    Values sizes = p.in("average");
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = decay * std::abs(sizes[i]) + (1.0 - decay) * std::abs(p.in("x")[i]);
    }
    return units_of(3, sizes);  // 1 - decay, the product, the sum
  };
  return {OpId::kLerp,
          describe({{"count", count}}) + " decay=" + std::to_string(decay),
          {in_out("average", count, normal(), error), input_f32("x", count, normal()),
           input_f32("decay", 1, fixed({decay}))},
          [=](Ops& ops, const Args& a) {
            ops.lerp(a.out("average"), a.in("x"), a.in("decay"), count);
          }};
}

}  // namespace

std::vector<OpCase> optimizer_cases() {
  std::vector<OpCase> cases = {clip_coefficient_case(4.0, 0.5f), clip_coefficient_case(0.04, 0.5f),
                               clip_coefficient_case(9.0, 0.0f), clip_coefficient_case(0.0, 1.0f),
                               clip_coefficient_case(1e30, 1.0f)};
  const AdamWStep first = {0.008f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.1f, 0.05f};
  const AdamWStep late = {0.001f, 0.9f, 0.999f, 1e-10f, 0.0f, 0.999f, 0.9f};
  for (const int64_t count : {1, 2, 33, 1000, 66003}) {
    cases.push_back(adamw_case(count, first));
    cases.push_back(adamw_case(count, late));
    cases.push_back(adamw_case(count, first, /*cautious=*/true));
    cases.push_back(apply_update_case(batch_of(1, 1, count, 0)));
    cases.push_back(lerp_case(count, 0.997f));
  }
  cases.push_back(lerp_case(33, 0.2f));
  cases.push_back(lerp_case(33, 0.0f));
  const int64_t shapes[][2] = {{1, 1}, {2, 3}, {31, 33}, {3, 64}, {67, 1000}};
  for (const auto& [rows, cols] : shapes) {
    for (const bool row_norm : {false, true}) {
      cases.push_back(muon_momentum_case(batch_of(1, rows, cols, 0), row_norm));
      cases.push_back(muon_momentum_case(batch_of(3, rows, cols, 2 * cols), row_norm));
    }
    cases.push_back(apply_update_case(batch_of(3, rows, cols, 5)));
    cases.push_back(apply_update_case(batch_of(3, rows, cols, 5), /*cautious=*/true));
    for (const bool columns : {false, true}) {
      cases.push_back(normuon_case(batch_of(3, rows, cols, 5), columns, columns ? 0.0f : 0.2f));
    }
    cases.push_back(normuon_case(batch_of(1, rows, cols, 0), /*columns=*/false, 0.0f));
    for (const bool is_tall : {false, true}) {
      if (is_tall && rows == cols) continue;
      const MatrixBatch shape =
          batch_of(2, is_tall ? cols : rows, is_tall ? rows : cols, 2 * (rows + cols));
      cases.push_back(balance_neurons_case(shape, 0.5f, /*is_first=*/true));
      cases.push_back(balance_neurons_case(shape, 0.25f, /*is_first=*/false));
    }
  }
  // Wide, tall, square, odd; 0 steps only normalises.
  cases.push_back(newton_schulz_case(32, 64, 0));
  cases.push_back(newton_schulz_case(1, 1, 1));
  cases.push_back(newton_schulz_case(1, 40, 5));
  cases.push_back(newton_schulz_case(3, 2, 5));
  cases.push_back(newton_schulz_case(32, 64, 1));
  cases.push_back(newton_schulz_case(32, 64, 5));
  cases.push_back(newton_schulz_case(65, 31, 5));
  cases.push_back(newton_schulz_case(48, 48, 5));
  cases.push_back(newton_schulz_case(64, 200, 5));
  // Batches with and without gaps; more than one block of a symmetric product.
  cases.push_back(newton_schulz_case(batch_of(3, 16, 24, 0), 5));
  cases.push_back(newton_schulz_case(batch_of(2, 40, 24, 17), 3));
  cases.push_back(newton_schulz_case(batch_of(2, 130, 140, 8), 1));
  cases.push_back(newton_schulz_case(270, 80, 1));
  cases.push_back(newton_schulz_case(260, 270, 1));
  constexpr NewtonSchulzStart kAol = NewtonSchulzStart::kAol;
  cases.push_back(newton_schulz_case(batch_of(1, 32, 64, 0), 0, kAol));
  cases.push_back(newton_schulz_case(batch_of(1, 1, 40, 0), 4, kAol));
  cases.push_back(newton_schulz_case(batch_of(2, 40, 24, 17), 4, kAol));
  cases.push_back(newton_schulz_case(batch_of(3, 48, 48, 0), 4, kAol));
  cases.push_back(newton_schulz_case(batch_of(2, 130, 140, 8), 1, kAol));
  cases.push_back(newton_schulz_case(batch_of(1, 260, 270, 0), 1, kAol));
  for (const int64_t cols : {1, 33, 512, 1032}) {
    cases.push_back(scale_rows_case(batch_of(1, 5, cols, 0), 5));
    cases.push_back(scale_rows_case(batch_of(3, 67, cols, 0), 67));
    cases.push_back(scale_rows_backward_case(batch_of(1, 5, cols, 0), 5));
    cases.push_back(scale_rows_backward_case(batch_of(3, 67, cols, 9), 80));
  }
  return cases;
}

std::vector<OpCase> optimizer_record_cases() {
  constexpr int64_t kParams = int64_t{1} << 20;
  const MatrixBatch matrices = batch_of(2, 512, 1024, 0);
  return {adamw_case(kParams, {0.008f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.1f, 0.05f}),
          muon_momentum_case(matrices, /*row_norm=*/true),
          newton_schulz_case(batch_of(2, 256, 512, 0), 5),
          normuon_case(matrices, /*columns=*/false, 0.2f),
          apply_update_case(matrices),
          lerp_case(kParams, 0.997f)};
}

}  // namespace pg::optest
