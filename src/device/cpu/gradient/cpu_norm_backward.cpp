// The gradients of RMS norms, of rotary embedding with per-head norm and gain, and of exclusive
// self-attention: one pass over the rows each.
#include <algorithm>
#include <cmath>

#include "src/base/threads.h"
#include "src/device/cpu/cpu_heads.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/gradient/cpu_column_sums.h"

namespace pg {
namespace {

using namespace cpu;

// dy[heads, size] -> dx in place, total[heads] += dgain. With dn = dy turned back and n = x r:
// dgain = sum(dn n), dx = gain r (dn - n mean(dn n)).
template <class Size>
void norm_rope_row_backward(float* dy, float* total, const float* x, const float* r,
                            const float* gains, const Rotation& back, int64_t heads, Size size) {
  const float inverse_size = 1.0f / static_cast<float>(size);
  // All heads first: a wide load right after the narrow stores of a rotation would wait for them.
  for (int64_t h = 0; h < heads; ++h) rotate(dy + h * size, back);
  for (int64_t h = 0; h < heads; ++h, dy += size, x += size) {
    const float along_n = r[h] * dot(dy, x, size);
    if (total != nullptr) total[h] += along_n;
    const float factor = gains[h] * r[h], along_x = r[h] * along_n * inverse_size;
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) dy[i] = factor * std::fma(-along_x, x[i], dy[i]);
  }
}

// <parts>
// Likewise with n = x: dgain = sum(dn x), dx = gain dn.
template <class Size>
void gain_rope_row_backward(float* dy, float* total, const float* x, const float* gains,
                            const Rotation& back, int64_t heads, Size size) {
  for (int64_t h = 0; h < heads; ++h) rotate(dy + h * size, back);
  for (int64_t h = 0; h < heads; ++h, dy += size, x += size) {
    if (total != nullptr) total[h] += dot(dy, x, size);
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) dy[i] *= gains[h];
  }
}
// </parts>

// dy[kv_heads, group, size] -> dx in place; dv[kv_heads, size]. Per query head with a = x.u, b =
// dy.u: dx = dy - b u, du = -(b x + a dy); then dv = (du - (du.u) u) / |v| for the sum of du over
// the group, whose du.u is -2 sum(a b). Below the floor u is linear in v: dv = du / kXsaFloor.
template <class Size>
void xsa_row_backward(float* dy, float* dv, const float* x, const float* v, int64_t kv_heads,
                      int64_t group, Size size) {
  for (int64_t k = 0; k < kv_heads; ++k, v += size, dv += size) {
    const float inverse = inverse_norm(v, size);
    float sum_ab = 0.0f;
    std::fill_n(dv, static_cast<int64_t>(size), 0.0f);
    for (int64_t h = 0; h < group; ++h, x += size, dy += size) {
      const float a = inverse * dot(x, v, size), b = inverse * dot(dy, v, size);
      const float along_v = b * inverse;
      sum_ab += a * b;
#pragma omp simd
      for (int64_t i = 0; i < size; ++i) {
        dv[i] -= std::fma(a, dy[i], b * x[i]);
        dy[i] = std::fma(-along_v, v[i], dy[i]);
      }
    }
    const float along_v = inverse < 1.0f / kXsaFloor ? 2.0f * sum_ab * inverse : 0.0f;
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) dv[i] = inverse * std::fma(along_v, v[i], dv[i]);
  }
}

}  // namespace

void CpuOps::rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                              int64_t dim) {
  const float inverse_dim = 1.0f / static_cast<float>(dim);
  const auto* const r = rstd.as<float>();
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    const T* const dy_data = dy.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      float along_x[kMaxChunkRows];
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        const T* const dys = dy_data + row * dim;
        const float product = sum_products(
            dim, [xs](int64_t i) { return static_cast<float>(xs[i]); },
            [dys](int64_t i) { return static_cast<float>(dys[i]); });
        along_x[row - begin] = r[row] * r[row] * product * inverse_dim;
      }
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        const T* const dys = dy_data + row * dim;
        const float factor = scale * r[row], along = along_x[row - begin];
        write<T>(dx, row * dim, dim, [=](int64_t i) {
          return factor * std::fma(-along, static_cast<float>(xs[i]), static_cast<float>(dys[i]));
        });
      }
    });
  });
}

void CpuOps::qk_norm_rope_backward(Out dx, Out dgain, In dy, In x, In rstd, In gain, In table,
                                   const HeadShape& shape) {
  const int64_t heads = shape.heads, dim = heads * shape.head_dim, half = shape.rope_dims / 2;
  const int64_t x_stride = row_stride(x, dim), dx_stride = row_stride(dx, dim);
  const int64_t grain = chunk_rows(dim);
  const float* const gains = vector_or_ones(gain, heads, *scratch_, kSlotVector);
  const auto* const r = rstd.as<float>();
  const auto* const cos_sin = table.as<float>();
  const ColumnSums sums(dgain, chunk_count(shape.rows(), grain), heads, *scratch_, kSlotPartials);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const x_data = x.as<T>();
    parallel_ranges(shape.rows(), grain, [&](int64_t begin, int64_t end) {
      float* const values =
          thread_floats(*scratch_, thread_index(), kSlotRows, 2 * dim + shape.rope_dims);
      float* const xs = values + dim;
      const Rotation back{xs + dim, xs + dim + half, half};
      float* const total = sums.start_chunk(begin / grain);
      for (int64_t row = begin; row < end; ++row) {
        int64_t position = row % shape.tokens;
        // <train_gpt>
        if (shape.packed.starts) position -= shape.packed.starts.as<int32_t>()[row];
        // </train_gpt>
        load_rotation(back, cos_sin + position * 2 * half, -1.0f);
        load_row(values, dy_data + row * dim, dim);
        load_row(xs, x_data + row * x_stride, dim);
        with_head_size(shape.head_dim, [&](auto size) {
          // <parts>
          if (!shape.is_normed) {
            return gain_rope_row_backward(values, total, xs, gains, back, heads, size);
          }
          // </parts>
          norm_rope_row_backward(values, total, xs, r + row * heads, gains, back, heads, size);
        });
        write_row<T>(dx, row * dx_stride, values, dim);
      }
    });
  });
  sums.combine();
}

void CpuOps::xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) {
  const int64_t kv_heads = shape.kv_heads, group = shape.heads / kv_heads;
  const int64_t dim = shape.heads * shape.head_dim, kv_dim = kv_heads * shape.head_dim;
  const int64_t v_stride = row_stride(v, kv_dim), dv_stride = row_stride(dv, kv_dim);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const dy_data = dy.as<T>();
    const T* const x_data = x.as<T>();
    const T* const v_data = v.as<T>();
    parallel_ranges(shape.rows(), chunk_rows(dim), [&](int64_t begin, int64_t end) {
      float* const dys = thread_floats(*scratch_, thread_index(), kSlotRows, 2 * (dim + kv_dim));
      float* const xs = dys + dim;
      float* const vs = xs + dim;
      float* const dvs = vs + kv_dim;
      for (int64_t row = begin; row < end; ++row) {
        load_row(dys, dy_data + row * dim, dim);
        load_row(xs, x_data + row * dim, dim);
        load_row(vs, v_data + row * v_stride, kv_dim);
        with_head_size(shape.head_dim, [&](auto size) {
          xsa_row_backward(dys, dvs, xs, vs, kv_heads, group, size);
        });
        write_row<T>(dx, row * dim, dys, dim);
        write_row<T>(dv, row * dv_stride, dvs, kv_dim);
      }
    });
  });
}
}  // namespace pg
