// What the loops of CpuOps share: dispatch on the activation type, vectorised writes that honour
// Out::accumulate, chunk sizes, and sums over rows whose order depends on shapes alone.
//
// Every inner loop is a plain `#pragma omp simd` loop over floats: bf16 converts in registers on
// the way in and out, and rows are short enough to stay in L1 when an op walks them more than once.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/bf16.h"
#include "src/base/check.h"
#include "src/base/lane_sums.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_scratch.h"
#include "src/device/tensor_view.h"

namespace pg::cpu {

// Slots of CpuScratch used by these ops, shared and per thread. No op asks for the same one twice.
enum ScratchSlot : size_t { kSlotPartials, kSlotPartials2, kSlotVector, kSlotVector2, kSlotRows };

inline float* shared_floats(CpuScratch& scratch, ScratchSlot slot, int64_t count) {
  return static_cast<float*>(scratch.shared(slot, static_cast<size_t>(count) * sizeof(float)));
}
inline float* thread_floats(CpuScratch& scratch, int thread, ScratchSlot slot, int64_t count) {
  return static_cast<float*>(
      scratch.of_thread(thread, slot, static_cast<size_t>(count) * sizeof(float)));
}

// Elements of one operand in a chunk: three bf16 operands fill about half of a small L2, and a
// chunk takes some 5 us, far more than handing it to a thread costs.
inline constexpr int64_t kChunkElements = 16384;
// Rows summed in fp32 before the partial sum goes to the combining pass.
inline constexpr int64_t kMaxChunkRows = 256;

inline int64_t chunk_rows(int64_t dim) {
  return std::clamp<int64_t>(kChunkElements / std::max<int64_t>(dim, 1), 1, kMaxChunkRows);
}
inline int64_t chunk_count(int64_t count, int64_t grain) { return (count + grain - 1) / grain; }

// Calls body.operator()<T>() with the type that `dtype` names.
template <class Body>
void with_activation_type(DType dtype, const Body& body) {
  if (dtype == DType::kBF16) {
    body.template operator()<bf16>();
  } else {
    PG_CHECK(dtype == DType::kF32, "activations are bf16 or f32");
    body.template operator()<float>();
  }
}

// Through the member: g++ 12 does not vectorise the copy of a struct.
inline void store(bf16& y, float value) { y.bits = bf16(value).bits; }
inline void store(float& y, float value) { y = value; }

// y[begin + i] = value(i) for i in [0, count), or += where y accumulates; nothing when y is empty.
template <class T, class Value>
void write(Out y, int64_t begin, int64_t count, Value value) {
  if (!y) return;
  T* const out = y.as<T>() + begin;
  if (y.accumulate) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) store(out[i], static_cast<float>(out[i]) + value(i));
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) store(out[i], value(i));
  }
}

// Calls body(i, offset, count) for the runs of elements [begin, end) of a tensor [rows, dim] that lie
// side by side where its rows are `stride` apart: i in the dense tensor, offset in that one.
template <class Body>
void for_each_run(int64_t begin, int64_t end, int64_t dim, int64_t stride, const Body& body) {
  if (stride == dim) {
    body(begin, begin, end - begin);
    return;
  }
  for (int64_t i = begin, count = 0; i < end; i += count) {
    const int64_t row = i / dim, column = i - row * dim;
    count = std::min(dim - column, end - i);
    body(i, row * stride + column, count);
  }
}

// One number into a [1] or [rows] output.
inline void write_scalar(Out y, int64_t index, float value) {
  if (!y) return;
  float& out = y.as<float>()[index];
  out = y.accumulate ? out + value : value;
}

// 1 / sqrt(mean(x^2) + eps)
template <class T>
float inverse_rms(const T* x, int64_t dim, float inverse_dim, float eps) {
  const auto value = [x](int64_t i) { return static_cast<float>(x[i]); };
  const float squares = sum_products(dim, value, value);
  return 1.0f / std::sqrt(squares * inverse_dim + eps);
}

// The number in a [1] operand; an empty one counts as 1.
inline float scalar_or_one(In x) { return x ? *x.as<float>() : 1.0f; }

// The f32 vector x[dim]; ones when it is empty.
inline const float* vector_or_ones(In x, int64_t dim, CpuScratch& scratch, ScratchSlot slot) {
  if (x) return x.as<float>();
  float* const ones = shared_floats(scratch, slot, dim);
  std::fill_n(ones, dim, 1.0f);
  return ones;
}

}  // namespace pg::cpu
