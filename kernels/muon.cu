// Bound by memory, one launch for a batch. Without a row norm the momentum is a flat pass: 8 bytes
// read and 8 written per element. With it a warp or a block has a row, keeps its part of u in
// registers until the norm is known, and makes anew from m and g what does not fit.
#include "kernels/muon.h"

#include "kernels/dialect.h"
#include "kernels/matrix_packs.h"

namespace pg::kernels {
inline namespace muon_kernels {

constexpr int kPack = kPackOf<float>;
constexpr int kPacks = 2;      // of each array a thread has under way at a time
constexpr int kKeptPacks = 4;  // of a row, per thread
constexpr float kMinRowNorm = 1e-7f;

template <bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    muon_momentum_kernel(Dest<float> u, float* __restrict__ m, const float* __restrict__ g,
                         const float* __restrict__ coefficient, const float* __restrict__ mu_scalar,
                         PackGrid grid, int64_t stride) {
  const int64_t start = matrix_of_block(grid) * stride;
  Pack<float, kPack> gradient[kPacks], old_m[kPacks];
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    const int count = elements_of_pack<kPack>(at, grid.size);
    gradient[k] = load_part<kPack, kVector>(g + start + at, count);
    old_m[k] = load_part<kPack, kVector, float>(m + start + at, count);
  }
  const float clip = scalar_or_one(coefficient), mu = *mu_scalar;
  if (is_nan(clip)) return;
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    const int count = elements_of_pack<kPack>(at, grid.size);
    float new_m[kPack], update[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const float clipped = clip * gradient[k].v[i];
      new_m[i] = fmaf(mu, old_m[k].v[i], clipped);
      update[i] = fmaf(mu, new_m[i], clipped);
    }
    store_part<kVector>(m + start + at, new_m, count, false);
    if (u.data == nullptr) continue;
    store_part<kVector>(u.data + start + at, update, count, u.accumulate);
  }
}

template <int kRowThreads, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    muon_row_norm_kernel(Dest<float> u, float* __restrict__ m, const float* __restrict__ g,
                         const float* __restrict__ coefficient, const float* __restrict__ mu_scalar,
                         Matrices shape) {
  __shared__ float partial[kBlockWarps];
  constexpr int kStep = kRowThreads * kPack, kKept = kKeptPacks * kStep;
  const int64_t row = row_of_thread<kRowThreads>();
  if (row >= shape.count * shape.rows) return;
  const int64_t matrix = row / shape.rows;
  const int64_t start = matrix * shape.stride + (row - matrix * shape.rows) * shape.cols;
  const int first = thread_in_row<kRowThreads>() * kPack, cols = static_cast<int>(shape.cols);
  const float* g_row = g + start;
  float* m_row = m + start;
  const float clip = scalar_or_one(coefficient), mu = *mu_scalar;
  if (is_nan(clip)) return;

  Pack<float, kPack> kept[kKeptPacks];  // u
  float squares = 0.0f;
  const auto step_pack = [&](int i) {
    const Pack<float, kPack> gradient = load_pack<kPack, kVector>(g_row, i, cols);
    const Pack<float, kPack> old_m =
        load_pack<kPack, kVector>(static_cast<const float*>(m_row), i, cols);
    Pack<float, kPack> update;
    float new_m[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) {
      const float clipped = clip * gradient.v[j];
      new_m[j] = fmaf(mu, old_m.v[j], clipped);
      update.v[j] = fmaf(mu, new_m[j], clipped);
      squares = fmaf(update.v[j], update.v[j], squares);
    }
    store_pack<kVector>(m_row, new_m, i, cols, false);
    return update;
  };
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) kept[k] = step_pack(first + k * kStep);
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < cols; i += kStep) step_pack(i);
  }
  squares = row_sum<kRowThreads>(squares, partial);
  if (u.data == nullptr) return;

  const float factor = 1.0f / fmaxf(sqrtf(squares), kMinRowNorm);
  float* u_row = u.data + start;
  const auto store_scaled = [&](const Pack<float, kPack>& update, int i) {
    float out[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) out[j] = factor * update.v[j];
    store_pack<kVector>(u_row, out, i, cols, u.accumulate);
  };
  PG_UNROLL
  for (int k = 0; k < kKeptPacks; ++k) store_scaled(kept[k], first + k * kStep);
  if constexpr (kRowThreads == kBlockThreads) {
    for (int i = first + kKept; i < cols; i += kStep) {
      const Pack<float, kPack> gradient = load_pack<kPack, kVector>(g_row, i, cols);
      Pack<float, kPack> update =
          load_pack<kPack, kVector>(static_cast<const float*>(m_row), i, cols);
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) update.v[j] = fmaf(mu, update.v[j], clip * gradient.v[j]);
      store_scaled(update, i);
    }
  }
}

template <bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    apply_update_kernel(float* __restrict__ p, const float* __restrict__ u,
                        const float* __restrict__ coefficient, const float* __restrict__ decay_step,
                        bool cautious, PackGrid grid, int64_t stride) {
  const int64_t start = matrix_of_block(grid) * stride;
  Pack<float, kPack> old_p[kPacks], update[kPacks];
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    const int count = elements_of_pack<kPack>(at, grid.size);
    old_p[k] = load_part<kPack, kVector, float>(p + start + at, count);
    update[k] = load_part<kPack, kVector>(u + start + at, count);
  }
  if (is_nan(scalar_or_one(coefficient))) return;
  const float decay = decay_step[0], step = decay_step[1];
  PG_UNROLL
  for (int k = 0; k < kPacks; ++k) {
    const int64_t at = pack_start<kPack, kPacks>(grid, k);
    float new_p[kPack];
    PG_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const bool decays = !cautious || update[k].v[i] * old_p[k].v[i] >= 0.0f;
      new_p[i] = fmaf(old_p[k].v[i], decays ? decay : 1.0f, -(step * update[k].v[i]));
    }
    store_part<kVector>(p + start + at, new_p, elements_of_pack<kPack>(at, grid.size), false);
  }
}

bool is_empty(const Matrices& shape) { return shape.count == 0 || shape.size() == 0; }

bool starts_aligned(const float* data, const Matrices& shape) {
  return has_vector_starts(data, shape.count, shape.stride);
}

}  // namespace muon_kernels

void muon_momentum(Dest<float> u, float* m, const float* g, const float* coefficient,
                   const float* mu, bool row_norm, const Matrices& shape, Stream stream) {
  if (is_empty(shape)) return;
  const bool vector =
      starts_aligned(u.data, shape) && starts_aligned(m, shape) && starts_aligned(g, shape);
  if (!row_norm) {
    const PackGrid grid = make_pack_grid<kPack, kPacks>(shape.size());
    launch(vector ? &muon_momentum_kernel<true> : &muon_momentum_kernel<false>,
           grid_of(grid, shape.count), dim3(kBlockThreads), 0, stream, u, m, g, coefficient, mu,
           grid, shape.stride);
    return;
  }
  const bool fits_warp = shape.cols <= kWarpThreads * kKeptPacks * kPack;
  with_row_variant(fits_warp, vector && shape.cols % kPack == 0,
                   [&]<int kRowThreads, bool kVector>() {
                     launch(&muon_row_norm_kernel<kRowThreads, kVector>,
                            grid_of_rows<kRowThreads>(shape.count * shape.rows),
                            dim3(kBlockThreads), 0, stream, u, m, g, coefficient, mu, shape);
                   });
}

void apply_update(float* p, const float* u, const float* coefficient, const float* decay_step,
                  bool cautious, const Matrices& shape, Stream stream) {
  if (is_empty(shape)) return;
  const bool vector = starts_aligned(p, shape) && starts_aligned(u, shape);
  const PackGrid grid = make_pack_grid<kPack, kPacks>(shape.size());
  launch(vector ? &apply_update_kernel<true> : &apply_update_kernel<false>,
         grid_of(grid, shape.count), dim3(kBlockThreads), 0, stream, p, u, coefficient, decay_step,
         cautious, grid, shape.stride);
}

}  // namespace pg::kernels
