// oneDNN 2.x products and the ops that are little else: the linear maps.
//
// Every thread keeps its own primitives and memory handles: no locks, and a repeated call only
// swaps pointers. oneDNN shares the generated code between them through its own cache.
#include <omp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

enum MatmulSlot : size_t { kSlotLibrary, kSlotWideA, kSlotWideB, kSlotWideC };

struct ProductHash {
  size_t operator()(const Product& p) const {
    const int flags = (p.transpose_a ? 1 : 0) | (p.transpose_b ? 2 : 0) | (p.accumulate ? 4 : 0) |
                      (static_cast<int>(p.operands) << 3) | (static_cast<int>(p.result) << 6);
    uint64_t hash = static_cast<uint64_t>(flags);
    for (const int64_t field : {p.m, p.n, p.k, p.lda, p.ldb, p.ldc}) {
      hash = std::rotl(hash, 11) * 0x9e3779b97f4a7c15ull ^ static_cast<uint64_t>(field);
    }
    return mix64(hash);
  }
};

// A primitive and its operands, whose pointers are set at each call.
struct Kernel {
  dnnl::matmul primitive;  // empty: the library has none for these types on this machine
  dnnl::memory a, b, c, library_scratch;
  size_t library_scratch_bytes = 0;
};

dnnl::memory::data_type onednn_type(DType dtype) {
  return dtype == DType::kBF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

dnnl::memory::desc matrix_desc(int64_t rows, int64_t cols, DType dtype, bool transposed,
                               int64_t row_stride) {
  if (row_stride == 0) row_stride = transposed ? rows : cols;
  const dnnl::memory::dims strides =
      transposed ? dnnl::memory::dims{1, row_stride} : dnnl::memory::dims{row_stride, 1};
  return {{rows, cols}, onednn_type(dtype), strides};
}

// oneDNN fixes its split when a primitive is made and, for some kernels, when it runs: both happen
// under one thread.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

Kernel make_kernel(const Product& p, const dnnl::engine& engine) {
  const auto a = matrix_desc(p.m, p.k, p.operands, p.transpose_a, p.lda);
  const auto b = matrix_desc(p.k, p.n, p.operands, p.transpose_b, p.ldb);
  const auto c = matrix_desc(p.m, p.n, p.result, false, p.ldc);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (p.accumulate) {
    dnnl::post_ops add;
    add.append_sum(1.0f);
    attributes.set_post_ops(add);
  }
  const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(a, b, c), attributes, engine,
                                          /*allow_empty=*/true);
  Kernel kernel;
  if (!desc) return kernel;
  kernel.primitive = dnnl::matmul(desc);
  kernel.a = dnnl::memory(a, engine, nullptr);
  kernel.b = dnnl::memory(b, engine, nullptr);
  kernel.c = dnnl::memory(c, engine, nullptr);
  kernel.library_scratch = dnnl::memory(desc.scratchpad_desc(), engine, nullptr);
  kernel.library_scratch_bytes = desc.scratchpad_desc().get_size();
  return kernel;
}

// to[rows, cols] contiguous = from with row_stride.
void widen(float* to, const bf16* from, int64_t rows, int64_t cols, int64_t row_stride) {
  for (int64_t row = 0; row < rows; ++row, to += cols, from += row_stride) {
#pragma omp simd
    for (int64_t i = 0; i < cols; ++i) to[i] = static_cast<float>(from[i]);
  }
}

template <class T>
void convert(T* to, const float* from, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) cpu::store(to[i], from[i]);
}

const void* offset(const void* base, int64_t elements, DType dtype) {
  return static_cast<const char*>(base) + elements * static_cast<int64_t>(dtype_bytes(dtype));
}
void* offset(void* base, int64_t elements, DType dtype) {
  return static_cast<char*>(base) + elements * static_cast<int64_t>(dtype_bytes(dtype));
}

}  // namespace

struct CpuMatmul::Thread {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::unordered_map<Product, Kernel, ProductHash> kernels;
};

CpuMatmul::CpuMatmul(int max_threads, bool emulate_bf16)
    : emulate_bf16_(emulate_bf16),
      scratch_(max_threads),
      threads_(static_cast<size_t>(max_threads)) {}
CpuMatmul::~CpuMatmul() = default;

CpuMatmul::Thread& CpuMatmul::this_thread() {
  const auto index = static_cast<size_t>(thread_index());
  PG_CHECK(index < threads_.size(), "more threads than CpuMatmul was made for");
  if (threads_[index] == nullptr) threads_[index] = std::make_unique<Thread>();
  return *threads_[index];
}

void CpuMatmul::run(const Product& product, const void* a, const void* b, void* c) {
  const int index = thread_index();
  if (emulate_bf16_ && product.operands == DType::kBF16) {
    run_widened(index, product, a, b, c);
    return;
  }
  const OneThread one_thread;
  Thread& thread = this_thread();
  auto found = thread.kernels.find(product);
  if (found == thread.kernels.end()) {
    found = thread.kernels.emplace(product, make_kernel(product, thread.engine)).first;
  }
  Kernel& kernel = found->second;
  if (!kernel.primitive) {
    PG_CHECK(product.operands == DType::kBF16, "oneDNN has no f32 product for this machine");
    run_widened(index, product, a, b, c);
    return;
  }
  kernel.a.set_data_handle(const_cast<void*>(a));
  kernel.b.set_data_handle(const_cast<void*>(b));
  kernel.c.set_data_handle(c);
  kernel.library_scratch.set_data_handle(
      scratch_.of_thread(index, kSlotLibrary, kernel.library_scratch_bytes));
  const std::array<dnnl_exec_arg_t, 4> args = {{
      {DNNL_ARG_SRC, kernel.a.get()},
      {DNNL_ARG_WEIGHTS, kernel.b.get()},
      {DNNL_ARG_DST, kernel.c.get()},
      {DNNL_ARG_SCRATCHPAD, kernel.library_scratch.get()},
  }};
  // The C call takes an array; the C++ one would build a map and a vector each time.
  const dnnl_status_t status =
      dnnl_primitive_execute(kernel.primitive.get(), thread.stream.get(), 4, args.data());
  PG_CHECK(status == dnnl_success, "a oneDNN product failed");
}

// The same product on f32 copies; a bf16 result is rounded once, at the end.
void CpuMatmul::run_widened(int thread, const Product& product, const void* a, const void* b,
                            void* c) {
  const auto floats = [&](MatmulSlot slot, int64_t count) {
    return static_cast<float*>(
        scratch_.of_thread(thread, slot, static_cast<size_t>(count) * sizeof(float)));
  };
  Product wide = product;
  wide.operands = wide.result = DType::kF32;
  wide.lda = wide.ldb = 0;
  const int64_t a_rows = product.transpose_a ? product.k : product.m;
  const int64_t a_cols = product.transpose_a ? product.m : product.k;
  const int64_t b_rows = product.transpose_b ? product.n : product.k;
  const int64_t b_cols = product.transpose_b ? product.k : product.n;
  float* const wide_a = floats(kSlotWideA, a_rows * a_cols);
  float* const wide_b = floats(kSlotWideB, b_rows * b_cols);
  widen(wide_a, static_cast<const bf16*>(a), a_rows, a_cols, product.lda ? product.lda : a_cols);
  widen(wide_b, static_cast<const bf16*>(b), b_rows, b_cols, product.ldb ? product.ldb : b_cols);
  if (product.result == DType::kF32) {
    run(wide, wide_a, wide_b, c);
    return;
  }
  const int64_t ldc = product.ldc ? product.ldc : product.n;
  wide.ldc = 0;
  float* const wide_c = floats(kSlotWideC, product.m * product.n);
  auto* const narrow_c = static_cast<bf16*>(c);
  if (product.accumulate) widen(wide_c, narrow_c, product.m, product.n, ldc);
  run(wide, wide_a, wide_b, wide_c);
  for (int64_t row = 0; row < product.m; ++row) {
    convert(narrow_c + row * ldc, wide_c + row * product.n, product.n);
  }
}

// ---- linear maps ----

namespace {

// Rows of a result in one chunk. At 256 rows a product over our widths runs at 87 to 99 % of its
// peak although it packs the weights anew; fewer rows are cut finer, so that more threads find
// work.
int64_t row_block(int64_t rows) {
  constexpr int64_t kMin = 32, kMax = 256, kWantedChunks = 4;
  return std::clamp((rows / kWantedChunks + kMin - 1) / kMin * kMin, kMin, kMax);
}

// C[rows, n] = A[rows, k] B, all contiguous, A not transposed: by blocks of rows.
void multiply_rows(CpuMatmul& matmul, const Product& product, const void* a, const void* b,
                   void* c) {
  PG_DCHECK(!product.transpose_a, "rows of a transposed operand are not contiguous");
  parallel_ranges(product.m, row_block(product.m), [&](int64_t begin, int64_t end) {
    Product block = product;
    block.m = end - begin;
    matmul.run(block, offset(a, begin * product.k, product.operands), b,
               offset(c, begin * product.n, product.result));
  });
}

}  // namespace

void CpuOps::linear(Out y, In x, In w, int64_t rows, int64_t in, int64_t out) {
  if (!y) return;
  PG_CHECK(x.dtype == w.dtype, "activations and weights have one type");
  multiply_rows(*matmul_,
                {.m = rows,
                 .n = out,
                 .k = in,
                 .transpose_b = true,
                 .operands = x.dtype,
                 .result = y.dtype,
                 .accumulate = y.accumulate},
                x.data, w.data, y.data);
}

void CpuOps::linear_dx(Out dx, In dy, In w, int64_t rows, int64_t in, int64_t out) {
  if (!dx) return;
  PG_CHECK(dy.dtype == w.dtype, "gradients and weights have one type");
  multiply_rows(*matmul_,
                {.m = rows,
                 .n = in,
                 .k = out,
                 .operands = dy.dtype,
                 .result = dx.dtype,
                 .accumulate = dx.accumulate},
                dy.data, w.data, dx.data);
}

void CpuOps::linear_dw(Out dw, In dy, In x, int64_t rows, int64_t in, int64_t out) {
  if (!dw) return;
  PG_CHECK(dy.dtype == x.dtype, "gradients and activations have one type");
  // A chunk owns rows of dw. 128 of them: 64 lose 5 to 9 % to the packing of x; 256 would gain a
  // few %, but a layer 256 wide would be a single chunk.
  constexpr int64_t kBlock = 128;
  // The rows of x and dy are taken in segments that the chunks find in the cache: at 16384 rows
  // this gains 2 to 12 %.
  constexpr int64_t kSegment = 2048;
  for (int64_t row = 0; row < rows; row += kSegment) {
    const Product segment = {.n = in,
                             .k = std::min(kSegment, rows - row),
                             .transpose_a = true,
                             .operands = dy.dtype,
                             .result = dw.dtype,
                             .accumulate = dw.accumulate || row > 0,
                             .lda = out};
    parallel_ranges(out, kBlock, [&](int64_t begin, int64_t end) {
      Product block = segment;
      block.m = end - begin;
      matmul_->run(block, offset(dy.data, row * out + begin, dy.dtype),
                   offset(x.data, row * in, x.dtype), offset(dw.data, begin * in, dw.dtype));
    });
  }
}

}  // namespace pg
