// Gradients of a model against the slope of its loss.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "src/plan/weights.h"

namespace pg {

using Gradients = std::vector<std::vector<float>>;  // in list_params order

inline Gradients read_gradients(Weights& weights) {
  Gradients gradients;
  for (int i = 0; i < weights.count(); ++i) {
    gradients.emplace_back(weights.gradient(i), weights.gradient(i) + weights.spec(i).elements());
  }
  return gradients;
}

inline double norm(const std::vector<float>& values) {
  double squares = 0;
  for (const float value : values) squares += std::pow(static_cast<double>(value), 2);
  return std::sqrt(squares);
}

// Along a parameter's own gradient the slope is its norm: no cancellation between components. `loss` is
// that of the weights as they are then. Storage is f32, so a loss of about 4 is known to 4e-7; a step
// changes it by about 2e-3 and has at most the size `longest_step`.
inline void expect_slopes(Weights& weights, const Gradients& gradients,
                          const std::function<double()>& loss, double longest_step) {
  const std::vector<HostTensor> origin = weights.download();
  const auto loss_at = [&](size_t index, double step) {
    std::vector<HostTensor> moved = origin;
    for (size_t k = 0; k < gradients[index].size(); ++k) {
      moved[index].values[k] += static_cast<float>(step * static_cast<double>(gradients[index][k]));
    }
    weights.upload(moved);
    return loss();
  };
  for (size_t i = 0; i < origin.size(); ++i) {
    const double size = norm(gradients[i]);
    ASSERT_GT(size, 1e-7) << origin[i].spec.name << " has no gradient: it is not part of the model";
    const double step = std::min(longest_step, 2e-3 / size) / size;
    const double slope = (loss_at(i, step) - loss_at(i, -step)) / (2 * step * size);
    EXPECT_NEAR(slope, size, 0.02 * size + 2e-6 / (step * size)) << origin[i].spec.name;
  }
  weights.upload(origin);
}

}  // namespace pg
