// Attention on the launchers of kernels/attention.h.
#include "kernels/attention.h"
#include "kernels/attention_plain.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"
#include "src/device/cuda/row_reader.h"

namespace pg {
namespace {

// Working memory.
enum Slot : size_t { kDelta, kDenseQ, kDenseK, kDenseV, kDenseDy };

kernels::AttentionSizes sizes_of(const AttentionShape& shape) {
  PG_CHECK(shape.heads % shape.kv_heads == 0, "query heads are a multiple of kv heads");
  PG_CHECK(shape.head_dim <= kernels::kMaxPlainHeadDim, "a head is too large for shared memory");
  return {shape.batch,    shape.tokens, shape.heads, shape.kv_heads,
          shape.head_dim, shape.first,  shape.scale, optional_as<int32_t>(shape.packed.starts)};
}

int64_t q_cols(const AttentionShape& shape) { return shape.heads * shape.head_dim; }
int64_t kv_cols(const AttentionShape& shape) { return shape.kv_heads * shape.head_dim; }

}  // namespace

void CudaOps::attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) {
  GpuAttention* const library = library_attention(shape, false);
  if (library != nullptr && y && attention_by_library(*library, y, lse, q, k, v, shape)) return;
  const RowReader reader(scratch_, stream());
  const int64_t rows = shape.rows(), kv_rows = shape.batch * shape.keys();
  with_type(compute_, [&]<class T>(T) {
    const Rows<T> v_rows = reader.read<T>(kDenseV, v, kv_rows, kv_cols(shape));
    kernels::attention<T>(dest<T>(y), dest<float>(lse),
                          reader.read<T>(kDenseQ, q, rows, q_cols(shape)).data,
                          reader.read<T>(kDenseK, k, kv_rows, kv_cols(shape)).data, v_rows.data,
                          v_rows.stride, sizes_of(shape), stream());
  });
}

void CudaOps::attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                                 const AttentionShape& shape) {
  PG_CHECK(shape.first == 0, "a gradient is that of all queries");
  if (GpuAttention* const library = library_attention(shape, true)) {
    return attention_backward_by_library(*library, dq, dk, dv, dy, y, lse, q, k, v, shape);
  }
  const RowReader reader(scratch_, stream());
  const int64_t rows = shape.rows();
  float* const delta = scratch_.of<float>(kDelta, rows * shape.heads);
  with_type(compute_, [&]<class T>(T) {
    const Rows<T> v_rows = reader.read<T>(kDenseV, v, rows, kv_cols(shape));
    kernels::attention_backward<T>(
        dest<T>(dq), dest<T>(dk), dest<T>(dv), row_stride(dv, kv_cols(shape)),
        reader.read<T>(kDenseDy, dy, rows, q_cols(shape)).data, y.as<T>(), lse.as<float>(),
        reader.read<T>(kDenseQ, q, rows, q_cols(shape)).data,
        reader.read<T>(kDenseK, k, rows, kv_cols(shape)).data, v_rows.data, v_rows.stride, delta,
        sizes_of(shape), stream());
  });
}

}  // namespace pg
