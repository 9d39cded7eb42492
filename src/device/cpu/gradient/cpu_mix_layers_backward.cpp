// <parts>
// The gradient of cpu_mix_layers.cpp's op.
#include "src/base/threads.h"
#include "src/device/cpu/cpu_gelu.h"
#include "src/device/cpu/cpu_heads.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/gradient/cpu_column_sums.h"

namespace pg {

using namespace cpu;

void CpuOps::mix_layers_backward(std::span<const Out> dxs, Out dh, Out dw, Out da, In dy,
                                 std::span<const In> xs, In h, In w, In a, const LayerMixShape& s) {
  const int64_t count = std::ssize(xs), grain = chunk_rows(s.dim * count);
  const int64_t chunks = chunk_count(s.rows, grain);
  const auto* const ws = w.as<float>();
  const auto* const as = a.as<float>();
  const ColumnSums sums_w(dw, chunks, count * s.hidden, *scratch_, kSlotPartials);
  const ColumnSums sums_a(da, chunks, count, *scratch_, kSlotPartials2);
  with_activation_type(dy.dtype, [&]<class T>() {
    parallel_ranges(s.rows, grain, [&](int64_t begin, int64_t end) {
      float* const dys = thread_floats(*scratch_, thread_index(), kSlotRows, s.dim + 3 * s.hidden);
      float* const gelus = dys + s.dim;
      float* const slopes = gelus + s.hidden;
      float* const dhs = slopes + s.hidden;
      float* const total_w = sums_w.start_chunk(begin / grain);
      float* const total_a = sums_a.start_chunk(begin / grain);
      for (int64_t row = begin; row < end; ++row) {
        load_row(dys, dy.as<T>() + row * s.dim, s.dim);
        load_row(gelus, h.as<T>() + row * s.hidden, s.hidden);
        for (int64_t k = 0; k < s.hidden; ++k) {
          const float x = gelus[k], g = gelu_gate(x);
          // z' = factor (1 + 3 cube x^2)
          const float inner = kGeluFactor * std::fma(3.0f * kGeluCube * x, x, 1.0f);
          gelus[k] = x * g;
          slopes[k] = std::fma(x * g * (1.0f - g), inner, g);
          dhs[k] = 0.0f;
        }
        for (int64_t j = 0; j < count; ++j) {
          const auto at = static_cast<size_t>(j);
          const float* const own_w = ws + j * s.hidden;
          const T* const x = xs[at].as<T>() + row * s.dim;
          const float along = sum_products(
              s.dim, [dys](int64_t i) { return dys[i]; },
              [x](int64_t i) { return static_cast<float>(x[i]); });
          const float share = as[at] + dot(own_w, gelus, s.hidden) + (j + 1 == count ? 1.0f : 0.0f);
          write<T>(dxs[at], row * s.dim, s.dim, [dys, share](int64_t i) { return share * dys[i]; });
#pragma omp simd
          for (int64_t k = 0; k < s.hidden; ++k) dhs[k] = std::fma(along, own_w[k], dhs[k]);
          if (total_a != nullptr) total_a[j] += along;
          if (total_w == nullptr) continue;
          float* const sums = total_w + j * s.hidden;
#pragma omp simd
          for (int64_t k = 0; k < s.hidden; ++k) sums[k] = std::fma(along, gelus[k], sums[k]);
        }
        write<T>(dh, row * s.hidden, s.hidden,
                 [dhs, slopes](int64_t k) { return slopes[k] * dhs[k]; });
      }
    });
  });
  sums_w.combine();
  sums_a.combine();
}

}  // namespace pg
// </parts>
