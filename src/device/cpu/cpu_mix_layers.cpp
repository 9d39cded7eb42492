// <parts>
// Mixes of what several layers gave: each of them is read once.
#include "src/base/threads.h"
#include "src/device/cpu/cpu_gelu.h"
#include "src/device/cpu/cpu_heads.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

using namespace cpu;

void CpuOps::mix_layers(Out y, std::span<const In> xs, In h, In w, In a, const LayerMixShape& s) {
  const auto* const ws = w.as<float>();
  const auto* const as = a.as<float>();
  with_activation_type(h.dtype, [&]<class T>() {
    parallel_ranges(s.rows, chunk_rows(s.dim * std::ssize(xs)), [&](int64_t begin, int64_t end) {
      float* const own = thread_floats(*scratch_, thread_index(), kSlotRows, s.dim + s.hidden);
      float* const gelus = own + s.dim;
      for (int64_t row = begin; row < end; ++row) {
        load_row(gelus, h.as<T>() + row * s.hidden, s.hidden);
        for (int64_t k = 0; k < s.hidden; ++k) gelus[k] *= gelu_gate(gelus[k]);
        load_row(own, xs.back().as<T>() + row * s.dim, s.dim);
        for (size_t j = 0; j < xs.size(); ++j) {
          const float share = as[j] + dot(ws + static_cast<int64_t>(j) * s.hidden, gelus, s.hidden);
          const T* const x = xs[j].as<T>() + row * s.dim;
#pragma omp simd
          for (int64_t i = 0; i < s.dim; ++i) {
            own[i] = std::fma(share, static_cast<float>(x[i]), own[i]);
          }
        }
        write_row<T>(y, row * s.dim, own, s.dim);
      }
    });
  });
}

}  // namespace pg
// </parts>
