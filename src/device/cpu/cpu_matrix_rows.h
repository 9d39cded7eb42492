// Loops over the rows of a batch of matrices.
#pragma once
#include "src/device/cpu/cpu_loops.h"
#include "src/device/ops.h"

namespace pg::cpu {

// body(matrix, row) for every row of a batch.
template <class Body>
void for_each_matrix_row(const MatrixBatch& shape, const Body& body) {
  parallel_ranges(shape.count * shape.rows, chunk_rows(shape.cols),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) body(i / shape.rows, i % shape.rows);
                  });
}

}  // namespace pg::cpu
