// Bound by memory: one pass each way (row_map.h).
#include "kernels/gated_mix.h"

#include "kernels/row_map.h"
#include "kernels/sigmoid.h"

namespace pg::kernels {
inline namespace gated_mix_kernels {

struct GateArgs {
  const float* w;
  const float* gate;
};

// Of a thread's columns.
template <int kPack>
struct Gates {
  __device__ Gates(const GateArgs& args, int64_t first, int64_t columns) {
    load_columns(w, args.w, first, columns);
    load_columns(g, args.gate, first, columns);
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) g[i] = sigmoid(g[i]);
  }
  __device__ float other(int i) const { return (1.0f - g[i]) * w[i]; }

  float w[kPack], g[kPack];
};

template <class T>
struct GatedMix {
  using Type = T;
  using Args = GateArgs;
  static constexpr int kInputs = 2, kOutputs = 1, kSums = 0;
  static constexpr bool kPerColumn = true;

  __device__ GatedMix(const Args& args, int64_t first, int64_t columns)
      : gates(args, first, columns) {}
  __device__ void apply(int i, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    y[0] = fmaf(gates.g[i], x[0], gates.other(i) * x[1]);
  }

  Gates<kPackOf<T>> gates;
};

template <class T>
struct GatedMixBackward {
  using Type = T;
  using Args = GateArgs;
  static constexpr int kInputs = 3, kOutputs = 2, kSums = 2;  // dy, x, z; dx, dz; dw, dgate
  static constexpr bool kPerColumn = true;

  __device__ GatedMixBackward(const Args& args, int64_t first, int64_t columns)
      : gates(args, first, columns) {}
  __device__ void apply(int i, const float (&x)[kInputs], float (&y)[kOutputs]) {
    y[0] = gates.g[i] * x[0];
    y[1] = gates.other(i) * x[0];
    sums[0][i] = fmaf(x[0], x[2], sums[0][i]);
    sums[1][i] = fmaf(x[0], fmaf(-gates.w[i], x[2], x[1]), sums[1][i]);
  }
  __device__ void finish() {
    PG_UNROLL
    for (int i = 0; i < kPackOf<T>; ++i) {
      sums[0][i] *= 1.0f - gates.g[i];
      sums[1][i] *= gates.g[i] * (1.0f - gates.g[i]);
    }
  }

  Gates<kPackOf<T>> gates;
  float sums[kSums][kPackOf<T>] = {};
};

}  // namespace gated_mix_kernels

template <class T>
void gated_mix(RowsOut<T> y, RowsIn<T> x, RowsIn<T> z, const float* w, const float* gate,
               int64_t rows, int64_t dim, Stream stream) {
  map_rows<GatedMix<T>>({{x, z}, {y}}, {w, gate}, {}, nullptr, rows, dim, stream);
}

template <class T>
void gated_mix_backward(RowsOut<T> dx, RowsOut<T> dz, Dest<float> dw, Dest<float> dgate,
                        RowsIn<T> dy, RowsIn<T> x, RowsIn<T> z, const float* w, const float* gate,
                        float* partial, int64_t rows, int64_t dim, Stream stream) {
  if (dgate.data == nullptr) x = {};
  if (dgate.data == nullptr && dw.data == nullptr) z = {};
  map_rows<GatedMixBackward<T>>({{dy, x, z}, {dx, dz}}, {w, gate}, {{dw, dgate}}, partial, rows,
                                dim, stream);
}

template void gated_mix<float>(RowsOut<float>, RowsIn<float>, RowsIn<float>, const float*,
                               const float*, int64_t, int64_t, Stream);
template void gated_mix<bf16>(RowsOut<bf16>, RowsIn<bf16>, RowsIn<bf16>, const float*, const float*,
                              int64_t, int64_t, Stream);
template void gated_mix_backward<float>(RowsOut<float>, RowsOut<float>, Dest<float>, Dest<float>,
                                        RowsIn<float>, RowsIn<float>, RowsIn<float>, const float*,
                                        const float*, float*, int64_t, int64_t, Stream);
template void gated_mix_backward<bf16>(RowsOut<bf16>, RowsOut<bf16>, Dest<float>, Dest<float>,
                                       RowsIn<bf16>, RowsIn<bf16>, RowsIn<bf16>, const float*,
                                       const float*, float*, int64_t, int64_t, Stream);

}  // namespace pg::kernels
