// From tensors of the seam to what launchers take.
#pragma once
#include "kernels/kernel_args.h"
#include "kernels/matrices.h"
#include "src/device/ops.h"

namespace pg {

template <class T>
kernels::Dest<T> dest(Out out) {
  return {out.as<T>(), out.accumulate};
}

// Null where the operand is absent.
template <class T>
const T* optional_as(In in) {
  return in ? in.as<T>() : nullptr;
}

inline kernels::Matrices matrices_of(const MatrixBatch& batch) {
  return {batch.count, batch.rows, batch.cols, batch.stride};
}

// Calls body(T{}) with the element type.
template <class Body>
void with_type(DType dtype, const Body& body) {
  PG_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "kernels compute in f32 or bf16");
  if (dtype == DType::kBF16) {
    body(bf16{});
  } else {
    body(float{});
  }
}

}  // namespace pg
