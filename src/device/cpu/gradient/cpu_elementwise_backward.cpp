// The gradients of the elementwise ops.
#include "src/device/cpu/cpu_gate.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/gradient/cpu_column_sums.h"

namespace pg {

using namespace cpu;

void CpuOps::add_scaled_backward(Out dx, Out dz, Out ds1, Out ds2, In dy, In z, In s1, In s2,
                                 int64_t rows, int64_t dim) {
  const float f1 = scalar_or_one(s1), f2 = scalar_or_one(s2), s = f1 * f2;
  const bool needs_dot = ds1 || ds2;
  const int64_t stride = row_stride(dx, dim);
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const z_data = z.as<T>();
    const double dot =
        sum_chunks(rows * dim, kChunkElements, *scratch_, [&](int64_t begin, int64_t end) {
          const T* const dys = dy_data + begin;
          const int64_t n = end - begin;
          for_each_run(begin, end, dim, stride, [&](int64_t first, int64_t at, int64_t count) {
            const T* const run = dy_data + first;
            write<T>(dx, at, count, [run](int64_t i) { return static_cast<float>(run[i]); });
          });
          write<T>(dz, begin, n, [=](int64_t i) { return s * static_cast<float>(dys[i]); });
          if (!needs_dot) return 0.0f;
          const T* const zs = z_data + begin;
          return sum_products(
              n, [dys](int64_t i) { return static_cast<float>(dys[i]); },
              [zs](int64_t i) { return static_cast<float>(zs[i]); });
        });
    write_scalar(ds1, 0, static_cast<float>(f2 * dot));
    write_scalar(ds2, 0, static_cast<float>(f1 * dot));
  });
}

void CpuOps::mix_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                          int64_t rows, int64_t dim) {
  const float* const fa = vector_or_ones(a, dim, *scratch_, kSlotVector);
  const float* const fb = vector_or_ones(b, dim, *scratch_, kSlotVector2);
  const int64_t grain = chunk_rows(dim), chunks = chunk_count(rows, grain);
  const ColumnSums sums_a(da, chunks, dim, *scratch_, kSlotPartials);
  const ColumnSums sums_b(db, chunks, dim, *scratch_, kSlotPartials2);
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const x_data = x.as<T>();
    const T* const z_data = z.as<T>();
    parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
      float* const total_a = sums_a.start_chunk(begin / grain);
      float* const total_b = sums_b.start_chunk(begin / grain);
      for (int64_t row = begin; row < end; ++row) {
        const T* const dys = dy_data + row * dim;
        write<T>(dx, row * dim, dim,
                 [dys, fa](int64_t i) { return fa[i] * static_cast<float>(dys[i]); });
        write<T>(dz, row * dim, dim,
                 [dys, fb](int64_t i) { return fb[i] * static_cast<float>(dys[i]); });
        if (total_a != nullptr) add_products(total_a, dys, x_data + row * dim, dim);
        if (total_b != nullptr) add_products(total_b, dys, z_data + row * dim, dim);
      }
    });
  });
  sums_a.combine();
  sums_b.combine();
}

void CpuOps::leaky_relu2_backward(Out dx, In dy, In x, float slope, int64_t count) {
  const float positive = 2.0f, negative = 2.0f * slope * slope;
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const x_data = x.as<T>();
    parallel_ranges(count, kChunkElements, [&](int64_t begin, int64_t end) {
      const T* const dys = dy_data + begin;
      const T* const xs = x_data + begin;
      write<T>(dx, begin, end - begin, [=](int64_t i) {
        const float v = static_cast<float>(xs[i]);
        return static_cast<float>(dys[i]) * (v * (v > 0.0f ? positive : negative));
      });
    });
  });
}

// dx_t = (1-g) dy_t + g dy_{t+1}; dgate = g (1-g) sum over t of dy_t (x_{t-1} - x_t).
void CpuOps::smear_backward(Out dx, Out dgate, In dy, In x, In gate, int64_t rows, int64_t tokens,
                            int64_t dim) {
  const float* const g = compute_sigmoid(gate, dim, *scratch_);
  const int64_t grain = chunk_rows(dim);
  const ColumnSums sums(dgate, chunk_count(rows, grain), dim, *scratch_, kSlotPartials);
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const x_data = x.as<T>();
    parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
      float* const total = sums.start_chunk(begin / grain);
      for (int64_t row = begin; row < end; ++row) {
        const T* const dys = dy_data + row * dim;
        // At the end of a sequence no later token reads this one.
        const bool is_last = (row + 1) % tokens == 0;
        const T* const after = is_last ? dys : dys + dim;
        const float keep = is_last ? 0.0f : 1.0f;
        write<T>(dx, row * dim, dim, [dys, after, keep, g](int64_t i) {
          return (1.0f - g[i]) * static_cast<float>(dys[i]) +
                 keep * g[i] * static_cast<float>(after[i]);
        });
        if (total == nullptr) continue;
        const T* const xs = x_data + row * dim;
        const bool is_first = row % tokens == 0;
        const T* const before = is_first ? xs : xs - dim;
        const float has_before = is_first ? 0.0f : 1.0f;
#pragma omp simd
        for (int64_t i = 0; i < dim; ++i) {
          total[i] += static_cast<float>(dys[i]) *
                      (has_before * static_cast<float>(before[i]) - static_cast<float>(xs[i]));
        }
      }
    });
  });
  sums.combine([g](int64_t i) { return g[i] * (1.0f - g[i]); });
}
}  // namespace pg
