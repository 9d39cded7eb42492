// <parts>
// The gradients of cpu_gates.cpp's ops.
#include "src/base/threads.h"
#include "src/device/cpu/cpu_gate.h"
#include "src/device/cpu/cpu_heads.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/gradient/cpu_column_sums.h"

namespace pg {

using namespace cpu;

void CpuOps::swiglu_backward(Out dgate, Out dup, In dy, In gate, In up, int64_t rows, int64_t dim) {
  const int64_t gate_stride = row_stride(gate, dim), up_stride = row_stride(up, dim);
  const int64_t dgate_stride = row_stride(dgate, dim), dup_stride = row_stride(dup, dim);
  with_activation_type(gate.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const gate_data = gate.as<T>();
    const T* const up_data = up.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const dys = dy_data + row * dim;
        const T* const gates = gate_data + row * gate_stride;
        const T* const ups = up_data + row * up_stride;
        write<T>(dgate, row * dgate_stride, dim, [dys, gates, ups](int64_t i) {
          const float g = static_cast<float>(gates[i]), s = sigmoid_simd(g);
          return static_cast<float>(dys[i]) * static_cast<float>(ups[i]) *
                 (s * std::fma(g, 1.0f - s, 1.0f));
        });
        write<T>(dup, row * dup_stride, dim, [dys, gates](int64_t i) {
          const float g = static_cast<float>(gates[i]);
          return static_cast<float>(dys[i]) * (g * sigmoid_simd(g));
        });
      }
    });
  });
}

// Each row's part of dw and dscale, and what its gate gives to its own first channels; a row's dx
// also takes from the row behind it.
void CpuOps::token_smear_backward(Out dx, Out dw, Out dscale, In dy, In x, In ids, In w, In scale,
                                  const TokenSmearShape& shape) {
  const int64_t dim = shape.dim, width = shape.width, grain = chunk_rows(dim);
  const float factor = *scale.as<float>();
  const auto* const ws = w.as<float>();
  const auto* const tokens = ids.as<int32_t>();
  const ColumnSums sums_w(dw, chunk_count(shape.rows, grain), width, *scratch_, kSlotPartials);
  const ColumnSums sums_scale(dscale, chunk_count(shape.rows, grain), 1, *scratch_, kSlotPartials2);
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const x_data = x.as<T>();
    parallel_ranges(shape.rows, grain, [&](int64_t begin, int64_t end) {
      float* const own = thread_floats(*scratch_, thread_index(), kSlotRows, dim);
      float* const total_w = sums_w.start_chunk(begin / grain);
      float* const total_scale = sums_scale.start_chunk(begin / grain);
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        const T* const dys = dy_data + row * dim;
        load_row(own, dys, dim);
        if (reads_row_before(shape, row, tokens)) {
          const T* const before = xs - dim;
          const float along = sum_products(
              dim, [dys](int64_t i) { return static_cast<float>(dys[i]); },
              [before](int64_t i) { return static_cast<float>(before[i]); });
          const float g = compute_token_gate(xs, ws, width);
          const float dgate = factor * (g * (1.0f - g)) * along;
          if (total_scale != nullptr) *total_scale = std::fma(g, along, *total_scale);
          for (int64_t i = 0; i < width; ++i) {
            own[i] = std::fma(dgate, ws[i], own[i]);
            if (total_w != nullptr) {
              total_w[i] = std::fma(dgate, static_cast<float>(xs[i]), total_w[i]);
            }
          }
        }
        const bool is_read = row + 1 < shape.rows && reads_row_before(shape, row + 1, tokens);
        const float after_factor =
            is_read ? factor * compute_token_gate(xs + dim, ws, width) : 0.0f;
        const T* const after = is_read ? dys + dim : dys;
        write<T>(dx, row * dim, dim, [own, after, after_factor](int64_t i) {
          return std::fma(after_factor, static_cast<float>(after[i]), own[i]);
        });
      }
    });
  });
  sums_w.combine();
  sums_scale.combine();
}

void CpuOps::gated_mix_backward(Out dx, Out dz, Out dw, Out dgate, In dy, In x, In z, In w, In gate,
                                int64_t rows, int64_t dim) {
  const float* const g = compute_sigmoid(gate, dim, *scratch_);
  const auto* const ws = w.as<float>();
  const int64_t grain = chunk_rows(dim), chunks = chunk_count(rows, grain);
  const ColumnSums sums_w(dw, chunks, dim, *scratch_, kSlotPartials);
  const ColumnSums sums_gate(dgate, chunks, dim, *scratch_, kSlotPartials2);
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const x_data = x.as<T>();
    const T* const z_data = z.as<T>();
    parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
      float* const total_w = sums_w.start_chunk(begin / grain);
      float* const total_gate = sums_gate.start_chunk(begin / grain);
      for (int64_t row = begin; row < end; ++row) {
        const T* const dys = dy_data + row * dim;
        const T* const zs = z_data + row * dim;
        write<T>(dx, row * dim, dim,
                 [dys, g](int64_t i) { return g[i] * static_cast<float>(dys[i]); });
        write<T>(dz, row * dim, dim, [dys, ws, g](int64_t i) {
          return (1.0f - g[i]) * ws[i] * static_cast<float>(dys[i]);
        });
        if (total_w != nullptr) add_products(total_w, dys, zs, dim);
        if (total_gate == nullptr) continue;
        const T* const xs = x_data + row * dim;
#pragma omp simd
        for (int64_t i = 0; i < dim; ++i) {
          const float difference =
              std::fma(-ws[i], static_cast<float>(zs[i]), static_cast<float>(xs[i]));
          total_gate[i] = std::fma(static_cast<float>(dys[i]), difference, total_gate[i]);
        }
      }
    });
  });
  sums_w.combine([g](int64_t i) { return 1.0f - g[i]; });
  sums_gate.combine([g](int64_t i) { return g[i] * (1.0f - g[i]); });
}

void CpuOps::blend_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                            bool sigmoid, int64_t rows, int64_t dim) {
  const float own = scalar_or_one(a), other = compute_blend_factor(b, sigmoid);
  const float slope = sigmoid ? other * (1.0f - other) : 1.0f;
  const int64_t x_stride = row_stride(x, dim), z_stride = row_stride(z, dim);
  const int64_t dx_stride = row_stride(dx, dim), dz_stride = row_stride(dz, dim);
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    // The sum of dy and a view's elements; what the rows of dx or dz get goes along.
    const auto sum_along = [&](Out target, int64_t target_stride, float factor, const T* term,
                               int64_t stride, bool is_wanted) {
      return sum_chunks(rows, chunk_rows(dim), *scratch_, [&](int64_t begin, int64_t end) {
        double total = 0.0;
        for (int64_t row = begin; row < end; ++row) {
          const T* const dys = dy_data + row * dim;
          write<T>(target, row * target_stride, dim,
                   [dys, factor](int64_t i) { return factor * static_cast<float>(dys[i]); });
          if (!is_wanted) continue;
          const T* const terms = term + row * stride;
          total += static_cast<double>(sum_products(
              dim, [dys](int64_t i) { return static_cast<float>(dys[i]); },
              [terms](int64_t i) { return static_cast<float>(terms[i]); }));
        }
        return total;
      });
    };
    const double dot_x = sum_along(dx, dx_stride, own, x.as<T>(), x_stride, static_cast<bool>(da));
    const double dot_z =
        sum_along(dz, dz_stride, other, z.as<T>(), z_stride, static_cast<bool>(db));
    write_scalar(da, 0, static_cast<float>(dot_x));
    write_scalar(db, 0, static_cast<float>(static_cast<double>(slope) * dot_z));
  });
}

void CpuOps::gate_heads_backward(Out dx, Out dn, Out dw, Out db, In dy, In x, In n, In w, In b,
                                 const HeadGateShape& s) {
  const int64_t cols = s.heads * s.head_dim, grain = chunk_rows(cols);
  const int64_t chunks = chunk_count(s.rows, grain);
  const auto* const ws = w.as<float>();
  const float* const bs = b ? b.as<float>() : nullptr;
  const ColumnSums sums_w(dw, chunks, s.heads * s.width, *scratch_, kSlotPartials);
  const ColumnSums sums_b(db, chunks, s.heads, *scratch_, kSlotPartials2);
  // Of the channels that no gate reads, dn is 0.
  const int64_t dn_width = dn.accumulate ? s.width : s.dim;
  with_activation_type(dy.dtype, [&]<class T>() {
    parallel_ranges(s.rows, grain, [&](int64_t begin, int64_t end) {
      float* const dys = thread_floats(*scratch_, thread_index(), kSlotRows, 2 * cols + dn_width);
      float* const xs = dys + cols;
      float* const dns = xs + cols;
      float* const total_w = sums_w.start_chunk(begin / grain);
      float* const total_b = sums_b.start_chunk(begin / grain);
      for (int64_t row = begin; row < end; ++row) {
        const T* const ns = n.as<T>() + row * s.dim;
        load_row(dys, dy.as<T>() + row * cols, cols);
        load_row(xs, x.as<T>() + row * cols, cols);
        std::fill_n(dns, dn_width, 0.0f);
        for (int64_t h = 0; h < s.heads; ++h) {
          const float g = compute_head_gate(ns, ws, bs, h, s), factor = s.factor * g;
          float* const head = dys + h * s.head_dim;
          const float u = factor * (1.0f - g) * dot(head, xs + h * s.head_dim, s.head_dim);
          const float scaled = s.scale * u;
          const float* const own_w = ws + h * s.width;
#pragma omp simd
          for (int64_t i = 0; i < s.width; ++i) dns[i] = std::fma(scaled, own_w[i], dns[i]);
          if (total_b != nullptr) total_b[h] += u;
          if (total_w != nullptr) {
            float* const sums = total_w + h * s.width;
#pragma omp simd
            for (int64_t i = 0; i < s.width; ++i) {
              sums[i] = std::fma(scaled, static_cast<float>(ns[i]), sums[i]);
            }
          }
#pragma omp simd
          for (int64_t i = 0; i < s.head_dim; ++i) head[i] *= factor;
        }
        write_row<T>(dx, row * cols, dys, cols);
        write_row<T>(dn, row * s.dim, dns, dn_width);
      }
    });
  });
  sums_w.combine();
  sums_b.combine();
}

void CpuOps::prepend_rows_backward(Out dx, Out dm, In dy, const PrependShape& s) {
  const int64_t dim = s.dim, length = s.memory + s.tokens;
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    parallel_ranges(dx ? s.batch * s.tokens : 0, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const from = dy_data + (row / s.tokens * length + s.memory + row % s.tokens) * dim;
        write<T>(dx, row * dim, dim, [from](int64_t i) { return static_cast<float>(from[i]); });
      }
    });
    // A row of the memory is summed by one thread, in the order of the sequences.
    parallel_ranges(dm ? s.memory : 0, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        write<T>(dm, row * dim, dim, [=](int64_t i) {
          float sum = 0.0f;
          for (int64_t b = 0; b < s.batch; ++b) {
            sum += static_cast<float>(dy_data[(b * length + row) * dim + i]);
          }
          return sum;
        });
      }
    });
  });
}

}  // namespace pg
// </parts>
