// Elementwise ops: one pass over memory each. A chunk of rows stays in L1/L2 while its outputs are
// written one after the other, so absent outputs and accumulation cost no variants.
#include "src/device/cpu/cpu_gate.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

using namespace cpu;

void CpuOps::add_scaled(Out y, In x, In z, In s1, In s2, int64_t rows, int64_t dim) {
  const float s = scalar_or_one(s1) * scalar_or_one(s2);
  const int64_t stride = row_stride(x, dim);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    const T* const z_data = z.as<T>();
    parallel_ranges(rows * dim, kChunkElements, [&](int64_t begin, int64_t end) {
      for_each_run(begin, end, dim, stride, [&](int64_t first, int64_t first_x, int64_t count) {
        const T* const xs = x_data + first_x;
        const T* const zs = z_data + first;
        write<T>(y, first, count, [=](int64_t i) {
          return std::fma(s, static_cast<float>(zs[i]), static_cast<float>(xs[i]));
        });
      });
    });
  });
}

void CpuOps::mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) {
  const float* const fa = vector_or_ones(a, dim, *scratch_, kSlotVector);
  const float* const fb = vector_or_ones(b, dim, *scratch_, kSlotVector2);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    const T* const z_data = z.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        // <parts>
        if (!z) {
          write<T>(y, row * dim, dim,
                   [xs, fa](int64_t i) { return fa[i] * static_cast<float>(xs[i]); });
          continue;
        }
        // </parts>
        const T* const zs = z_data + row * dim;
        write<T>(y, row * dim, dim, [xs, zs, fa, fb](int64_t i) {
          return std::fma(fa[i], static_cast<float>(xs[i]), fb[i] * static_cast<float>(zs[i]));
        });
      }
    });
  });
}

void CpuOps::leaky_relu2(Out y, In x, float slope, int64_t count) {
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    parallel_ranges(count, kChunkElements, [&](int64_t begin, int64_t end) {
      const T* const xs = x_data + begin;
      write<T>(y, begin, end - begin, [xs, slope](int64_t i) {
        const float v = static_cast<float>(xs[i]);
        const float l = v > 0.0f ? v : slope * v;
        return l * l;
      });
    });
  });
}

void CpuOps::smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim, int64_t first) {
  const float* const g = compute_sigmoid(gate, dim, *scratch_);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        if ((first + row) % tokens == 0) {
          write<T>(y, row * dim, dim,
                   [xs, g](int64_t i) { return (1.0f - g[i]) * static_cast<float>(xs[i]); });
          continue;
        }
        const T* const before = xs - dim;
        write<T>(y, row * dim, dim, [xs, before, g](int64_t i) {
          return (1.0f - g[i]) * static_cast<float>(xs[i]) + g[i] * static_cast<float>(before[i]);
        });
      }
    });
  });
}

}  // namespace pg
