// A chunk computes a block of dw. It walks the rows of dy and x in blocks, packs both and adds
// their product to sums that stay in L2: a sum of chains, in the order of rows.
#include "src/device/cpu/gradient/cpu_linear_dw.h"

#include <algorithm>

#include "src/base/threads.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_scratch.h"
#include "src/device/cpu/cpu_tile_kernels.h"

namespace pg {
namespace {

// Of 256 rows, a panel of x is 32 KiB of L1. Blocks of dw of 256 x 256 cost the least packing, and
// their sums take a quarter of a small L2; where there would be few of them, they are halved.
constexpr int64_t kRowBlock = 256, kOutBlock = 256, kInBlock = 256, kWantedChunks = 4;

enum Slot : size_t { kSlotDy, kSlotX, kSlotSums };

// Columns of a tensor.
struct Columns {
  const bf16* data;
  int64_t cols, stride;
  const bf16* row(int64_t i) const { return data + i * stride; }
  void prefetch(int64_t begin, int64_t end) const {
    constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(bf16));
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = 0; j < cols; j += kLine) __builtin_prefetch(row(i) + j, 0, 2);
    }
  }
};

// dw's block from tiles of [64, 64] sums, whose rows lie close together in every cache: those of dw
// would share few of its sets.
void write_sums(Out dw, int64_t in, int64_t begin, int64_t outs, int64_t first, int64_t ins,
                const float* sums) {
  for (int64_t i = 0; i < outs; ++i) {
    for (int64_t col = 0; col < ins; col += kTilePanel) {
      const float* const from = sums + i / kTilePanel * kTilePanel * kInBlock + col * kTilePanel +
                                i % kTilePanel * kTilePanel;
      cpu::write<float>(dw, (begin + i) * in + first + col, std::min(kTilePanel, ins - col),
                        [from](int64_t j) { return from[j]; });
    }
  }
}

}  // namespace

bool has_dw_tiles(const TileKernel& kernel, Out dw, In dy, int64_t rows, int64_t in, int64_t out) {
  return kernel.pairs && dy.dtype == DType::kBF16 && dw.dtype == DType::kF32 && rows > 0 &&
         rows % 2 == 0 && in % kTileLanes == 0 && out % kTileLanes == 0;
}

void linear_dw_by_tiles(const TileKernel& kernel, CpuScratch& scratch, Out dw, In dy, In x,
                        int64_t rows, int64_t in, int64_t out) {
  const int64_t dy_stride = row_stride(dy, out);
  const auto panels = [&](Slot slot, int64_t cols) {
    const int64_t whole = (cols + kTilePanel - 1) / kTilePanel * kTilePanel;
    return static_cast<bf16*>(scratch.of_thread(
        thread_index(), slot, static_cast<size_t>(kRowBlock * whole) * sizeof(bf16)));
  };
  const int64_t in_blocks = cpu::chunk_count(in, kInBlock);
  const int64_t out_block =
      cpu::chunk_count(out, kOutBlock) * in_blocks < kWantedChunks ? kOutBlock / 2 : kOutBlock;
  parallel_chunks(cpu::chunk_count(out, out_block) * in_blocks, [&](int64_t chunk) {
    const int64_t begin = chunk / in_blocks * out_block, first = chunk % in_blocks * kInBlock;
    const int64_t outs = std::min(out_block, out - begin), ins = std::min(kInBlock, in - first);
    bf16* const left = panels(kSlotDy, outs);
    bf16* const right = panels(kSlotX, ins);
    auto* const sums = static_cast<float*>(
        scratch.of_thread(thread_index(), kSlotSums, sizeof(float) * kOutBlock * kInBlock));
    const Columns dys = {dy.as<bf16>() + begin, outs, dy_stride};
    const Columns xs = {x.as<bf16>() + first, ins, in};
    for (int64_t row = 0; row < rows; row += kRowBlock) {
      const int64_t block = std::min(kRowBlock, rows - row);
      kernel.pack_rows(left, dys.row(row), block, outs, dy_stride);
      kernel.pack_rows(right, xs.row(row), block, ins, in);
      for (int64_t col = 0; col < ins; col += kTilePanel) {
        // The next block comes while this one is multiplied.
        const int64_t next = row + kRowBlock;
        const int64_t from = next + col * kRowBlock / ins;
        const int64_t to = std::min(next + (col + kTilePanel) * kRowBlock / ins, next + kRowBlock);
        dys.prefetch(from, std::min(to, rows));
        xs.prefetch(from, std::min(to, rows));
        for (int64_t i = 0; i < outs; i += kTilePanel) {
          kernel.multiply({.a = left + block * i,
                           .a_row = 1,
                           .a_step = kTilePanel,
                           .b = right + block * col,
                           .c = sums + i * kInBlock + col * kTilePanel,
                           .c_row = kTilePanel,
                           .rows = std::min(kTilePanel, outs - i),
                           .cols = std::min(kTilePanel, ins - col),
                           .steps = block / 2,
                           .accumulate = row > 0});
        }
      }
    }
    write_sums(dw, in, begin, outs, first, ins, sums);
  });
}

}  // namespace pg
