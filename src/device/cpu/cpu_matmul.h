// Single-threaded matrix products from a cache of oneDNN primitives. Callers cut the output by
// shape alone and run the pieces in parallel_chunks, so that a result never depends on the number
// of threads; the library's own threading would cut by thread count, and its static split stalls on
// a busy core.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "src/device/cpu/cpu_scratch.h"
#include "src/device/tensor_view.h"

namespace pg {

// C[m, n] = A[m, k] B[k, n], or C += A B; sums accumulate in f32.
struct Product {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false;  // A is stored [k, m]
  bool transpose_b = false;  // B is stored [n, k]
  DType operands = DType::kF32;
  DType result = DType::kF32;
  bool accumulate = false;
  // Elements from one stored row to the next; 0 stands for contiguous rows, which are the fastest.
  int64_t lda = 0, ldb = 0, ldc = 0;

  bool operator==(const Product&) const = default;
};

class CpuMatmul {
 public:
  // With emulate_bf16, bf16 operands are widened to f32 first, as on machines whose oneDNN has no
  // bf16 product.
  explicit CpuMatmul(int max_threads, bool emulate_bf16 = false);
  ~CpuMatmul();

  // Computes on the calling thread, inside or outside of parallel_chunks. The first use of a
  // product on a thread builds its primitive (milliseconds); later ones cost about 0.3 us beyond
  // the arithmetic.
  void run(const Product& product, const void* a, const void* b, void* c);

 private:
  struct Thread;  // the primitives of one thread
  Thread& this_thread();
  void run_widened(int thread, const Product& product, const void* a, const void* b, void* c);

  bool emulate_bf16_;
  CpuScratch scratch_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace pg
