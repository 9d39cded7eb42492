// <parts>
// Ops of models beyond the base stack: one pass over memory each, as in cpu_elementwise.cpp.
#include "src/base/threads.h"
#include "src/device/cpu/cpu_gate.h"
#include "src/device/cpu/cpu_heads.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

using namespace cpu;

void CpuOps::swiglu(Out y, In gate, In up, int64_t rows, int64_t dim) {
  const int64_t gate_stride = row_stride(gate, dim), up_stride = row_stride(up, dim);
  with_activation_type(gate.dtype, [&]<class T>() {
    const T* const gate_data = gate.as<T>();
    const T* const up_data = up.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const gates = gate_data + row * gate_stride;
        const T* const ups = up_data + row * up_stride;
        write<T>(y, row * dim, dim, [gates, ups](int64_t i) {
          const float g = static_cast<float>(gates[i]);
          return g * sigmoid_simd(g) * static_cast<float>(ups[i]);
        });
      }
    });
  });
}

void CpuOps::token_smear(Out y, In x, In ids, In w, In scale, const TokenSmearShape& shape) {
  const int64_t dim = shape.dim;
  const float factor = *scale.as<float>();
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    parallel_ranges(shape.rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        if (!reads_row_before(shape, row, ids.as<int32_t>())) {
          write<T>(y, row * dim, dim, [xs](int64_t i) { return static_cast<float>(xs[i]); });
          continue;
        }
        const float g = factor * compute_token_gate(xs, w.as<float>(), shape.width);
        const T* const before = xs - dim;
        write<T>(y, row * dim, dim, [xs, before, g](int64_t i) {
          return std::fma(g, static_cast<float>(before[i]), static_cast<float>(xs[i]));
        });
      }
    });
  });
}

void CpuOps::gated_mix(Out y, In x, In z, In w, In gate, int64_t rows, int64_t dim) {
  const float* const g = compute_sigmoid(gate, dim, *scratch_);
  const auto* const ws = w.as<float>();
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    const T* const z_data = z.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        const T* const zs = z_data + row * dim;
        write<T>(y, row * dim, dim, [xs, zs, ws, g](int64_t i) {
          return std::fma(g[i], static_cast<float>(xs[i]),
                          (1.0f - g[i]) * ws[i] * static_cast<float>(zs[i]));
        });
      }
    });
  });
}

void CpuOps::blend(Out y, In x, In a, In z, In b, bool sigmoid, int64_t rows, int64_t dim) {
  const float own = scalar_or_one(a), other = compute_blend_factor(b, sigmoid);
  const int64_t x_stride = row_stride(x, dim), z_stride = row_stride(z, dim);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    const T* const z_data = z.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * x_stride;
        const T* const zs = z_data + row * z_stride;
        write<T>(y, row * dim, dim, [xs, zs, own, other](int64_t i) {
          return std::fma(own, static_cast<float>(xs[i]), other * static_cast<float>(zs[i]));
        });
      }
    });
  });
}

void CpuOps::gate_heads(Out y, In x, In n, In w, In b, const HeadGateShape& s) {
  const int64_t cols = s.heads * s.head_dim;
  const auto* const ws = w.as<float>();
  const float* const bs = b ? b.as<float>() : nullptr;
  with_activation_type(x.dtype, [&]<class T>() {
    parallel_ranges(s.rows, chunk_rows(cols), [&](int64_t begin, int64_t end) {
      float* const own = thread_floats(*scratch_, thread_index(), kSlotRows, cols);
      for (int64_t row = begin; row < end; ++row) {
        const T* const ns = n.as<T>() + row * s.dim;
        load_row(own, x.as<T>() + row * cols, cols);
        for (int64_t h = 0; h < s.heads; ++h) {
          const float g = s.factor * compute_head_gate(ns, ws, bs, h, s);
          float* const head = own + h * s.head_dim;
#pragma omp simd
          for (int64_t i = 0; i < s.head_dim; ++i) head[i] *= g;
        }
        write_row<T>(y, row * cols, own, cols);
      }
    });
  });
}

void CpuOps::prepend_rows(Out y, In m, In x, const PrependShape& s) {
  const int64_t dim = s.dim, length = s.memory + s.tokens;
  with_activation_type(x.dtype, [&]<class T>() {
    parallel_ranges(s.rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t sequence = (s.first + row) / length, place = (s.first + row) % length;
        if (place < s.memory && !m) {
          write<T>(y, row * dim, dim, [](int64_t) { return 0.0f; });
          continue;
        }
        const T* const from = place < s.memory
                                  ? m.as<T>() + place * dim
                                  : x.as<T>() + (sequence * s.tokens + place - s.memory) * dim;
        // The analyzer takes the copy of a function object for null. NOLINTNEXTLINE(clang-analyzer-core.*)
        write<T>(y, row * dim, dim, [from](int64_t i) { return static_cast<float>(from[i]); });
      }
    });
  });
}

}  // namespace pg
// </parts>
