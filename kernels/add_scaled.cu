// Bound by memory: one pass each way (row_map.h).
#include "kernels/add_scaled.h"

#include "kernels/row_map.h"

namespace pg::kernels {
inline namespace add_scaled_kernels {

struct Scales {
  const float* s1;
  const float* s2;
};

__device__ __forceinline__ float scale_or_one(const float* scale) {
  return scale != nullptr ? *scale : 1.0f;
}

template <class T>
struct AddScaled {
  using Type = T;
  using Args = Scales;
  static constexpr int kInputs = 2, kOutputs = 1, kSums = 0;
  static constexpr bool kPerColumn = false;

  __device__ AddScaled(const Args& args, int64_t, int64_t)
      : scale(scale_or_one(args.s1) * scale_or_one(args.s2)) {}
  __device__ void apply(int, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    y[0] = fmaf(scale, x[1], x[0]);
  }

  float scale;
};

template <class T>
struct AddScaledBackward {
  using Type = T;
  using Args = Scales;
  static constexpr int kInputs = 2, kOutputs = 2, kSums = 2;  // dy, z; dx, dz; ds1, ds2
  static constexpr bool kPerColumn = false;

  __device__ AddScaledBackward(const Args& args, int64_t, int64_t)
      : s1(scale_or_one(args.s1)), s2(scale_or_one(args.s2)), scale(s1 * s2) {}
  __device__ void apply(int i, const float (&x)[kInputs], float (&y)[kOutputs]) {
    y[0] = x[0];
    y[1] = scale * x[0];
    sums[0][i] = fmaf(x[0], x[1], sums[0][i]);
  }
  __device__ void finish() {
    PG_UNROLL
    for (int i = 0; i < kPackOf<T>; ++i) {
      sums[1][i] = s1 * sums[0][i];
      sums[0][i] *= s2;
    }
  }

  float s1, s2, scale;
  float sums[kSums][kPackOf<T>] = {};
};

}  // namespace add_scaled_kernels

template <class T>
void add_scaled(RowsOut<T> y, RowsIn<T> x, RowsIn<T> z, const float* s1, const float* s2,
                int64_t rows, int64_t dim, Stream stream) {
  map_rows<AddScaled<T>>({{x, z}, {y}}, {s1, s2}, {}, nullptr, rows, dim, stream);
}

template <class T>
void add_scaled_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> ds1, Dest<float> ds2,
                         RowsIn<T> dy, RowsIn<T> z, const float* s1, const float* s2,
                         float* partial, int64_t rows, int64_t dim, Stream stream) {
  if (ds1.data == nullptr && ds2.data == nullptr) z = {};
  map_rows<AddScaledBackward<T>>({{dy, z}, {dx, dz}}, {s1, s2}, {{ds1, ds2}}, partial, rows, dim,
                                 stream);
}

template void add_scaled<float>(RowsOut<float>, RowsIn<float>, RowsIn<float>, const float*,
                                const float*, int64_t, int64_t, Stream);
template void add_scaled<bf16>(RowsOut<bf16>, RowsIn<bf16>, RowsIn<bf16>, const float*,
                               const float*, int64_t, int64_t, Stream);
template void add_scaled_backward<float>(RowsOut<float>, RowsOut<float>, Dest<float>, Dest<float>,
                                         RowsIn<float>, RowsIn<float>, const float*, const float*,
                                         float*, int64_t, int64_t, Stream);
template void add_scaled_backward<bf16>(RowsOut<bf16>, RowsOut<bf16>, Dest<float>, Dest<float>,
                                        RowsIn<bf16>, RowsIn<bf16>, const float*, const float*,
                                        float*, int64_t, int64_t, Stream);

}  // namespace pg::kernels
