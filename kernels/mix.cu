// Bound by memory: one pass each way (row_map.h).
#include "kernels/mix.h"

#include "kernels/row_map.h"

namespace pg::kernels {
inline namespace mix_kernels {

struct Weights {
  const float* a;
  const float* b;
};

template <class T>
struct Mix {
  using Type = T;
  using Args = Weights;
  static constexpr int kInputs = 2, kOutputs = 1, kSums = 0;
  static constexpr bool kPerColumn = true;

  __device__ Mix(const Args& args, int64_t first, int64_t columns) {
    load_columns(a, args.a, first, columns);
    load_columns(b, args.b, first, columns);
  }
  __device__ void apply(int i, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    y[0] = fmaf(a[i], x[0], b[i] * x[1]);
  }

  float a[kPackOf<T>], b[kPackOf<T>];
};

template <class T>
struct MixBackward {
  using Type = T;
  using Args = Weights;
  static constexpr int kInputs = 3, kOutputs = 2, kSums = 2;  // dy, x, z; dx, dz; da, db
  static constexpr bool kPerColumn = true;

  __device__ MixBackward(const Args& args, int64_t first, int64_t columns) {
    load_columns(a, args.a, first, columns);
    load_columns(b, args.b, first, columns);
  }
  __device__ void apply(int i, const float (&x)[kInputs], float (&y)[kOutputs]) {
    y[0] = a[i] * x[0];
    y[1] = b[i] * x[0];
    sums[0][i] = fmaf(x[0], x[1], sums[0][i]);
    sums[1][i] = fmaf(x[0], x[2], sums[1][i]);
  }
  __device__ void finish() {}

  float a[kPackOf<T>], b[kPackOf<T>];
  float sums[kSums][kPackOf<T>] = {};
};

}  // namespace mix_kernels

template <class T>
void mix(RowsOut<T> y, RowsIn<T> x, const float* a, RowsIn<T> z, const float* b, int64_t rows,
         int64_t dim, Stream stream) {
  // 0 times a weight is 0 only if that is finite.
  const float* const used_b = z.data != nullptr ? b : nullptr;
  map_rows<Mix<T>>({{x, z}, {y}}, {a, used_b}, {}, nullptr, rows, dim, stream);
}

template <class T>
void mix_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> da, Dest<float> db, RowsIn<T> dy,
                  RowsIn<T> x, const float* a, RowsIn<T> z, const float* b, float* partial,
                  int64_t rows, int64_t dim, Stream stream) {
  if (da.data == nullptr) x = {};
  if (db.data == nullptr) z = {};
  map_rows<MixBackward<T>>({{dy, x, z}, {dx, dz}}, {a, b}, {{da, db}}, partial, rows, dim, stream);
}

template void mix<float>(RowsOut<float>, RowsIn<float>, const float*, RowsIn<float>, const float*,
                         int64_t, int64_t, Stream);
template void mix<bf16>(RowsOut<bf16>, RowsIn<bf16>, const float*, RowsIn<bf16>, const float*,
                        int64_t, int64_t, Stream);
template void mix_backward<float>(RowsOut<float>, RowsOut<float>, Dest<float>, Dest<float>,
                                  RowsIn<float>, RowsIn<float>, const float*, RowsIn<float>,
                                  const float*, float*, int64_t, int64_t, Stream);
template void mix_backward<bf16>(RowsOut<bf16>, RowsOut<bf16>, Dest<float>, Dest<float>,
                                 RowsIn<bf16>, RowsIn<bf16>, const float*, RowsIn<bf16>,
                                 const float*, float*, int64_t, int64_t, Stream);

}  // namespace pg::kernels
