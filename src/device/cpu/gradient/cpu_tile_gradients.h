// The inner loops of attention's backward pass that its forward pass has not.
#pragma once
#include "src/device/cpu/cpu_tile_kernels.h"

namespace pg {

// A tile of the backward pass, two rows at a time: p = 2^(scale score - lse), ds = p (dprob -
// delta).
struct ScoreTile {
  const float *scores = nullptr, *dprobs = nullptr;  // [rows, row_stride]
  int64_t row_stride = 0;
  const float *lse = nullptr, *delta = nullptr;  // [rows]; lse in base 2
  const int64_t* ends = nullptr;                 // [rows] as in SoftmaxTile
  float scale = 1.0f;
  int64_t key = 0, rows = 0, cols = 0;
  // Units (row pair, key) or, of floats, (row, key): what the products that sum over rows read.
  void *probs = nullptr, *dscores = nullptr;
  // Rows of keys, which the product that sums over keys reads; unused by floats, whose dscores
  // serve both.
  void* dscore_rows = nullptr;
  int64_t out_stride = 0;  // elements from row to row, or units from row pair to row pair
};

struct TileGradients {
  // products[rows] of the rows of x and y [rows, stride] elements; stride a multiple of two
  // vectors.
  void (*multiply_rows)(float* products, const void* x, const void* y, int64_t rows,
                        int64_t stride);
  void (*differentiate)(const ScoreTile&);
};

// Of the instructions of a tile_kernel().
const TileGradients& tile_gradients(TileIsa isa);

// Of programs with these kernels.
const TileGradients& avx512_tile_gradients();
const TileGradients& avx512_bf16_tile_gradients();

}  // namespace pg
