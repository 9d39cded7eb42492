// Muon's forms in double, written from their formulas (ops.h, optimizer.cpp) with loops alone.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/train/train_config.h"

namespace pg {

struct ReferenceMatrix {
  int64_t rows = 0, cols = 0;
  std::vector<double> values;

  ReferenceMatrix(int64_t rows_, int64_t cols_)
      : rows(rows_), cols(cols_), values(static_cast<size_t>(rows_ * cols_), 0.0) {}
  double& at(int64_t r, int64_t c) { return values[static_cast<size_t>(r * cols + c)]; }
  double at(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * cols + c)]; }
  double norm() const {
    double squares = 0;
    for (const double v : values) squares += v * v;
    return std::sqrt(squares);
  }
  double row_norm(int64_t r) const {
    double squares = 0;
    for (int64_t c = 0; c < cols; ++c) squares += at(r, c) * at(r, c);
    return std::sqrt(squares);
  }
  ReferenceMatrix transposed() const {
    ReferenceMatrix t(cols, rows);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) t.at(c, r) = at(r, c);
    }
    return t;
  }
};

inline ReferenceMatrix multiply(const ReferenceMatrix& a, const ReferenceMatrix& b) {
  ReferenceMatrix c(a.rows, b.cols);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < b.cols; ++j) {
      for (int64_t k = 0; k < a.cols; ++k) c.at(i, j) += a.at(i, k) * b.at(k, j);
    }
  }
  return c;
}

// (a, b, c) of iteration i.
inline std::vector<double> reference_coefficients(const OptimizerConfig& config, int64_t i) {
  const std::vector<double> polar_express[] = {
      {8.156554524902461, -22.48329292557795, 15.878769915207462},
      {4.042929935166739, -2.808917465908714, 0.5000178451051316},
      {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
      {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
      {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}};
  const std::vector<double> turbo[] = {{4.0848, -6.8946, 2.9270},
                                       {3.9505, -6.3029, 2.6377},
                                       {3.7418, -5.5913, 2.3037},
                                       {2.8769, -3.1427, 1.2046},
                                       {2.8366, -3.0525, 1.2012}};
  switch (config.newton_schulz) {
    case NewtonSchulz::kPolarExpress:
      return polar_express[i];
    case NewtonSchulz::kTurbo:
      return turbo[5 - config.newton_schulz_steps + i];
    case NewtonSchulz::kQuintic:
      return {2.0, -1.5, 0.5};
    case NewtonSchulz::kStock:
      break;
  }
  return {3.4445, -4.7750, 2.0315};
}

inline ReferenceMatrix reference_polar(const ReferenceMatrix& u, const OptimizerConfig& config) {
  if (u.rows > u.cols) return reference_polar(u.transposed(), config).transposed();
  ReferenceMatrix x = u;
  const double norm = x.norm() + 1e-7;
  for (double& v : x.values) v /= norm;
  if (config.newton_schulz_scaling == NewtonSchulzScaling::kAol) {
    const ReferenceMatrix gram = multiply(x, x.transposed());
    for (int64_t i = 0; i < x.rows; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < x.rows; ++j) sum += std::abs(gram.at(i, j));
      for (int64_t c = 0; c < x.cols; ++c) x.at(i, c) /= std::sqrt(std::max(sum, 1e-14));
    }
  }
  for (int64_t step = 0; step < config.newton_schulz_steps; ++step) {
    const std::vector<double> f = reference_coefficients(config, step);
    const ReferenceMatrix gram = multiply(x, x.transposed()), square = multiply(gram, gram);
    ReferenceMatrix polynomial(x.rows, x.rows);
    for (size_t i = 0; i < gram.values.size(); ++i) {
      polynomial.values[i] = f[1] * gram.values[i] + f[2] * square.values[i];
    }
    const ReferenceMatrix product = multiply(polynomial, x);
    for (size_t i = 0; i < x.values.size(); ++i) {
      x.values[i] = f[0] * x.values[i] + product.values[i];
    }
  }
  return x;
}

// Aurora on a matrix that is not square: for the rows of a tall one.
inline ReferenceMatrix reference_aurora(const ReferenceMatrix& u, const OptimizerConfig& config) {
  if (u.rows < u.cols) return reference_aurora(u.transposed(), config).transposed();
  std::vector<double> d;
  for (int64_t r = 0; r < u.rows; ++r) d.push_back(1.0 / std::max(u.row_norm(r), 1e-7));
  ReferenceMatrix o = u;
  const double target = static_cast<double>(u.cols) / static_cast<double>(u.rows);
  for (int64_t k = 1; k <= config.aurora_iterations; ++k) {
    ReferenceMatrix scaled = u;
    for (int64_t r = 0; r < u.rows; ++r) {
      for (int64_t c = 0; c < u.cols; ++c) scaled.at(r, c) *= d[static_cast<size_t>(r)];
    }
    o = reference_polar(scaled, config);
    if (k == config.aurora_iterations) break;
    for (int64_t r = 0; r < u.rows; ++r) {
      const double square = std::max(o.row_norm(r) * o.row_norm(r), 1e-14);
      d[static_cast<size_t>(r)] *= std::pow(target / square, config.aurora_beta);
    }
  }
  return o;
}

// One matrix, its momentum and NorMuon's second moments, step by step.
class MuonReference {
 public:
  MuonReference(OptimizerConfig config, ReferenceMatrix start)
      : config_(std::move(config)),
        p_(std::move(start)),
        m_(p_.rows, p_.cols),
        v_(static_cast<size_t>(std::max(p_.rows, p_.cols)), 0.0) {}

  void step(const ReferenceMatrix& gradient, double mu, double lr, double weight_decay) {
    ReferenceMatrix u = gradient;
    for (size_t i = 0; i < u.values.size(); ++i) {
      m_.values[i] = mu * m_.values[i] + gradient.values[i];
      u.values[i] = gradient.values[i] + mu * m_.values[i];
    }
    if (config_.muon_row_norm) {
      for (int64_t r = 0; r < u.rows; ++r) {
        const double norm = std::max(u.row_norm(r), 1e-7);
        for (int64_t c = 0; c < u.cols; ++c) u.at(r, c) /= norm;
      }
    }
    const bool is_balanced = config_.aurora_iterations > 0 && u.rows != u.cols;
    ReferenceMatrix o = is_balanced ? reference_aurora(u, config_) : reference_polar(u, config_);
    double scale =
        std::sqrt(std::max(1.0, static_cast<double>(u.rows) / static_cast<double>(u.cols)));
    if (config_.normuon == NorMuon::kPaper) {
      normalise_rows(o, 0.2 * std::sqrt(static_cast<double>(o.rows * o.cols)));
      scale = 1.0;
    } else if (config_.normuon == NorMuon::kModded) {
      const double norm = o.norm();
      const bool is_wide = o.cols > o.rows;
      if (is_wide) o = o.transposed();
      normalise_rows(o, norm);
      if (is_wide) o = o.transposed();
    }
    for (size_t i = 0; i < o.values.size(); ++i) {
      double& p = p_.values[i];
      const bool decays = !config_.cautious_weight_decay || o.values[i] * p >= 0;
      p = p * (decays ? 1.0 - lr * weight_decay : 1.0) - lr * scale * o.values[i];
    }
  }

  const ReferenceMatrix& weights() const { return p_; }

 private:
  void normalise_rows(ReferenceMatrix& o, double norm) {
    for (int64_t r = 0; r < o.rows; ++r) {
      double& v = v_[static_cast<size_t>(r)];
      const double mean = o.row_norm(r) * o.row_norm(r) / static_cast<double>(o.cols);
      v = config_.normuon_beta2 * v + (1.0 - config_.normuon_beta2) * mean;
      for (int64_t c = 0; c < o.cols; ++c) o.at(r, c) /= std::sqrt(std::max(v, 1e-10));
    }
    const double factor = norm / std::max(o.norm(), 1e-10);
    for (double& value : o.values) value *= factor;
  }

  OptimizerConfig config_;
  ReferenceMatrix p_, m_;
  std::vector<double> v_;
};

}  // namespace pg
