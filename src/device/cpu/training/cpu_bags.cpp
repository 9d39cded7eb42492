// Means of bags of rows.
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {

using namespace cpu;

void CpuOps::mean_bags(Out y, In x, int64_t rows, int64_t bag, int64_t dim) {
  const auto divisor = static_cast<float>(bag);
  with_activation_type(x.dtype, [&]<class T>() {
    parallel_ranges(rows, chunk_rows(bag * dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row * bag * dim;
        write<T>(y, row * dim, dim, [=](int64_t i) {
          float sum = 0.0f;
          for (int64_t token = 0; token < bag; ++token) {
            sum += static_cast<float>(x.as<T>()[first + token * dim + i]);
          }
          return sum / divisor;
        });
      }
    });
  });
}

void CpuOps::mean_bags_backward(Out dx, In dy, int64_t rows, int64_t bag, int64_t dim) {
  const auto divisor = static_cast<float>(bag);
  with_activation_type(dy.dtype, [&]<class T>() {
    parallel_ranges(rows * bag, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row / bag * dim;
        write<T>(dx, row * dim, dim,
                 [=](int64_t i) { return static_cast<float>(dy.as<T>()[first + i]) / divisor; });
      }
    });
  });
}

}  // namespace pg
