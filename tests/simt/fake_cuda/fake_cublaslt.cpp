#include <cublasLt.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/bf16.h"
#include "tests/simt/fake_cuda/fake_state.h"

namespace {

using pg::fake_cuda::add_live;
using pg::fake_cuda::give;
using pg::fake_cuda::is_of_device;
using pg::fake_cuda::is_to_fail;

struct Operation {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
};

// A matrix by columns: element (r, c) at r + c * stride.
struct Layout {
  cudaDataType type;
  int64_t rows, cols, stride;
  int32_t batch = 1;
  int64_t batch_stride = 0;

  size_t element_bytes() const { return type == CUDA_R_16BF ? 2 : 4; }
  // From the first element of the first matrix to the last of the last.
  size_t bytes() const {
    const int64_t elements = (batch - 1) * batch_stride + (cols - 1) * stride + rows;
    return static_cast<size_t>(elements) * element_bytes();
  }
  // Its columns, without what lies between them.
  void add_ranges(std::vector<pg::fake_cuda::MemoryRange>& ranges, const void* data) const {
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t j = 0; j < cols; ++j) {
        const auto at = static_cast<size_t>(n * batch_stride + j * stride) * element_bytes();
        ranges.push_back({static_cast<const std::byte*>(data) + at,
                          static_cast<size_t>(rows) * element_bytes()});
      }
    }
  }
};

template <class T, class Handle>
T& as(Handle handle) {
  return *reinterpret_cast<T*>(handle);
}

template <class T, class Handle>
cublasStatus_t make(Handle* handle, const T& value) {
  *handle = reinterpret_cast<Handle>(new T(value));
  add_live(1);
  return CUBLAS_STATUS_SUCCESS;
}
template <class T, class Handle>
cublasStatus_t destroy(Handle handle, const char* call) {
  const std::lock_guard lock(pg::fake_cuda::world());
  delete reinterpret_cast<T*>(handle);
  add_live(-1);
  return is_to_fail(call) ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

float element(const Layout& layout, const void* data, int64_t index) {
  if (layout.type == CUDA_R_16BF) {
    return static_cast<float>(static_cast<const pg::bf16*>(data)[index]);
  }
  return static_cast<const float*>(data)[index];
}

// Whether D = op(A) op(B) + C has the sizes that it must have.
bool fits(const Operation& o, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
  const bool a_turned = o.a == CUBLAS_OP_T, b_turned = o.b == CUBLAS_OP_T;
  const bool strides =
      a.stride >= a.rows && b.stride >= b.rows && c.stride >= c.rows && d.stride >= d.rows;
  const bool batches = a.batch == d.batch && b.batch == d.batch && c.batch == d.batch;
  return strides && batches && a.type == b.type && c.type == d.type &&
         (a_turned ? a.cols : a.rows) == d.rows && (b_turned ? b.rows : b.cols) == d.cols &&
         (a_turned ? a.rows : a.cols) == (b_turned ? b.cols : b.rows) && c.rows == d.rows &&
         c.cols == d.cols;
}

struct Product {
  Operation o;
  Layout a, b, c, d;
  const void *a_data, *b_data, *c_data;
  void* d_data;
  float alpha, beta;

  void compute() const {
    const bool a_turned = o.a == CUBLAS_OP_T, b_turned = o.b == CUBLAS_OP_T;
    const int64_t inner = a_turned ? a.rows : a.cols;
    const auto a_at = [&](int64_t i, int64_t k) {
      return a_turned ? k + i * a.stride : i + k * a.stride;
    };
    const auto b_at = [&](int64_t k, int64_t j) {
      return b_turned ? j + k * b.stride : k + j * b.stride;
    };
    for (int64_t n = 0; n < d.batch; ++n) {
      for (int64_t j = 0; j < d.cols; ++j) {
        for (int64_t i = 0; i < d.rows; ++i) {
          float sum = 0;
          for (int64_t k = 0; k < inner; ++k) {
            sum += element(a, a_data, n * a.batch_stride + a_at(i, k)) *
                   element(b, b_data, n * b.batch_stride + b_at(k, j));
          }
          float value = alpha * sum;
          if (beta != 0) {
            value += beta * element(c, c_data, n * c.batch_stride + i + j * c.stride);
          }
          const int64_t at = n * d.batch_stride + i + j * d.stride;
          if (d.type == CUDA_R_16BF) {
            static_cast<pg::bf16*>(d_data)[at] = pg::bf16(value);
          } else {
            static_cast<float*>(d_data)[at] = value;
          }
        }
      }
    }
  }
};

}  // namespace

#define FAKE_CALL(status)                             \
  const std::lock_guard lock(pg::fake_cuda::world()); \
  if (is_to_fail(__func__)) return status

extern "C" {

const char* cublasLtGetStatusString(cublasStatus_t) { return "a status of the fake"; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  FAKE_CALL(CUBLAS_STATUS_NOT_INITIALIZED);
  return make(handle, 0);
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { return destroy<int>(handle, __func__); }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation,
                                        cublasComputeType_t compute, cudaDataType_t scale) {
  FAKE_CALL(CUBLAS_STATUS_ALLOC_FAILED);
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  return make(operation, Operation{});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  return destroy<Operation>(operation, __func__);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void* value, size_t bytes) {
  FAKE_CALL(CUBLAS_STATUS_INVALID_VALUE);
  Operation& o = as<Operation>(operation);
  if (bytes != sizeof o.a) return CUBLAS_STATUS_INVALID_VALUE;
  if (which == CUBLASLT_MATMUL_DESC_TRANSA) {
    std::memcpy(&o.a, value, bytes);
  } else if (which == CUBLASLT_MATMUL_DESC_TRANSB) {
    std::memcpy(&o.b, value, bytes);
  } else {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t stride) {
  FAKE_CALL(CUBLAS_STATUS_ALLOC_FAILED);
  return make(layout, Layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(cols), stride});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy<Layout>(layout, __func__);
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t which,
                                                const void* value, size_t bytes) {
  FAKE_CALL(CUBLAS_STATUS_INVALID_VALUE);
  Layout& l = as<Layout>(layout);
  if (which == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && bytes == sizeof l.batch) {
    std::memcpy(&l.batch, value, bytes);
  } else if (which == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET &&
             bytes == sizeof l.batch_stride) {
    std::memcpy(&l.batch_stride, value, bytes);
  } else {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  FAKE_CALL(CUBLAS_STATUS_ALLOC_FAILED);
  return make(preference, 0);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy<int>(preference, __func__);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t,
                                                    const void*, size_t) {
  FAKE_CALL(CUBLAS_STATUS_INVALID_VALUE);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t, int wanted,
                                              cublasLtMatmulHeuristicResult_t* found, int* count) {
  FAKE_CALL(CUBLAS_STATUS_NOT_SUPPORTED);
  if (wanted < 1 ||
      !fits(as<Operation>(operation), as<Layout>(a), as<Layout>(b), as<Layout>(c), as<Layout>(d))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  found->state = CUBLAS_STATUS_SUCCESS;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha,
                              const void* a_data, cublasLtMatrixLayout_t a, const void* b_data,
                              cublasLtMatrixLayout_t b, const void* beta, const void* c_data,
                              cublasLtMatrixLayout_t c, void* d_data, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t*, void* workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  FAKE_CALL(CUBLAS_STATUS_EXECUTION_FAILED);
  const Product product = {as<Operation>(operation),
                           as<Layout>(a),
                           as<Layout>(b),
                           as<Layout>(c),
                           as<Layout>(d),
                           a_data,
                           b_data,
                           c_data,
                           d_data,
                           *static_cast<const float*>(alpha),
                           *static_cast<const float*>(beta)};
  if (!fits(product.o, product.a, product.b, product.c, product.d) ||
      !is_of_device(workspace, workspace_bytes) || !is_of_device(a_data, product.a.bytes()) ||
      !is_of_device(b_data, product.b.bytes()) || !is_of_device(d_data, product.d.bytes()) ||
      (product.beta != 0 && !is_of_device(c_data, product.c.bytes()))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  pg::fake_cuda::Work work;
  work.name = "product";
  product.a.add_ranges(work.reads, a_data);
  product.b.add_ranges(work.reads, b_data);
  if (product.beta != 0) product.c.add_ranges(work.reads, c_data);
  product.d.add_ranges(work.writes, d_data);
  // All or none of it: its begin stands for the whole.
  work.writes.push_back({workspace, std::min<size_t>(workspace_bytes, 64)});
  work.run = [product] { product.compute(); };
  give(stream, std::move(work));
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
