// Bound by memory: one pass each way (row_map.h).
#include "kernels/leaky_relu2.h"

#include "kernels/row_map.h"

namespace pg::kernels {
inline namespace leaky_relu2_kernels {

struct Slope {
  float value;
};

template <class T>
struct LeakyRelu2 {
  using Type = T;
  using Args = Slope;
  static constexpr int kInputs = 1, kOutputs = 1, kSums = 0;
  static constexpr bool kPerColumn = false;

  __device__ LeakyRelu2(const Args& args, int64_t, int64_t) : slope(args.value) {}
  __device__ void apply(int, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    const float l = x[0] > 0.0f ? x[0] : slope * x[0];
    y[0] = l * l;
  }

  float slope;
};

template <class T>
struct LeakyRelu2Backward {
  using Type = T;
  using Args = Slope;
  static constexpr int kInputs = 2, kOutputs = 1, kSums = 0;  // dy, x; dx
  static constexpr bool kPerColumn = false;

  __device__ LeakyRelu2Backward(const Args& args, int64_t, int64_t)
      : negative(2.0f * args.value * args.value) {}
  __device__ void apply(int, const float (&x)[kInputs], float (&y)[kOutputs]) const {
    y[0] = x[0] * (x[1] * (x[1] > 0.0f ? 2.0f : negative));
  }

  float negative;  // dy/dx / x of a negative x
};

}  // namespace leaky_relu2_kernels

template <class T>
void leaky_relu2(Dest<T> y, const T* x, float slope, int64_t count, Stream stream) {
  map_rows<LeakyRelu2<T>>({{{x, count}}, {{y.data, count, y.accumulate}}}, {slope}, {}, nullptr, 1,
                          count, stream);
}

template <class T>
void leaky_relu2_backward(Dest<T> dx, const T* dy, const T* x, float slope, int64_t count,
                          Stream stream) {
  map_rows<LeakyRelu2Backward<T>>({{{dy, count}, {x, count}}, {{dx.data, count, dx.accumulate}}},
                                  {slope}, {}, nullptr, 1, count, stream);
}

template void leaky_relu2<float>(Dest<float>, const float*, float, int64_t, Stream);
template void leaky_relu2<bf16>(Dest<bf16>, const bf16*, float, int64_t, Stream);
template void leaky_relu2_backward<float>(Dest<float>, const float*, const float*, float, int64_t,
                                          Stream);
template void leaky_relu2_backward<bf16>(Dest<bf16>, const bf16*, const bf16*, float, int64_t,
                                         Stream);

}  // namespace pg::kernels
