// Attention by a library of the machine: what of its operands has to be moved first, and its outputs
// to where they belong. Ours takes what the library does not: packed sequences, f32, odd heads.
#include "kernels/add_scaled.h"
#include "kernels/cast.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"
#include "src/device/cuda/row_reader.h"

namespace pg {
namespace {

// Working memory.
enum Slot : size_t {
  kWorkspace,
  kDenseQ,
  kDenseK,
  kDenseV,
  kDenseDy,
  kDenseY,
  kLse,
  kRows,
  kRowsDk,
  kRowsDv
};

int64_t q_cols(const AttentionShape& shape) { return shape.heads * shape.head_dim; }
int64_t kv_cols(const AttentionShape& shape) { return shape.kv_heads * shape.head_dim; }

GpuAttentionShape library_shape(const AttentionShape& shape, int64_t v_stride, int64_t dv_stride) {
  return {shape.batch,    shape.tokens, shape.keys(), shape.heads, shape.kv_heads,
          shape.head_dim, v_stride,     dv_stride,    shape.scale};
}

// An output as the library writes it: in its place, or beside it where it is added to what is there,
// is not wanted, or starts where the library cannot write. What is added has been rounded to bf16, once
// more than by our own kernels: the library gives nothing wider.
class WrittenRows {
 public:
  WrittenRows(GpuScratch& scratch, Slot slot, Out out, int64_t rows, int64_t cols)
      : out_(out), rows_(rows), cols_(cols), stride_(row_stride(out, cols)) {
    is_beside_ = !out || out.accumulate || !kernels::has_16_byte_rows(out.as<bf16>(), stride_);
    data_ = is_beside_ ? scratch.of<bf16>(slot, rows * cols) : out.as<bf16>();
  }
  bf16* data() const { return data_; }
  int64_t stride() const { return is_beside_ ? cols_ : stride_; }
  void finish(kernels::Stream stream) const {
    if (!is_beside_ || !out_) return;
    kernels::add_scaled<bf16>({out_.as<bf16>(), stride_, out_.accumulate}, {data_, cols_}, {},
                              nullptr, nullptr, rows_, cols_, stream);
  }

 private:
  Out out_;
  int64_t rows_, cols_, stride_;
  bool is_beside_;
  bf16* data_;
};

bool starts_at_16_bytes(const void* memory) {
  return reinterpret_cast<uintptr_t>(memory) % 16 == 0;
}

}  // namespace

GpuAttention* CudaOps::library_attention(const AttentionShape& shape, bool is_backward) {
  constexpr int64_t kHeadMultiple = 8, kLargestHead = 128;  // cuDNN's, for every GPU from 8.0 on
  const bool is_computed = compute_ == DType::kBF16 && !shape.packed.starts && shape.rows() > 0 &&
                           shape.keys() > 1 && shape.head_dim % kHeadMultiple == 0 &&
                           shape.head_dim <= kLargestHead && shape.heads % shape.kv_heads == 0;
  return is_computed ? runtime_.library_attention(is_backward) : nullptr;
}

bool CudaOps::attention_by_library(GpuAttention& library, Out y, Out lse, In q, In k, In v,
                                   const AttentionShape& shape) {
  const RowReader reader(scratch_, stream());
  const int64_t rows = shape.rows(), kv_rows = shape.batch * shape.keys();
  const Rows<bf16> v_rows = reader.read<bf16>(kDenseV, v, kv_rows, kv_cols(shape));
  const GpuAttentionShape asked = library_shape(shape, v_rows.stride, 0);
  const GpuAttentionPlan* const plan = library.plan_forward(asked);
  if (plan == nullptr) return false;
  const WrittenRows y_rows(scratch_, kRows, y, rows, q_cols(shape));
  const int64_t lse_count = rows * shape.heads;
  const bool is_beside = !lse || lse.accumulate || !starts_at_16_bytes(lse.data);
  float* const lse_data = is_beside ? scratch_.of<float>(kLse, lse_count) : lse.as<float>();
  library.run(asked,
              GpuAttentionForward{
                  y_rows.data(), lse_data, reader.read<bf16>(kDenseQ, q, rows, q_cols(shape)).data,
                  reader.read<bf16>(kDenseK, k, kv_rows, kv_cols(shape)).data, v_rows.data},
              scratch_.of<std::byte>(kWorkspace, static_cast<int64_t>(plan->workspace_bytes)));
  y_rows.finish(stream());
  if (is_beside && lse)
    kernels::cast<float, float>(dest<float>(lse), lse_data, lse_count, stream());
  return true;
}

void CudaOps::attention_backward_by_library(GpuAttention& library, Out dq, Out dk, Out dv, In dy,
                                            In y, In lse, In q, In k, In v,
                                            const AttentionShape& shape) {
  const RowReader reader(scratch_, stream());
  const int64_t rows = shape.rows(), q_dim = q_cols(shape), kv_dim = kv_cols(shape);
  const Rows<bf16> v_rows = reader.read<bf16>(kDenseV, v, rows, kv_dim);
  const WrittenRows dq_rows(scratch_, kRows, dq, rows, q_dim),
      dk_rows(scratch_, kRowsDk, dk, rows, kv_dim), dv_rows(scratch_, kRowsDv, dv, rows, kv_dim);
  const GpuAttentionShape asked = library_shape(shape, v_rows.stride, dv_rows.stride());
  const GpuAttentionPlan& plan = library.plan_backward(asked);
  const float* lse_data = lse.as<float>();
  if (!starts_at_16_bytes(lse_data)) {
    float* const aligned = scratch_.of<float>(kLse, rows * shape.heads);
    kernels::cast<float, float>({aligned, false}, lse_data, rows * shape.heads, stream());
    lse_data = aligned;
  }
  library.run(asked,
              GpuAttentionBackward{dq_rows.data(), dk_rows.data(), dv_rows.data(),
                                   reader.read<bf16>(kDenseDy, dy, rows, q_dim).data,
                                   reader.read<bf16>(kDenseY, y, rows, q_dim).data, lse_data,
                                   reader.read<bf16>(kDenseQ, q, rows, q_dim).data,
                                   reader.read<bf16>(kDenseK, k, rows, kv_dim).data, v_rows.data},
              scratch_.of<std::byte>(kWorkspace, static_cast<int64_t>(plan.workspace_bytes)));
  for (const WrittenRows* written : {&dq_rows, &dk_rows, &dv_rows}) written->finish(stream());
}

}  // namespace pg
