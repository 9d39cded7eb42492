// Packing and cache blocks around the kernels. A block of A stays in L2 while the panels of B pass,
// a panel stays in L1 while the block's rows pass.
#include "src/device/exact/exact_product.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace pg {
namespace {

// Floats of a block of A: a quarter of a small L2 (512 KiB).
constexpr int64_t kBlockFloats = 32768;
// No kernel's tile is larger.
constexpr int64_t kTileFloats = 512;

// A kernel broadcasts from rows of f32; anything else is packed for it.
bool reads_a_in_place(const Product& p) { return p.operands == DType::kF32 && !p.transpose_a; }

// Rows of A in a block: whole tiles.
int64_t block_rows(const Product& p, int64_t tile_rows) {
  const int64_t tiles = kBlockFloats / (std::max<int64_t>(p.k, 1) * tile_rows);
  return std::clamp<int64_t>(tiles, 1, (p.m + tile_rows - 1) / tile_rows) * tile_rows;
}

// to[k, width] = from[k, stride], `valid` columns of it.
template <class T>
void pack_rows(float* to, int64_t width, const T* from, int64_t stride, int64_t k, int64_t valid) {
  const auto pack = [=](auto count) {
    for (int64_t p = 0; p < k; ++p) {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) {
        to[p * width + i] = static_cast<float>(from[p * stride + i]);
      }
    }
  };
  // Of a known count, a row is a few vectors: the widths of the kernels.
  switch (valid) {
    case 32:
      return pack(std::integral_constant<int64_t, 32>());
    case 16:
      return pack(std::integral_constant<int64_t, 16>());
    case 8:
      return pack(std::integral_constant<int64_t, 8>());
    case 6:
      return pack(std::integral_constant<int64_t, 6>());
    default:
      return pack(valid);
  }
}

// to[k, width] = the transpose of from[valid, stride].
template <class T>
void pack_columns(float* to, int64_t width, const T* from, int64_t stride, int64_t k,
                  int64_t valid) {
  for (int64_t i = 0; i < valid; ++i) {
    for (int64_t p = 0; p < k; ++p) to[p * width + i] = static_cast<float>(from[i * stride + p]);
  }
}

// The same by squares of 4 x 4 in registers, four times as fast.
void pack_columns(float* to, int64_t width, const float* from, int64_t stride, int64_t k,
                  int64_t valid) {
  using Four = float __attribute__((vector_size(16)));
  const auto load = [](const float* at) {
    Four four;
    std::memcpy(&four, at, sizeof four);
    return four;
  };
  const int64_t whole_k = k / 4 * 4, whole = valid / 4 * 4;
  for (int64_t p = 0; p < whole_k; p += 4) {
    for (int64_t i = 0; i < whole; i += 4) {
      const float* const square = from + i * stride + p;
      const Four a = load(square), b = load(square + stride), c = load(square + 2 * stride),
                 d = load(square + 3 * stride);
      const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Four cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const Four rows[] = {__builtin_shufflevector(ab, cd, 0, 1, 4, 5),
                           __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
                           __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                           __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
      for (int64_t r = 0; r < 4; ++r) {
        std::memcpy(to + (p + r) * width + i, &rows[r], sizeof rows[r]);
      }
    }
  }
  pack_columns<float>(to + whole_k * width, width, from + whole_k, stride, k - whole_k, whole);
  pack_columns<float>(to + whole, width, from + whole * stride, stride, k, valid - whole);
}

// The panel to[k, width]: columns [begin, end) of an operand stored [k, stride], or [.., stride]
// where transposed; zeros beyond them.
template <class T>
void pack_panel(float* to, int64_t width, const T* from, int64_t stride, bool transposed, int64_t k,
                int64_t begin, int64_t end) {
  if (k == 0) return;  // an empty sum, whose operands may be null
  const int64_t valid = end - begin;
  if (valid < width) std::fill_n(to, k * width, 0.0f);
  transposed ? pack_columns(to, width, from + begin * stride, stride, k, valid)
             : pack_rows(to, width, from + begin, stride, k, valid);
}

void pack_panel(float* to, int64_t width, const void* from, DType type, int64_t stride,
                bool transposed, int64_t k, int64_t begin, int64_t end) {
  if (type == DType::kBF16) {
    pack_panel(to, width, static_cast<const bf16*>(from), stride, transposed, k, begin, end);
  } else {
    pack_panel(to, width, static_cast<const float*>(from), stride, transposed, k, begin, end);
  }
}

// A tile's part of C from its sums [rows, width].
template <class T>
void write_tile(T* c, int64_t ldc, const float* sums, int64_t width, int64_t rows, int64_t cols,
                bool accumulate) {
  for (int64_t r = 0; r < rows; ++r, c += ldc, sums += width) {
    for (int64_t j = 0; j < cols; ++j) {
      c[j] = T(accumulate ? static_cast<float>(c[j]) + sums[j] : sums[j]);
    }
  }
}

}  // namespace

void ExactProduct::pack(const Product& product, const void* b, int64_t begin, int64_t end,
                        float* packed) const {
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t column = panel * kernel_->cols;
    pack_panel(packed + column * product.k, kernel_->cols, b, product.operands, product.stride_b(),
               product.transpose_b, product.k, column, std::min(column + kernel_->cols, product.n));
  }
}

int64_t ExactProduct::scratch_floats(const Product& product) const {
  return kTileFloats +
         (reads_a_in_place(product) ? 0 : block_rows(product, kernel_->rows) * product.k);
}

void ExactProduct::run(const Product& product, const void* a, const ExactPanels& b, void* c,
                       float* scratch) const {
  const int64_t rows = kernel_->rows, block = block_rows(product, rows);
  const bool in_place = reads_a_in_place(product);
  float* const panels = scratch + kTileFloats;
  for (int64_t begin = 0; begin < product.m; begin += block) {
    const int64_t end = std::min(begin + block, product.m);
    for (int64_t row = begin; row < end && !in_place; row += rows) {
      pack_panel(panels + (row - begin) * product.k, rows, a, product.operands, product.stride_a(),
                 !product.transpose_a, product.k, row, std::min(row + rows, end));
    }
    const float* const block_a =
        in_place ? static_cast<const float*>(a) + begin * product.stride_a() : panels;
    for (int64_t column = 0; column < product.n; column += kernel_->cols) {
      for (int64_t row = begin; row < end; row += rows) {
        run_tile(product, block_a + (row - begin) * (in_place ? product.stride_a() : product.k),
                 b.data + column / kernel_->cols * b.panel_stride, b.row_stride, c, row, column,
                 scratch);
      }
    }
  }
}

// The tile of C at (row, column), from its rows of A and its panel of B.
void ExactProduct::run_tile(const Product& product, const float* a, const float* panel, int64_t ldb,
                            void* c, int64_t row, int64_t column, float* sums) const {
  const int64_t rows = std::min(kernel_->rows, product.m - row);
  const int64_t cols = std::min(kernel_->cols, product.n - column);
  const int64_t at = row * product.stride_c() + column;
  const bool direct = product.result == DType::kF32 && cols == kernel_->cols;
  const ExactTile tile = {.a = a,
                          .lda = product.stride_a(),
                          .b = panel,
                          .ldb = ldb,
                          .c = direct ? static_cast<float*>(c) + at : sums,
                          .ldc = direct ? product.stride_c() : kernel_->cols,
                          .k = product.k,
                          .accumulate = direct && product.accumulate};
  const auto& kernels = reads_a_in_place(product) ? kernel_->strided : kernel_->panel;
  kernels[static_cast<size_t>(rows - 1)](tile);
  if (direct) return;
  if (product.result == DType::kBF16) {
    write_tile(static_cast<bf16*>(c) + at, product.stride_c(), sums, kernel_->cols, rows, cols,
               product.accumulate);
  } else {
    write_tile(static_cast<float*>(c) + at, product.stride_c(), sums, kernel_->cols, rows, cols,
               product.accumulate);
  }
}

}  // namespace pg
