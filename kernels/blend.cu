// Bound by memory: one pass each way (row_map.h).
#include "kernels/blend.h"

#include "kernels/row_map.h"
#include "kernels/sigmoid.h"

namespace pg::kernels {
inline namespace blend_kernels {

struct BlendArgs {
  const float* a;
  const float* b;
  bool sigmoid_of_b;

  __device__ float own() const { return a != nullptr ? *a : 1.0f; }
  __device__ float other() const { return sigmoid_of_b ? sigmoid(*b) : *b; }
};

template <class T>
struct Blend {
  using Type = T;
  using Args = BlendArgs;
  static constexpr int kInputs = 2, kOutputs = 1, kSums = 0;
  static constexpr bool kPerColumn = false;

  __device__ Blend(const Args& args, int64_t, int64_t) : own(args.own()), other(args.other()) {}
  __device__ void apply(int, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    y[0] = fmaf(own, x[0], other * x[1]);
  }

  float own, other;
};

template <class T>
struct BlendBackward {
  using Type = T;
  using Args = BlendArgs;
  static constexpr int kInputs = 3, kOutputs = 2, kSums = 2;  // dy, x, z; dx, dz; da, db
  static constexpr bool kPerColumn = false;

  __device__ BlendBackward(const Args& args, int64_t, int64_t)
      : own(args.own()),
        other(args.other()),
        slope(args.sigmoid_of_b ? other * (1.0f - other) : 1.0f) {}
  __device__ void apply(int i, const float (&x)[kInputs], float (&y)[kOutputs]) {
    y[0] = own * x[0];
    y[1] = other * x[0];
    sums[0][i] = fmaf(x[0], x[1], sums[0][i]);
    sums[1][i] = fmaf(x[0], x[2], sums[1][i]);
  }
  __device__ void finish() {
    PG_UNROLL
    for (int i = 0; i < kPackOf<T>; ++i) sums[1][i] *= slope;
  }

  float own, other, slope;
  float sums[kSums][kPackOf<T>] = {};
};

}  // namespace blend_kernels

template <class T>
void blend(RowsOut<T> y, RowsIn<T> x, const float* a, RowsIn<T> z, const float* b,
           bool sigmoid_of_b, int64_t rows, int64_t dim, Stream stream) {
  map_rows<Blend<T>>({{x, z}, {y}}, {a, b, sigmoid_of_b}, {}, nullptr, rows, dim, stream);
}

template <class T>
void blend_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> da, Dest<float> db, RowsIn<T> dy,
                    RowsIn<T> x, const float* a, RowsIn<T> z, const float* b, bool sigmoid_of_b,
                    float* partial, int64_t rows, int64_t dim, Stream stream) {
  if (da.data == nullptr) x = {};
  if (db.data == nullptr) z = {};
  map_rows<BlendBackward<T>>({{dy, x, z}, {dx, dz}}, {a, b, sigmoid_of_b}, {{da, db}}, partial,
                             rows, dim, stream);
}

template void blend<float>(RowsOut<float>, RowsIn<float>, const float*, RowsIn<float>, const float*,
                           bool, int64_t, int64_t, Stream);
template void blend<bf16>(RowsOut<bf16>, RowsIn<bf16>, const float*, RowsIn<bf16>, const float*,
                          bool, int64_t, int64_t, Stream);
template void blend_backward<float>(RowsOut<float>, RowsOut<float>, Dest<float>, Dest<float>,
                                    RowsIn<float>, RowsIn<float>, const float*, RowsIn<float>,
                                    const float*, bool, float*, int64_t, int64_t, Stream);
template void blend_backward<bf16>(RowsOut<bf16>, RowsOut<bf16>, Dest<float>, Dest<float>,
                                   RowsIn<bf16>, RowsIn<bf16>, const float*, RowsIn<bf16>,
                                   const float*, bool, float*, int64_t, int64_t, Stream);

}  // namespace pg::kernels
