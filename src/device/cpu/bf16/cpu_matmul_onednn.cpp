// oneDNN 2.x products. Every thread keeps its own primitives and memory handles: no locks, and a repeated
// call only swaps pointers. oneDNN shares the generated code between them through its own cache.
#include "src/device/cpu/cpu_matmul_onednn.h"

#include <omp.h>
#include <sys/mman.h>

#include <array>
#include <bit>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "src/base/rng.h"
#include "src/base/threads.h"

namespace pg {
namespace {

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
  dnnl::matmul primitive;  // empty where the library has none
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

// The library writes generated code without looking whether it got memory for it. A primitive's
// kernels take at most some 256 KiB each.
void check_code_memory() {
  constexpr size_t kCodeBytes = size_t{4} << 20;
  void* const memory =
      ::mmap(nullptr, kCodeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  ::munmap(memory, kCodeBytes);
}

Kernel make_kernel(const Product& p, const dnnl::engine& engine) {
  check_code_memory();
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

bool is_effective(dnnl_cpu_isa_t wanted) {
  const auto isa = static_cast<unsigned>(dnnl_get_effective_cpu_isa());
  return (isa & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
}

}  // namespace

bool onednn_has(OnednnIsa isa) {
  switch (isa) {
    case OnednnIsa::kAvx2:
      return is_effective(dnnl_cpu_isa_avx2);
    case OnednnIsa::kAvx512:
      return is_effective(dnnl_cpu_isa_avx512_core);
    case OnednnIsa::kAvx512Bf16:
      return is_effective(dnnl_cpu_isa_avx512_core_bf16);
    default:
      return is_effective(dnnl_cpu_isa_avx512_core_amx);
  }
}

struct OnednnMatmul::Thread {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::unordered_map<Product, Kernel, ProductHash> kernels;
};

OnednnMatmul::OnednnMatmul(int max_threads)
    : scratch_(max_threads), threads_(static_cast<size_t>(max_threads)) {}
OnednnMatmul::~OnednnMatmul() = default;

OnednnMatmul::Thread& OnednnMatmul::this_thread() {
  const auto index = static_cast<size_t>(thread_index());
  PG_CHECK(index < threads_.size(), "more threads than OnednnMatmul was made for");
  if (threads_[index] == nullptr) threads_[index] = std::make_unique<Thread>();
  return *threads_[index];
}

void OnednnMatmul::run(const Product& product, const void* a, const void* b, void* c) {
  const OneThread one_thread;
  Thread& thread = this_thread();
  auto found = thread.kernels.find(product);
  if (found == thread.kernels.end()) {
    found = thread.kernels.emplace(product, make_kernel(product, thread.engine)).first;
  }
  Kernel& kernel = found->second;
  PG_CHECK(kernel.primitive, "oneDNN has no such product for this machine");
  kernel.a.set_data_handle(const_cast<void*>(a));
  kernel.b.set_data_handle(const_cast<void*>(b));
  kernel.c.set_data_handle(c);
  kernel.library_scratch.set_data_handle(
      scratch_.of_thread(thread_index(), 0, kernel.library_scratch_bytes));
  const std::array<dnnl_exec_arg_t, 4> args = {{
      {DNNL_ARG_SRC, kernel.a.get()},
      {DNNL_ARG_WEIGHTS, kernel.b.get()},
      {DNNL_ARG_DST, kernel.c.get()},
      {DNNL_ARG_SCRATCHPAD, kernel.library_scratch.get()},
  }};
  // The C call takes an array; the C++ one would build a map and a vector each time.
  const dnnl_status_t status =
      dnnl_primitive_execute(kernel.primitive.get(), thread.stream.get(), 4, args.data());
  if (status == dnnl_out_of_memory) throw std::bad_alloc();
  PG_CHECK(status == dnnl_success, "a oneDNN product failed");
}

}  // namespace pg
