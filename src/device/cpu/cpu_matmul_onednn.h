// Products of the oneDNN library, one thread each: fast where the processor multiplies bf16.
#pragma once
#include <memory>
#include <vector>

#include "src/device/cpu/cpu_scratch.h"
#include "src/device/exact/exact_product.h"

namespace pg {

// The instructions that the library may use: the processor's, or fewer by ONEDNN_MAX_CPU_ISA.
enum class OnednnIsa { kAvx2, kAvx512, kAvx512Bf16, kAmx };
bool onednn_has(OnednnIsa isa);

class OnednnMatmul {
 public:
  explicit OnednnMatmul(int max_threads);
  ~OnednnMatmul();

  // Computes on the calling thread, inside or outside of parallel_chunks. The first use of a
  // product on a thread builds its primitive (milliseconds); later ones cost about 0.3 us beyond
  // the arithmetic.
  void run(const Product& product, const void* a, const void* b, void* c);

 private:
  struct Thread;  // the primitives of one thread
  Thread& this_thread();

  CpuScratch scratch_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace pg
