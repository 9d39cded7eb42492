// The mix of two streams and the norm of it, which a block begins with, in one pass: the mix is
// normed while its rows are in the cache.
#include <algorithm>
#include <cmath>

#include "src/base/threads.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_mix_rows.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

// y[count, dim] = the mix from row `begin` on, r[count] = inverse_rms of its rows.
void mix_rows(float* y, float* r, const Streams<float>& streams, float eps, int64_t begin,
              int64_t count) {
  const int64_t dim = streams.dim;
  const float inverse_dim = 1.0f / static_cast<float>(dim);
  for (int64_t row = 0; row < count; ++row, y += dim) {
    const MixRow<float> mix_at = streams.row(begin + row);
#pragma omp simd
    for (int64_t i = 0; i < dim; ++i) y[i] = mix_at(i);
    r[row] = inverse_rms(y, dim, inverse_dim, eps);
  }
}

}  // namespace

void CpuOps::mix_rmsnorm(Out y, Out n, Out rstd, In x, In a, In z, In b, float scale, float eps,
                         int64_t rows, int64_t dim) {
  if (y.accumulate) {
    mix(y, x, a, z, b, rows, dim);
    y = {};
  }
  const float* const fa = vector_or_ones(a, dim, *scratch_, kSlotVector);
  const float* const fb = vector_or_ones(b, dim, *scratch_, kSlotVector2);
  const int64_t grain = chunk_rows(dim);
  with_activation_type(x.dtype, [&]<class T>() {
    const Streams<T> streams{x.as<T>(), z.as<T>(), fa, fb, dim};
    parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
      // The norm reads the mix as it is stored, in a buffer where y does not take it.
      T* const mixed =
          y ? y.as<T>() + begin * dim
            : static_cast<T*>(scratch_->of_thread(thread_index(), kSlotRows,
                                                  static_cast<size_t>(grain * dim) * sizeof(T)));
      for (int64_t row = begin; row < end; row += kBlockRows) {
        const int64_t count = std::min(kBlockRows, end - row);
        T* const block = mixed + (row - begin) * dim;
        float r[kBlockRows];
        mix_rows(block, r, streams, eps, row, count);
        for (int64_t i = 0; i < count; ++i) {
          const T* const ys = block + i * dim;
          const float factor = scale * r[i];
          write<T>(n, (row + i) * dim, dim,
                   [ys, factor](int64_t c) { return factor * static_cast<float>(ys[c]); });
          write_scalar(rstd, row + i, r[i]);
        }
      }
    });
  });
}

}  // namespace pg
