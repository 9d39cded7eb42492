// RMS norms, rotary embedding with per-head norm and gain, and exclusive self-attention: one pass
// over the rows each.
#include <cmath>

#include "src/base/threads.h"
#include "src/device/cpu/cpu_heads.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

// x[kv_heads, group, size] -> x - (x.u) u in place, u = v / |v|, v[kv_heads, size]
template <class Size>
void xsa_row(float* x, const float* v, int64_t kv_heads, int64_t group, Size size) {
  for (int64_t k = 0; k < kv_heads; ++k, v += size) {
    const float inverse = inverse_norm(v, size);
    for (int64_t h = 0; h < group; ++h, x += size) {
      const float along_v = inverse * dot(x, v, size) * inverse;
#pragma omp simd
      for (int64_t i = 0; i < size; ++i) x[i] = std::fma(-along_v, v[i], x[i]);
    }
  }
}

// <parts>
// x[heads, size] -> gain rope(x) in place, r[heads] = 1.
template <class Size>
void gain_rope_row(float* x, float* r, const float* gains, const Rotation& rotation, int64_t heads,
                   Size size) {
  for (int64_t h = 0; h < heads; ++h) {
    float* const head = x + h * size;
    r[h] = 1.0f;
#pragma omp simd
    for (int64_t i = 0; i < size; ++i) head[i] *= gains[h];
  }
  for (int64_t h = 0; h < heads; ++h) rotate(x + h * size, rotation);
}
// </parts>

}  // namespace

// Both passes of a chunk run over all its rows, so that the sums of neighbouring rows overlap
// instead of waiting for each other's writes.
void CpuOps::rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows, int64_t dim) {
  const float inverse_dim = 1.0f / static_cast<float>(dim);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    parallel_ranges(rows, chunk_rows(dim), [&](int64_t begin, int64_t end) {
      float r[kMaxChunkRows];
      for (int64_t row = begin; row < end; ++row) {
        r[row - begin] = inverse_rms(x_data + row * dim, dim, inverse_dim, eps);
      }
      for (int64_t row = begin; row < end; ++row) {
        const T* const xs = x_data + row * dim;
        const float factor = scale * r[row - begin];
        write<T>(y, row * dim, dim,
                 [xs, factor](int64_t i) { return factor * static_cast<float>(xs[i]); });
        write_scalar(rstd, row, r[row - begin]);
      }
    });
  });
}

void CpuOps::qk_norm_rope(Out y, Out rstd, In x, In gain, In table, float eps,
                          const HeadShape& shape) {
  const int64_t heads = shape.heads, dim = heads * shape.head_dim, half = shape.rope_dims / 2;
  const int64_t x_stride = row_stride(x, dim);
  const float* const gains = vector_or_ones(gain, heads, *scratch_, kSlotVector);
  const auto* const cos_sin = table.as<float>();
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    parallel_ranges(shape.rows(), chunk_rows(dim), [&](int64_t begin, int64_t end) {
      float* const values =
          thread_floats(*scratch_, thread_index(), kSlotRows, dim + heads + shape.rope_dims);
      float* const r = values + dim;
      const Rotation rotation{r + heads, r + heads + half, half};
      for (int64_t row = begin; row < end; ++row) {
        int64_t position = shape.first + row % shape.tokens;
        // <train_gpt>
        if (shape.packed.starts) position -= shape.packed.starts.as<int32_t>()[row];
        // </train_gpt>
        load_rotation(rotation, cos_sin + position * 2 * half, 1.0f);
        load_row(values, x_data + row * x_stride, dim);
        with_head_size(shape.head_dim, [&](auto size) {
          // <parts>
          if (!shape.is_normed) return gain_rope_row(values, r, gains, rotation, heads, size);
          // </parts>
          norm_rope_row(values, r, gains, rotation, eps, heads, size);
        });
        write_row<T>(y, row * dim, values, dim);
        write_row<float>(rstd, row * heads, r, heads);
      }
    });
  });
}

void CpuOps::xsa(Out y, In x, In v, const AttentionShape& shape) {
  const int64_t kv_heads = shape.kv_heads, group = shape.heads / kv_heads;
  const int64_t dim = shape.heads * shape.head_dim, kv_dim = kv_heads * shape.head_dim;
  const int64_t v_stride = row_stride(v, kv_dim);
  with_activation_type(x.dtype, [&]<class T>() {
    const T* const x_data = x.as<T>();
    const T* const v_data = v.as<T>();
    parallel_ranges(shape.rows(), chunk_rows(dim), [&](int64_t begin, int64_t end) {
      float* const xs = thread_floats(*scratch_, thread_index(), kSlotRows, dim + kv_dim);
      float* const vs = xs + dim;
      for (int64_t row = begin; row < end; ++row) {
        load_row(xs, x_data + row * dim, dim);
        load_row(vs, v_data + row * v_stride, kv_dim);
        with_head_size(shape.head_dim, [&](auto size) { xsa_row(xs, vs, kv_heads, group, size); });
        write_row<T>(y, row * dim, xs, dim);
      }
    });
  });
}

}  // namespace pg
