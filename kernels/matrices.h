// Batches of matrices as an optimizer meets them: one matrix of each block of a model, other
// parameters in between.
#pragma once
#include <cstdint>

namespace pg::kernels {

// `count` matrices [rows, cols] that lie `stride` elements apart: MatrixBatch of src/device/ops.h.
struct Matrices {
  int64_t count = 1, rows = 0, cols = 0, stride = 0;
  constexpr int64_t size() const { return rows * cols; }  // of one matrix
};

}  // namespace pg::kernels
