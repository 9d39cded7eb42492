// Matrix products on a processor: f32 by our own exact product, bf16 by oneDNN where the processor
// multiplies bf16 and by the exact product elsewhere. On either way a row of the result has the
// same bits whatever rows are computed with it: the exact product by its definition, the library's
// bf16 product in every shape tried (its f32 product on AVX2 in none).
//
// Callers cut the output by shape alone and run the pieces in parallel_chunks, so that a result
// never depends on the number of threads; the library's own threading would cut by thread count,
// and its static split stalls on a busy core.
#pragma once
#include <cstdint>
#include <type_traits>

#include "src/device/cpu/cpu_matmul_onednn.h"
#include "src/device/cpu/cpu_scratch.h"
#include "src/device/exact/exact_product.h"

namespace pg {
namespace cpu {

// Where the element so many further lies.
template <class Void>
Void* advance(Void* base, int64_t elements, DType dtype) {
  using Byte = std::conditional_t<std::is_const_v<Void>, const char, char>;
  return static_cast<Byte*>(base) + elements * static_cast<int64_t>(dtype_bytes(dtype));
}

// As Product has it: 0 where the rows are contiguous.
template <class Tensor>
int64_t product_stride(const Tensor& t, int64_t cols) {
  return t.stride == cols ? 0 : t.stride;
}

}  // namespace cpu

// B of a product that many threads compute rows of.
struct SharedB {
  const void* data;
  bool packed;
};

class CpuMatmul {
 public:
  explicit CpuMatmul(int max_threads);

  // Computes on the calling thread, inside or outside of parallel_chunks.
  void run(const Product& product, const void* a, const void* b, void* c);
  // Computes on all threads, outside of parallel_chunks.
  void run_parallel(const Product& product, const void* a, const void* b, void* c);

  // With a B that share_b() or hold() gave.
  void run_parallel(const Product& product, const void* a, const SharedB& b, void* c);

  // B packed by the caller's leave, to be kept: 0 bytes where products read it as it is.
  int64_t packed_bytes(const Product& product) const;
  void pack(const Product& product, const void* b, void* packed);
  SharedB hold(const void* packed) const { return {packed, true}; }

  // The parts of run_parallel, for callers that do more with the rows of a chunk. All threads share
  // B, packed where that helps; valid until the next product on all threads.
  SharedB share_b(const Product& product, const void* b);
  int64_t chunk_rows(const Product& product) const;
  // Whether the rows are one chunk: run_parallel() then cuts a packed B's columns instead.
  bool has_few_rows(const Product& product, const SharedB& b) const {
    return b.packed && product.m <= chunk_rows(product);
  }
  // Rows [begin, end) of the product; B shared by the threads, or each for itself.
  void run_rows(const Product& product, int64_t begin, int64_t end, const void* a, const SharedB& b,
                void* c);
  void run_rows(const Product& product, int64_t begin, int64_t end, const void* a, const void* b,
                void* c);

  // Rows of operands that a product over very many of them is cut into, so that a segment stays in
  // the cache: exact ones pack A and want fewer.
  int64_t segment_rows(DType operands) const {
    return is_exact(operands) ? 512 : 2048;  // 2048 gains the library 2 to 12 % at 16384 rows
  }

  // The instructions of products in this type, as people name them.
  const char* isa_name(DType operands) const;

 private:
  bool is_exact(DType operands) const { return operands == DType::kF32 || !library_bf16_; }
  void run_exact(const Product& product, const void* a, const ExactPanels& b, void* c);

  ExactIsa isa_;
  ExactProduct exact_;
  bool library_bf16_;
  OnednnMatmul onednn_;
  CpuScratch scratch_;
};

}  // namespace pg
