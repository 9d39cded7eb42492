// The inner loops of attention on a processor: products of packed operands and the softmax between
// them, one family per instruction set, chosen when the program runs.
//
// Operands are `units` of 32 bits: a float, or on processors that multiply bf16 a pair of bf16 that
// neighbour along the dimension summed over. B is packed in panels of kTilePanel columns, unit row
// by unit row; A is read unit by unit through two strides, so that rows of pairs (transposed or
// not) serve as they are. Families of floats give the same bits.
#pragma once
#include <cstdint>

namespace pg {

inline constexpr int64_t kTileLanes = 16;  // floats of a vector; shorter ones go side by side
inline constexpr int64_t kTilePanel = 64;  // columns of a panel of B
inline constexpr int64_t kTileRows = 6;    // of the tile whose sums fill the registers

enum class TileIsa : uint8_t { kGeneric, kAvx2, kAvx512, kAvx512Bf16 };

// c[rows, cols] = A B, or += A B, of one panel: cols a multiple of kTileLanes, rows even.
struct TileProduct {
  const void* a = nullptr;  // unit (row, step) is a[row a_row + step a_step]
  int64_t a_row = 0, a_step = 1;
  const void* b = nullptr;  // unit (step, column) is b[step kTilePanel + column]
  float* c = nullptr;
  int64_t c_row = 0;
  int64_t rows = 0, cols = 0, steps = 0;
  bool accumulate = false;
};

// Up to kTileRows rows of scores against consecutive keys. In base 2: the exponent of a score s is
// scale s.
struct SoftmaxTile {
  float* scores = nullptr;  // [rows, row_stride]
  void* probs = nullptr;    // [rows, row_stride] elements, width of them written
  int64_t row_stride = 0;
  // [rows] of the keys from `key` on, those below a row's end count; the others' probabilities are
  // 0.
  const int64_t* ends = nullptr;
  int64_t key = 0, rows = 0, width = 0;
  float scale = 1.0f;
  float* max = nullptr;     // [rows] of the row so far, scaled
  float* sum = nullptr;     // [rows, kTileLanes] of its exponentials, lane by lane
  float* factor = nullptr;  // [rows] out: for what was summed under the old maximum
};

struct TileKernel {
  TileIsa isa;
  bool pairs;  // units are pairs of bf16
  void (*multiply)(const TileProduct&);
  // The panels of B = xT: units of x[rows, units] with `stride` units from row to row; rows a
  // multiple of kTileLanes, units too.
  void (*pack_columns)(void* to, const void* x, int64_t rows, int64_t units, int64_t stride);
  // The panels of B = x[rows, cols], elements with `stride` from row to row; rows even, cols a
  // multiple of kTileLanes.
  void (*pack_rows)(void* to, const void* x, int64_t rows, int64_t cols, int64_t stride);
  void (*softmax)(const SoftmaxTile&);
  // to[count] elements = scale from; count a multiple of kTileLanes.
  void (*store_scaled)(void* to, const float* from, float scale, int64_t count);
};

// Whether this processor has the instructions, and this program kernels of them.
bool has_tile_isa(TileIsa isa);
const TileKernel& tile_kernel(TileIsa isa);

// Null in a program without them; whatever the processor has.
const TileKernel* avx512_tile_kernel();
const TileKernel* avx512_bf16_tile_kernel();

}  // namespace pg
