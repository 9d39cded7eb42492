// Cases of optimizer steps, averaging and gradient clipping.
#include <cmath>

#include "tests/ops/newton_schulz_tolerance.h"
#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

constexpr double kClip = 0.37;

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

OpCase adamw_case(int64_t count, const AdamWStep& step) {
  return {OpId::kAdamw,
          describe({{"count", count}}) + " beta2=" + std::to_string(step.beta2),
          {in_out("p", count, normal(), [=](const Problem& p) { return adamw_p_errors(p, step); }),
           in_out("m", count, normal(0.1),
                  [=](const Problem& p) { return units_of(5, m_sizes(p, step.beta1)); }),
           in_out("v", count, squares_of_normal(0.1), units_of_result("v", 6)),
           input_f32("g", count, normal(0.1)), input_f32("coefficient", 1, fixed({kClip}))},
          [=](Ops& ops, const Args& a) {
            ops.adamw(a.out("p"), a.out("m"), a.out("v"), a.in("g"), a.in("coefficient"), step,
                      count);
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

OpCase muon_momentum_case(int64_t rows, int64_t cols, bool row_norm) {
  constexpr float kMu = 0.95f;
  const int64_t count = rows * cols;
  const auto m_error = [](const Problem& p) {
    Values sizes = p.in("m");
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = std::abs(kMu * sizes[i]) + std::abs(kClip * p.in("g")[i]);
    }
    return units_of(3, sizes);
  };
  return {
      OpId::kMuonMomentum,
      describe({{"rows", rows}, {"cols", cols}}) + (row_norm ? " row norm" : ""),
      {output_f32("u", count,
                  [=](const Problem& p) { return muon_u_errors(p, kMu, row_norm, rows, cols); }),
       in_out("m", count, normal_with_zero_rows(cols), m_error),
       input_f32("g", count, normal_with_zero_rows(cols)),
       input_f32("coefficient", 1, fixed({kClip}))},
      [=](Ops& ops, const Args& a) {
        ops.muon_momentum(a.out("u"), a.out("m"), a.in("g"), a.in("coefficient"), kMu, row_norm,
                          rows, cols);
      }};
}

OpCase newton_schulz_case(int64_t rows, int64_t cols, int steps) {
  // Jordan et al. 2024, Muon.
  const std::vector<NewtonSchulzCoefficients> coefficients(
      static_cast<size_t>(steps), NewtonSchulzCoefficients{3.4445f, -4.7750f, 2.0315f});
  Operand u = in_out("u", rows * cols, normal(3.0), [=](const Problem& p) {
    return Values{newton_schulz_error(p.in("u"), rows, cols, coefficients, p.compute_unit)};
  });
  u.error_is_of_norm = true;
  return {
      OpId::kNewtonSchulz,
      describe({{"rows", rows}, {"cols", cols}, {"steps", steps}}),
      {u},
      [=](Ops& ops, const Args& a) { ops.newton_schulz(a.out("u"), coefficients, rows, cols); }};
}

OpCase apply_update_case(int64_t count) {
  constexpr float kDecay = 0.98f, kStep = 0.03f;
  const auto error = [](const Problem& p) {
    Values sizes = p.in("p");
    for (size_t i = 0; i < sizes.size(); ++i) {
      sizes[i] = std::abs(kDecay * sizes[i]) + std::abs(kStep * p.in("u")[i]);
    }
    return units_of(2, sizes);
  };
  return {OpId::kApplyUpdate,
          describe({{"count", count}}),
          {in_out("p", count, normal(), error), input_f32("u", count, normal())},
          [=](Ops& ops, const Args& a) {
            ops.apply_update(a.out("p"), a.in("u"), kDecay, kStep, count);
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
          {in_out("average", count, normal(), error), input_f32("x", count, normal())},
          [=](Ops& ops, const Args& a) { ops.lerp(a.out("average"), a.in("x"), decay, count); }};
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
    cases.push_back(apply_update_case(count));
    cases.push_back(lerp_case(count, 0.997f));
  }
  cases.push_back(lerp_case(33, 0.2f));
  cases.push_back(lerp_case(33, 0.0f));
  const int64_t shapes[][2] = {{1, 1}, {2, 3}, {31, 33}, {3, 64}, {67, 1000}};
  for (const auto& [rows, cols] : shapes) {
    cases.push_back(muon_momentum_case(rows, cols, false));
    cases.push_back(muon_momentum_case(rows, cols, true));
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
  return cases;
}

}  // namespace pg::optest
