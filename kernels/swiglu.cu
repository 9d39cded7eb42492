// Bound by memory: one pass each way (row_map.h).
#include "kernels/swiglu.h"

#include "kernels/row_map.h"
#include "kernels/sigmoid.h"

namespace pg::kernels {
inline namespace swiglu_kernels {

struct NoArgs {};

template <class T>
struct Swiglu {
  using Type = T;
  using Args = NoArgs;
  static constexpr int kInputs = 2, kOutputs = 1, kSums = 0;  // gate, up; y
  static constexpr bool kPerColumn = false;

  __device__ Swiglu(const Args&, int64_t, int64_t) {}
  __device__ void apply(int, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    y[0] = x[0] * sigmoid(x[0]) * x[1];
  }
};

template <class T>
struct SwigluBackward {
  using Type = T;
  using Args = NoArgs;
  static constexpr int kInputs = 3, kOutputs = 2, kSums = 0;  // dy, gate, up; dgate, dup
  static constexpr bool kPerColumn = false;

  __device__ SwigluBackward(const Args&, int64_t, int64_t) {}
  __device__ void apply(int, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    const float gate = x[1], s = sigmoid(gate);
    y[0] = x[0] * x[2] * (s * fmaf(gate, 1.0f - s, 1.0f));
    y[1] = x[0] * (gate * s);
  }
};

}  // namespace swiglu_kernels

template <class T>
void swiglu(RowsOut<T> y, RowsIn<T> gate, RowsIn<T> up, int64_t rows, int64_t dim, Stream stream) {
  map_rows<Swiglu<T>>({{gate, up}, {y}}, {}, {}, nullptr, rows, dim, stream);
}

template <class T>
void swiglu_backward(RowsOut<T> dgate, RowsOut<T> dup, RowsIn<T> dy, RowsIn<T> gate, RowsIn<T> up,
                     int64_t rows, int64_t dim, Stream stream) {
  map_rows<SwigluBackward<T>>({{dy, gate, up}, {dgate, dup}}, {}, {}, nullptr, rows, dim, stream);
}

template void swiglu<float>(RowsOut<float>, RowsIn<float>, RowsIn<float>, int64_t, int64_t, Stream);
template void swiglu<bf16>(RowsOut<bf16>, RowsIn<bf16>, RowsIn<bf16>, int64_t, int64_t, Stream);
template void swiglu_backward<float>(RowsOut<float>, RowsOut<float>, RowsIn<float>, RowsIn<float>,
                                     RowsIn<float>, int64_t, int64_t, Stream);
template void swiglu_backward<bf16>(RowsOut<bf16>, RowsOut<bf16>, RowsIn<bf16>, RowsIn<bf16>,
                                    RowsIn<bf16>, int64_t, int64_t, Stream);

}  // namespace pg::kernels
