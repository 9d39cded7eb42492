// Norms, of rows and of heads, and what stands beside them in attention.
#include "kernels/column_sums.h"
#include "kernels/gate_heads.h"
#include "kernels/mix_rmsnorm.h"
#include "kernels/qk_norm_rope.h"
#include "kernels/rmsnorm.h"
#include "kernels/xsa.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

template <class T>
kernels::MixStreams<T> mix_streams(In x, In a, In z, In b, int64_t rows, int64_t dim) {
  return {x.as<T>(), optional_as<float>(a), optional_as<T>(z), optional_as<float>(b), rows, dim};
}

kernels::RopeHeads rope_heads(const HeadShape& shape, int64_t first) {
  return {.rows = shape.rows(),
          .tokens = shape.tokens,
          .first = first,
          .heads = static_cast<int>(shape.heads),
          .size = static_cast<int>(shape.head_dim),
          .rope_dims = static_cast<int>(shape.rope_dims),
          .is_normed = shape.is_normed,
          .starts = optional_as<int32_t>(shape.packed.starts)};
}

kernels::XsaHeads xsa_heads(const AttentionShape& shape, In v) {
  return {.rows = shape.rows(),
          .v_stride = row_stride(v, shape.kv_heads * shape.head_dim),
          .heads = static_cast<int>(shape.heads),
          .kv_heads = static_cast<int>(shape.kv_heads),
          .size = static_cast<int>(shape.head_dim)};
}

kernels::GatedHeads gated_heads(const HeadGateShape& s) {
  return {.rows = s.rows,
          .dim = s.dim,
          .heads = static_cast<int>(s.heads),
          .size = static_cast<int>(s.head_dim),
          .width = static_cast<int>(s.width),
          .scale = s.scale,
          .factor = s.factor};
}

void check_head_size(int64_t head_dim, DType dtype, int64_t max_bytes) {
  const int64_t most = max_bytes / static_cast<int64_t>(dtype_bytes(dtype));
  PG_CHECK(head_dim <= most, "a head has more elements than the kernels' threads hold");
}

}  // namespace

void CudaOps::rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows, int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::rmsnorm<T>(dest<T>(y), dest<float>(rstd), x.as<T>(), scale, eps, rows, dim, stream());
  });
}

void CudaOps::rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                               int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::rmsnorm_backward<T>(dest<T>(dx), dy.as<T>(), x.as<T>(), rstd.as<float>(), scale, rows,
                                 dim, stream());
  });
}

void CudaOps::mix_rmsnorm(Out y, Out n, Out rstd, In x, In a, In z, In b, float scale, float eps,
                          int64_t rows, int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::mix_rmsnorm<T>(dest<T>(y), dest<T>(n), dest<float>(rstd),
                            mix_streams<T>(x, a, z, b, rows, dim), scale, eps, stream());
  });
}

void CudaOps::mix_rmsnorm_backward(Out dx, Out dz, Out da, Out db, In dy, In dn, In x, In a, In z,
                                   In b, In rstd, float scale, int64_t rows, int64_t dim) {
  PG_CHECK(dim * static_cast<int64_t>(dtype_bytes(x.dtype)) <= kernels::kMaxMixRowBytes,
           "a row has more elements than the kernel's threads hold");
  float* const partial = scratch_.of<float>(0, 2 * kernels::count_row_chunks(rows) * dim);
  with_type(x.dtype, [&]<class T>(T) {
    kernels::mix_rmsnorm_backward<T>({dest<T>(dx), dest<T>(dz), dest<float>(da), dest<float>(db)},
                                     optional_as<T>(dy), dn.as<T>(),
                                     mix_streams<T>(x, a, z, b, rows, dim), rstd.as<float>(), scale,
                                     partial, stream());
  });
}

void CudaOps::qk_norm_rope(Out y, Out rstd, In x, In gain, In table, float eps,
                           const HeadShape& shape) {
  check_head_size(shape.head_dim, x.dtype, kernels::kMaxHeadBytes);
  with_type(x.dtype, [&]<class T>(T) {
    kernels::qk_norm_rope<T>(dest<T>(y), dest<float>(rstd), x.as<T>(),
                             row_stride(x, shape.heads * shape.head_dim), optional_as<float>(gain),
                             table.as<float>(), eps, rope_heads(shape, shape.first), stream());
  });
}

void CudaOps::qk_norm_rope_backward(Out dx, Out dgain, In dy, In x, In rstd, In gain, In table,
                                    const HeadShape& shape) {
  check_head_size(shape.head_dim, x.dtype, kernels::kMaxHeadBytes);
  const int64_t dim = shape.heads * shape.head_dim;
  float* const partial =
      scratch_.of<float>(0, kernels::count_row_chunks(shape.rows()) * shape.heads);
  with_type(x.dtype, [&]<class T>(T) {
    kernels::qk_norm_rope_backward<T>(dest<T>(dx), row_stride(dx, dim), dest<float>(dgain),
                                      dy.as<T>(), x.as<T>(), row_stride(x, dim), rstd.as<float>(),
                                      optional_as<float>(gain), table.as<float>(),
                                      rope_heads(shape, 0), partial, stream());
  });
}

void CudaOps::xsa(Out y, In x, In v, const AttentionShape& shape) {
  check_head_size(shape.head_dim, x.dtype, kernels::kMaxXsaHeadBytes);
  with_type(x.dtype, [&]<class T>(T) {
    kernels::xsa<T>(dest<T>(y), x.as<T>(), v.as<T>(), xsa_heads(shape, v), stream());
  });
}

void CudaOps::xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) {
  check_head_size(shape.head_dim, x.dtype, kernels::kMaxXsaHeadBytes);
  with_type(x.dtype, [&]<class T>(T) {
    kernels::xsa_backward<T>(dest<T>(dx), dest<T>(dv),
                             row_stride(dv, shape.kv_heads * shape.head_dim), dy.as<T>(), x.as<T>(),
                             v.as<T>(), xsa_heads(shape, v), stream());
  });
}

void CudaOps::gate_heads(Out y, In x, In n, In w, In b, const HeadGateShape& shape) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::gate_heads<T>(dest<T>(y), x.as<T>(), n.as<T>(), w.as<float>(), optional_as<float>(b),
                           gated_heads(shape), stream());
  });
}

void CudaOps::gate_heads_backward(Out dx, Out dn, Out dw, Out db, In dy, In x, In n, In w, In b,
                                  const HeadGateShape& shape) {
  const kernels::GatedHeads heads = gated_heads(shape);
  auto* const work = scratch_.of<float>(0, kernels::count_gate_heads_floats(heads));
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::gate_heads_backward<T>(dest<T>(dx), dest<T>(dn), dest<float>(dw), dest<float>(db),
                                    dy.as<T>(), x.as<T>(), n.as<T>(), w.as<float>(),
                                    optional_as<float>(b), heads, work, stream());
  });
}

}  // namespace pg
