// What training and learning ask of weights: first values, gradients of the masters, and their
// values back.
#include <algorithm>
#include <cmath>

#include "src/base/hash.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/plan/weights.h"

namespace pg {
namespace {

// n orthonormal vectors of length m >= n, row by row: modified Gram-Schmidt on Gaussian rows. Its R
// has a positive diagonal, so the result is distributed as a random orthogonal matrix (Mezzadri
// 2007).
std::vector<double> make_orthonormal_rows(int64_t n, int64_t m, const CounterRng& rng) {
  std::vector<double> q(static_cast<size_t>(n * m));
  for (size_t i = 0; i < q.size(); ++i) q[i] = rng.normal(i);
  for (int64_t i = 0; i < n; ++i) {
    double* row = q.data() + i * m;
    for (int64_t j = 0; j < i; ++j) {
      const double* other = q.data() + j * m;
      double dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t k = 0; k < m; ++k) dot += row[k] * other[k];
#pragma omp simd
      for (int64_t k = 0; k < m; ++k) row[k] -= dot * other[k];
    }
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t k = 0; k < m; ++k) squares += row[k] * row[k];
    const double inverse = 1.0 / std::sqrt(squares);
    for (int64_t k = 0; k < m; ++k) row[k] *= inverse;
  }
  return q;
}

void initialise_param(const ParamSpec& spec, uint64_t seed, std::vector<float>& values) {
  values.resize(static_cast<size_t>(spec.elements()));
  // Keyed by name: adding a parameter leaves the others' values as they were.
  const CounterRng rng(
      seed ^ fnv1a({reinterpret_cast<const uint8_t*>(spec.name.data()), spec.name.size()}),
      kStreamWeightInit);
  switch (spec.init) {
    case ParamInit::kConstant:
      std::fill(values.begin(), values.end(), spec.init_value);
      break;
    case ParamInit::kNormal:
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(rng.normal(i) * static_cast<double>(spec.init_value));
      }
      break;
    case ParamInit::kUniform:
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] =
            static_cast<float>((2 * rng.uniform(i) - 1) * static_cast<double>(spec.init_value));
      }
      break;
    case ParamInit::kOrthogonal: {
      const bool tall = spec.rows > spec.cols;
      const int64_t n = std::min(spec.rows, spec.cols), m = std::max(spec.rows, spec.cols);
      const std::vector<double> q = make_orthonormal_rows(n, m, rng);
      for (int64_t r = 0; r < spec.rows; ++r) {
        for (int64_t c = 0; c < spec.cols; ++c) {
          const double v = q[static_cast<size_t>(tall ? c * m + r : r * m + c)];
          values[static_cast<size_t>(r * spec.cols + c)] =
              static_cast<float>(v * static_cast<double>(spec.init_value));
        }
      }
      break;
    }
  }
}

}  // namespace

void Weights::initialise(uint64_t seed) {
  parallel_chunks(count(), [&](int64_t i) { initialise(static_cast<int>(i), seed); });
  refresh_compute();
}

void Weights::initialise(int index, uint64_t seed) {
  std::vector<float> values;
  initialise_param(spec(index), seed, values);
  device_->upload(master(index), values.data(), values.size() * sizeof(float));
}

void Weights::finish_gradients() {
  for (const ScaledRows& scaled : trained_scaled_) {
    const int first = scaled.batch.params.front();
    const int scale = find(spec(first).row_scale);
    Out scale_gradient;
    if (spec(scale).trainable) scale_gradient = {at(scale).gradient, DType::kF32};
    device_->ops().scale_rows_backward(
        {at(first).gradient, DType::kF32}, scale_gradient, {at(first).master, DType::kF32},
        {at(scale).master, DType::kF32}, scaled.batch.shape, scaled.scale_stride);
  }
}

std::vector<HostTensor> Weights::download() const {
  device_->synchronize();
  std::vector<HostTensor> tensors;
  for (int i = 0; i < count(); ++i) {
    HostTensor& tensor = tensors.emplace_back();
    tensor.spec = spec(i);
    tensor.values.resize(static_cast<size_t>(spec(i).elements()));
    device_->download(tensor.values.data(), master(i), tensor.values.size() * sizeof(float));
  }
  return tensors;
}

}  // namespace pg
