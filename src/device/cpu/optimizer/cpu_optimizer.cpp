// Optimizer steps, in place on f32 state: bound by memory, one pass each.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "src/device/cpu/cpu_matrix_rows.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

constexpr float kRowNormFloor = 1e-7f;  // ops.h, muon_momentum

}  // namespace

void CpuOps::adamw(Out p, Out m, Out v, In g, In coefficient, In step_scalars, bool cautious,
                   int64_t count) {
  std::array<float, kAdamWScalars> scalars;
  std::copy_n(step_scalars.as<float>(), scalars.size(), scalars.begin());
  const auto step = std::bit_cast<AdamWStep>(scalars);
  const float clip = scalar_or_one(coefficient), decay = 1.0f - step.lr * step.weight_decay;
  if (std::isnan(clip)) return;
  const float beta1 = step.beta1, beta2 = step.beta2, epsilon = step.epsilon;
  const float fresh1 = 1.0f - beta1, fresh2 = 1.0f - beta2;
  const float step_size = step.lr / step.bias1, inverse_bias2 = 1.0f / step.bias2;
  auto* const ps = p.as<float>();
  auto* const ms = m.as<float>();
  auto* const vs = v.as<float>();
  const auto* const gs = g.as<float>();
  parallel_ranges(count, kChunkElements, [=](int64_t begin, int64_t end) {
    const auto update = [=](auto decay_of) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        const float gradient = clip * gs[i];
        ms[i] = beta1 * ms[i] + fresh1 * gradient;
        vs[i] = beta2 * vs[i] + fresh2 * (gradient * gradient);
        ps[i] = ps[i] * decay_of(ms[i] * ps[i]) -
                step_size * ms[i] / (std::sqrt(vs[i] * inverse_bias2) + epsilon);
      }
    };
    if (cautious) {
      update([=](float along) { return along > 0.0f ? decay : 1.0f; });
    } else {
      update([=](float) { return decay; });
    }
  });
}

void CpuOps::muon_momentum(Out u, Out m, In g, In coefficient, In momentum, bool row_norm,
                           const MatrixBatch& shape) {
  const float clip = scalar_or_one(coefficient), mu = *momentum.as<float>();
  if (std::isnan(clip)) return;
  const int64_t cols = shape.cols;
  for_each_matrix_row(shape, [&](int64_t matrix, int64_t row) {
    const int64_t at = matrix * shape.stride + row * cols;
    float* const m_row = m.as<float>() + at;
    const float* const g_row = g.as<float>() + at;
#pragma omp simd
    for (int64_t i = 0; i < cols; ++i) m_row[i] = mu * m_row[i] + clip * g_row[i];
    const auto update = [=](int64_t i) { return clip * g_row[i] + mu * m_row[i]; };
    float factor = 1.0f;
    if (row_norm) {
      const float squares = sum_products(cols, update, update);
      factor = 1.0f / std::max(std::sqrt(squares), kRowNormFloor);
    }
    write<float>(u, at, cols, [=](int64_t i) { return factor * update(i); });
  });
}

void CpuOps::apply_update(Out p, In u, In coefficient, In decay_step, bool cautious,
                          const MatrixBatch& shape) {
  if (std::isnan(scalar_or_one(coefficient))) return;
  const float decay = decay_step.as<float>()[0], step = decay_step.as<float>()[1];
  const int64_t cols = shape.cols, stride = shape.stride;
  for_each_matrix_row(shape, [=](int64_t matrix, int64_t row) {
    const int64_t at = matrix * stride + row * cols;
    float* const ps = p.as<float>() + at;
    const float* const us = u.as<float>() + at;
    if (cautious) {
#pragma omp simd
      for (int64_t i = 0; i < cols; ++i) {
        ps[i] = ps[i] * (us[i] * ps[i] >= 0.0f ? decay : 1.0f) - step * us[i];
      }
      return;
    }
#pragma omp simd
    for (int64_t i = 0; i < cols; ++i) ps[i] = ps[i] * decay - step * us[i];
  });
}

}  // namespace pg
