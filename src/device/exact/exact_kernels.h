// The inner loops of exact products, one per instruction set, chosen when the program runs. They
// differ in how many columns go side by side, never in a bit of a result.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace pg {

enum class ExactIsa : uint8_t { kGeneric, kAvx2, kAvx512 };

// C[rows, cols] = A[rows, k] B[k, cols], or C += A B, for whole tiles: cols of the kernel, and rows
// as the function called says.
struct ExactTile {
  const float* a;  // element (r, p) is a[r lda + p], or a[p rows + r] in a panel
  int64_t lda;
  const float* b;  // element (p, j) is b[p ldb + j]
  int64_t ldb;
  float* c;
  int64_t ldc;
  int64_t k;
  bool accumulate;
};

struct ExactKernel {
  static constexpr size_t kMaxRows = 8;
  using Multiply = void (*)(const ExactTile&);

  int64_t rows, cols;                      // of the largest tile
  std::array<Multiply, kMaxRows> strided;  // [rows - 1]
  std::array<Multiply, kMaxRows> panel;
};

// Whether this processor has the instructions.
bool has_exact_isa(ExactIsa isa);
const ExactKernel& exact_kernel(ExactIsa isa);

}  // namespace pg
