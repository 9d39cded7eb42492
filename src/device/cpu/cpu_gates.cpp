// <parts>
// Gates of models beyond the base stack: one pass over memory each, as in cpu_elementwise.cpp.
#include "src/device/cpu/cpu_gate.h"
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

}  // namespace pg
// </parts>
