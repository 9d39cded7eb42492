// Optimizer steps, in place on f32 state: bound by memory, one pass each.
#include <algorithm>
#include <cmath>

#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

constexpr float kRowNormFloor = 1e-7f;  // ops.h, muon_momentum

}  // namespace

void CpuOps::adamw(Out p, Out m, Out v, In g, In coefficient, const AdamWStep& step,
                   int64_t count) {
  const float clip = scalar_or_one(coefficient), decay = 1.0f - step.lr * step.weight_decay;
  const float beta1 = step.beta1, beta2 = step.beta2, epsilon = step.epsilon;
  const float fresh1 = 1.0f - beta1, fresh2 = 1.0f - beta2;
  const float step_size = step.lr / step.bias1, inverse_bias2 = 1.0f / step.bias2;
  auto* const ps = p.as<float>();
  auto* const ms = m.as<float>();
  auto* const vs = v.as<float>();
  const auto* const gs = g.as<float>();
  parallel_ranges(count, kChunkElements, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float gradient = clip * gs[i];
      ms[i] = beta1 * ms[i] + fresh1 * gradient;
      vs[i] = beta2 * vs[i] + fresh2 * (gradient * gradient);
      ps[i] = ps[i] * decay - step_size * ms[i] / (std::sqrt(vs[i] * inverse_bias2) + epsilon);
    }
  });
}

void CpuOps::muon_momentum(Out u, Out m, In g, In coefficient, float mu, bool row_norm,
                           int64_t rows, int64_t cols) {
  const float clip = scalar_or_one(coefficient);
  auto* const ms = m.as<float>();
  const auto* const gs = g.as<float>();
  parallel_ranges(rows, chunk_rows(cols), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* const m_row = ms + row * cols;
      const float* const g_row = gs + row * cols;
#pragma omp simd
      for (int64_t i = 0; i < cols; ++i) m_row[i] = mu * m_row[i] + clip * g_row[i];
      const auto update = [=](int64_t i) { return clip * g_row[i] + mu * m_row[i]; };
      float factor = 1.0f;
      if (row_norm) {
        const float squares = sum_loop(cols, [=](int64_t i) { return update(i) * update(i); });
        factor = 1.0f / std::max(std::sqrt(squares), kRowNormFloor);
      }
      write<float>(u, row * cols, cols, [=](int64_t i) { return factor * update(i); });
    }
  });
}

void CpuOps::apply_update(Out p, In u, float decay, float step, int64_t count) {
  auto* const ps = p.as<float>();
  const auto* const us = u.as<float>();
  parallel_ranges(count, kChunkElements, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) ps[i] = ps[i] * decay - step * us[i];
  });
}

}  // namespace pg
