// Raw tensors as the ops see them: a pointer and its element type. Shapes stand in each op's
// comment.
//
// A view is a block of columns of a wider tensor: its rows lie `stride` elements apart. Only operands
// that an op's comment marks may be views; of the others the stride is 0, which stands for dense.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/bf16.h"
#include "src/base/check.h"

namespace pg {

enum class DType : uint8_t { kF32, kBF16, kF64, kI32 };

constexpr size_t dtype_bytes(DType t) {
  switch (t) {
    case DType::kBF16:
      return 2;
    case DType::kF64:
      return 8;
    default:
      return 4;
  }
}
constexpr const char* dtype_name(DType t) {
  switch (t) {
    case DType::kBF16:
      return "bf16";
    case DType::kF64:
      return "f64";
    case DType::kI32:
      return "i32";
    default:
      return "f32";
  }
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};

// A tensor an op reads. An empty one (no data) stands for an absent optional operand.
struct In {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t stride = 0;
  bool packed = false;  // a weight in the device's own form: Ops::pack

  explicit operator bool() const { return data != nullptr; }
  template <class T>
  const T* as() const {
    PG_DCHECK(data == nullptr || dtype == DTypeOf<T>::value, "tensor read as another type");
    return static_cast<const T*>(data);
  }
};

// A tensor an op writes: y = value, or y += value when accumulate is set. An empty one is not
// computed.
struct Out {
  void* data = nullptr;
  DType dtype = DType::kF32;
  bool accumulate = false;
  int64_t stride = 0;

  explicit operator bool() const { return data != nullptr; }
  template <class T>
  T* as() const {
    PG_DCHECK(data == nullptr || dtype == DTypeOf<T>::value, "tensor written as another type");
    return static_cast<T*>(data);
  }
};

// Elements from row to row of a tensor that is `cols` wide.
template <class Tensor>
int64_t row_stride(const Tensor& t, int64_t cols) {
  return t.stride == 0 ? cols : t.stride;
}

}  // namespace pg
