// Averages of weights.
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

void CpuOps::lerp(Out average, In x, In decay_factor, int64_t count) {
  const float decay = *decay_factor.as<float>(), fresh = 1.0f - decay;
  auto* const out = average.as<float>();
  const auto* const in = x.as<float>();
  parallel_ranges(count, cpu::kChunkElements, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) out[i] = decay * out[i] + fresh * in[i];
  });
}
}  // namespace pg
