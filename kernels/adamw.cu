// Bound by memory: 16 bytes read and 12 written per element, once. A thread has 16 bytes of each of
// the four arrays under way before it needs the step's numbers.
#include "kernels/adamw.h"

#include "kernels/dialect.h"
#include "kernels/matrix_packs.h"

namespace pg::kernels {
inline namespace adamw_kernels {

constexpr int kPack = kPackOf<float>;

enum StepScalar { kLr, kBeta1, kBeta2, kEpsilon, kWeightDecay, kBias1, kBias2, kScalars };
static_assert(kScalars == kAdamWStepScalars);

template <bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    adamw_kernel(float* __restrict__ p, float* __restrict__ m, float* __restrict__ v,
                 const float* __restrict__ g, const float* __restrict__ coefficient,
                 const float* __restrict__ step, bool cautious, PackGrid grid) {
  const int64_t at = pack_start<kPack, 1>(grid, 0);
  const int count = elements_of_pack<kPack>(at, grid.size);
  const Pack<float, kPack> old_p = load_part<kPack, kVector, float>(p + at, count);
  const Pack<float, kPack> old_m = load_part<kPack, kVector, float>(m + at, count);
  const Pack<float, kPack> old_v = load_part<kPack, kVector, float>(v + at, count);
  const Pack<float, kPack> gradient = load_part<kPack, kVector>(g + at, count);
  const float clip = scalar_or_one(coefficient);
  if (is_nan(clip)) return;
  const float beta1 = step[kBeta1], beta2 = step[kBeta2], epsilon = step[kEpsilon];
  const float fresh1 = 1.0f - beta1, fresh2 = 1.0f - beta2;
  const float decay = 1.0f - step[kLr] * step[kWeightDecay];
  const float step_size = step[kLr] / step[kBias1], inverse_bias2 = 1.0f / step[kBias2];

  float new_p[kPack], new_m[kPack], new_v[kPack];
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) {
    const float clipped = clip * gradient.v[i];
    new_m[i] = fmaf(beta1, old_m.v[i], fresh1 * clipped);
    new_v[i] = fmaf(beta2, old_v.v[i], fresh2 * (clipped * clipped));
    const bool decays = !cautious || new_m[i] * old_p.v[i] > 0.0f;
    const float update = step_size * new_m[i] / (sqrtf(new_v[i] * inverse_bias2) + epsilon);
    new_p[i] = fmaf(old_p.v[i], decays ? decay : 1.0f, -update);
  }
  store_part<kVector>(p + at, new_p, count, false);
  store_part<kVector>(m + at, new_m, count, false);
  store_part<kVector>(v + at, new_v, count, false);
}

}  // namespace adamw_kernels

void adamw(float* p, float* m, float* v, const float* g, const float* coefficient,
           const float* step, bool cautious, int64_t count, Stream stream) {
  if (count == 0) return;
  const auto is_aligned = [](const float* data) { return has_vector_starts(data, 1, 0); };
  const bool vector = is_aligned(p) && is_aligned(m) && is_aligned(v) && is_aligned(g);
  const PackGrid grid = make_pack_grid<kPack, 1>(count);
  launch(vector ? &adamw_kernel<true> : &adamw_kernel<false>, grid_of(grid, 1), dim3(kBlockThreads),
         0, stream, p, m, v, g, coefficient, step, cautious, grid);
}

}  // namespace pg::kernels
