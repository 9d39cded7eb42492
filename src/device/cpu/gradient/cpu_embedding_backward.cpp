// The scatter of embedding gradients. It sorts the rows by id (stable counting sort), so that each
// row of the table is summed by one thread in row order: parallel, without atomics, and the same
// bits for any number of threads.
#include <algorithm>

// <parts>
#include "src/device/cpu/cpu_heads.h"
// </parts>
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

// Table rows a thread takes at once: few, because frequent ids cluster at the low end of a
// vocabulary.
constexpr int64_t kTableRowsPerChunk = 16;

// The rows of each id: sorted[start[v] .. start[v + 1]) in ascending order.
struct RowsById {
  const int32_t* start;   // [vocab + 1]
  const int32_t* sorted;  // [rows]
};

RowsById sort_rows_by_id(const int32_t* ids, int64_t rows, int64_t vocab, CpuScratch& scratch) {
  auto* const start = static_cast<int32_t*>(
      scratch.shared(kSlotVector, static_cast<size_t>(vocab + 1) * sizeof(int32_t)));
  auto* const sorted = static_cast<int32_t*>(
      scratch.shared(kSlotRows, static_cast<size_t>(std::max<int64_t>(rows, 1)) * sizeof(int32_t)));
  std::fill_n(start, vocab + 1, 0);
  for (int64_t row = 0; row < rows; ++row) {
    PG_DCHECK(ids[row] >= 0 && ids[row] < vocab, "an id lies in [0, vocab)");
    ++start[ids[row] + 1];
  }
  for (int64_t v = 0; v < vocab; ++v) start[v + 1] += start[v];
  // Placing a row moves its id's start to the next free place, in the end to the start of id + 1.
  for (int64_t row = 0; row < rows; ++row) sorted[start[ids[row]]++] = static_cast<int32_t>(row);
  std::copy_backward(start, start + vocab, start + vocab + 1);
  start[0] = 0;
  return {start, sorted};
}

template <class T>
void add_row(float* total, const T* row, int64_t dim) {
#pragma omp simd
  for (int64_t i = 0; i < dim; ++i) total[i] += static_cast<float>(row[i]);
}

}  // namespace

void CpuOps::embed_backward(Out dtable, In ids, In dy, int64_t rows, int64_t vocab, int64_t dim) {
  const RowsById by_id = sort_rows_by_id(ids.as<int32_t>(), rows, vocab, *scratch_);
  with_activation_type(dy.dtype, [&]<class T>() {
    const T* const gradients = dy.as<T>();
    parallel_ranges(vocab, kTableRowsPerChunk, [&](int64_t begin, int64_t end) {
      for (int64_t v = begin; v < end; ++v) {
        const auto add_rows = [&](float* total) {
          for (int32_t k = by_id.start[v]; k < by_id.start[v + 1]; ++k) {
            add_row(total, gradients + by_id.sorted[k] * dim, dim);
          }
        };
        // <parts>
        if (dtable.dtype != DType::kF32) {  // rows of activations
          float* const total = thread_floats(*scratch_, thread_index(), kSlotVector, dim);
          std::fill_n(total, dim, 0.0f);
          add_rows(total);
          write_row<T>(dtable, v * dim, total, dim);
          continue;
        }
        // </parts>
        float* const total = dtable.as<float>() + v * dim;
        if (!dtable.accumulate) std::fill_n(total, dim, 0.0f);
        add_rows(total);
      }
    });
  });
}
}  // namespace pg
