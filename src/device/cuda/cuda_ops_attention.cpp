// Attention on the launchers of kernels/attention.h.
#include "kernels/attention.h"
#include "kernels/attention_plain.h"
#include "kernels/dense_rows.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

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

template <class T>
struct Rows {
  const T* data;
  int64_t stride;
};

// Operands as the kernels read them: bf16 rows that are misaligned, as those of odd views are, are
// copied.
class RowReader {
 public:
  RowReader(GpuScratch& scratch, kernels::Stream stream) : scratch_(scratch), stream_(stream) {}

  template <class T>
  Rows<T> read(Slot slot, In x, int64_t rows, int64_t cols) const {
    const T* const data = x.as<T>();
    const int64_t stride = row_stride(x, cols);
    if constexpr (std::is_same_v<T, bf16>) {
      if (!kernels::has_16_byte_rows(data, stride)) {
        T* const dense = scratch_.of<T>(slot, rows * cols);
        kernels::copy_to_dense(dense, data, stride, rows, cols, stream_);
        return {dense, cols};
      }
    }
    return {data, stride};
  }

 private:
  GpuScratch& scratch_;
  kernels::Stream stream_;
};

}  // namespace

void CudaOps::attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) {
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
