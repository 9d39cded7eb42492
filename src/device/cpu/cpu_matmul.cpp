#include "src/device/cpu/cpu_matmul.h"

#include <algorithm>

#include "src/base/threads.h"

namespace pg {
namespace {

enum MatmulSlot : size_t { kSlotPackedB, kSlotProduct };

// The widest vectors that both the processor and ONEDNN_MAX_CPU_ISA allow: one switch for all
// products.
ExactIsa widest_isa() {
  if (onednn_has(OnednnIsa::kAvx512) && has_exact_isa(ExactIsa::kAvx512)) return ExactIsa::kAvx512;
  if (onednn_has(OnednnIsa::kAvx2) && has_exact_isa(ExactIsa::kAvx2)) return ExactIsa::kAvx2;
  return ExactIsa::kGeneric;
}

// Rows of a result in one chunk: whole tiles of every kernel.
int64_t exact_chunk_rows(int64_t rows) {
  constexpr int64_t kTile = 24, kMax = 96, kWantedChunks = 8;
  return std::clamp((rows / kWantedChunks + kTile - 1) / kTile * kTile, kTile, kMax);
}

// At 256 rows a library product over our widths runs at 87 to 99 % of its peak although it packs
// the weights anew; fewer rows are cut finer, so that more threads find work. Where A is transposed
// (gradients of weights) 64 rows lose 5 to 9 % to packing, and at 256 a layer 256 wide would be a
// single chunk.
int64_t library_chunk_rows(const Product& product) {
  constexpr int64_t kMin = 32, kMax = 256, kTransposed = 128, kWantedChunks = 4;
  if (product.transpose_a) return kTransposed;
  return std::clamp((product.m / kWantedChunks + kMin - 1) / kMin * kMin, kMin, kMax);
}

// Floats of B in one chunk where columns are cut: some 3 us, more than handing it to a thread costs.
constexpr int64_t kColumnFloats = 16384;

size_t float_bytes(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }

}  // namespace

CpuMatmul::CpuMatmul(int max_threads)
    : isa_(widest_isa()),
      exact_(isa_),
      library_bf16_(onednn_has(OnednnIsa::kAvx512Bf16)),
      onednn_(max_threads),
      scratch_(max_threads) {}

void CpuMatmul::run_exact(const Product& product, const void* a, const ExactPanels& b, void* c) {
  void* const work =
      scratch_.of_thread(thread_index(), kSlotProduct, float_bytes(exact_.scratch_floats(product)));
  exact_.run(product, a, b, c, static_cast<float*>(work));
}

void CpuMatmul::run(const Product& product, const void* a, const void* b, void* c) {
  if (!is_exact(product.operands)) {
    onednn_.run(product, a, b, c);
    return;
  }
  if (exact_.reads_b_in_place(product)) {
    run_exact(product, a, exact_.in_place(product, b), c);
    return;
  }
  auto* const packed = static_cast<float*>(
      scratch_.of_thread(thread_index(), kSlotPackedB, float_bytes(exact_.packed_floats(product))));
  exact_.pack(product, b, 0, exact_.panels(product), packed);
  run_exact(product, a, exact_.packed(product, packed), c);
}

void CpuMatmul::run_parallel(const Product& product, const void* a, const void* b, void* c) {
  run_parallel(product, a, share_b(product, b), c);
}

void CpuMatmul::run_parallel(const Product& product, const void* a, const SharedB& b, void* c) {
  if (!has_few_rows(product, b)) {
    parallel_ranges(product.m, chunk_rows(product),
                    [&](int64_t begin, int64_t end) { run_rows(product, begin, end, a, b, c); });
    return;
  }
  const int64_t panel = exact_.panel_floats(product);
  const int64_t grain = std::max<int64_t>(kColumnFloats / std::max<int64_t>(panel, 1), 1);
  const ExactPanels panels = exact_.packed(product, static_cast<const float*>(b.data));
  parallel_ranges(exact_.panels(product), grain, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * panels.row_stride;
    Product columns = product;
    columns.n = std::min(end * panels.row_stride, product.n) - first;
    columns.ldc = product.stride_c();
    run_exact(columns, a, {panels.data + begin * panel, panels.row_stride, panel},
              cpu::advance(c, first, product.result));
  });
}

int64_t CpuMatmul::packed_bytes(const Product& product) const {
  if (!is_exact(product.operands)) return 0;
  return static_cast<int64_t>(float_bytes(exact_.packed_floats(product)));
}

void CpuMatmul::pack(const Product& product, const void* b, void* packed) {
  parallel_ranges(exact_.panels(product), 1, [&](int64_t begin, int64_t end) {
    exact_.pack(product, b, begin, end, static_cast<float*>(packed));
  });
}

SharedB CpuMatmul::share_b(const Product& product, const void* b) {
  if (!is_exact(product.operands)) return {b, false};
  void* const packed = scratch_.shared(kSlotPackedB, float_bytes(exact_.packed_floats(product)));
  pack(product, b, packed);
  return {packed, true};
}

int64_t CpuMatmul::chunk_rows(const Product& product) const {
  return is_exact(product.operands) ? exact_chunk_rows(product.m) : library_chunk_rows(product);
}

namespace {

// Rows [begin, end) of a product as one, with its operands.
struct RowsOfProduct {
  RowsOfProduct(const Product& whole, int64_t begin, int64_t end, const void* a_whole,
                void* c_whole)
      : product(whole),
        a(cpu::advance(a_whole, begin * (whole.transpose_a ? 1 : whole.stride_a()),
                       whole.operands)),
        c(cpu::advance(c_whole, begin * whole.stride_c(), whole.result)) {
    product.m = end - begin;
    if (whole.transpose_a) product.lda = whole.stride_a();
  }
  Product product;
  const void* a;
  void* c;
};

}  // namespace

void CpuMatmul::run_rows(const Product& product, int64_t begin, int64_t end, const void* a,
                         const SharedB& b, void* c) {
  const RowsOfProduct rows(product, begin, end, a, c);
  if (b.packed) {
    run_exact(rows.product, rows.a, exact_.packed(rows.product, static_cast<const float*>(b.data)),
              rows.c);
  } else {
    onednn_.run(rows.product, rows.a, b.data, rows.c);
  }
}

void CpuMatmul::run_rows(const Product& product, int64_t begin, int64_t end, const void* a,
                         const void* b, void* c) {
  const RowsOfProduct rows(product, begin, end, a, c);
  run(rows.product, rows.a, b, rows.c);
}

}  // namespace pg
