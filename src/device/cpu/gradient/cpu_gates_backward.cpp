// <parts>
// The gradients of cpu_gates.cpp's ops.
#include "src/device/cpu/cpu_gate.h"
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

}  // namespace pg
// </parts>
