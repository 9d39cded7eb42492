// Newton-Schulz orthogonalisation, the heart of Muon (Jordan et al. 2024): X <- a X + (b A + c A A)
// X with A = X Xt.

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/threads.h"
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

template <class T>
void convert(T* to, const float* from, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) cpu::store(to[i], from[i]);
}

// X[rows, cols] stays f32 between the iterations, so that a X is exact to fp32; only the operands
// of products are rounded. A tall X is not transposed: A = Xt X and X B give the same polynomial.
template <class T>
class NewtonSchulz {
 public:
  NewtonSchulz(CpuMatmul& matmul, CpuScratch& scratch, float* x, int64_t rows, int64_t cols)
      : matmul_(matmul), scratch_(scratch), x_(x), rows_(rows), cols_(cols) {
    operand_ = buffer<T>(kOperand, rows * cols);
    next_operand_ = buffer<T>(kNextOperand, rows * cols);
    gram_ = buffer<float>(kGram, side_ * side_);
    gram_operand_ = buffer<T>(kGramOperand, side_ * side_);
    square_ = buffer<float>(kSquare, side_ * side_);
    polynomial_ = buffer<T>(kPolynomial, side_ * side_);
  }

  void normalize() {
    const double squares =
        cpu::sum_chunks(rows_ * cols_, kGrain, scratch_, [&](int64_t begin, int64_t end) {
          double sum = 0.0;
#pragma omp simd reduction(+ : sum)
          for (int64_t i = begin; i < end; ++i) {
            sum += static_cast<double>(x_[i]) * static_cast<double>(x_[i]);
          }
          return sum;
        });
    const auto factor = static_cast<float>(1.0 / (std::sqrt(squares) + 1e-7));
    parallel_ranges(rows_ * cols_, kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) x_[i] *= factor;
      convert(operand_ + begin, x_ + begin, end - begin);
    });
  }

  // X <- a X + (b A + c A A) X
  void iterate(const NewtonSchulzCoefficients& coefficients) {
    const auto [a, b, c] = coefficients;
    compute_gram();
    compute_polynomial(b, c);
    const Product product = {
        .m = rows_, .n = cols_, .k = side_, .operands = kType, .accumulate = true};
    const SharedB right = matmul_.share_b(product, tall_ ? polynomial_ : operand_);
    parallel_ranges(rows_, kBlock, [&, a = a](int64_t begin, int64_t end) {
      float* const x = x_ + begin * cols_;
      const int64_t count = (end - begin) * cols_;
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) x[i] *= a;
      matmul_.run_rows(product, begin, end, tall_ ? operand_ : polynomial_, right, x_);
      convert(next_operand_ + begin * cols_, x, count);
    });
    std::swap(operand_, next_operand_);
  }

 private:
  enum Slot : size_t {
    kPartials,
    kOperand,
    kNextOperand,
    kGram,
    kGramOperand,
    kSquare,
    kPolynomial
  };
  static_assert(kPartials == static_cast<Slot>(cpu::kSlotPartials));  // sum_chunks takes this one
  static constexpr DType kType = DTypeOf<T>::value;
  static constexpr int64_t kGrain = 16384;  // elements of an elementwise chunk: 64 KiB of f32
  static constexpr int64_t kBlock = 64;     // rows of a product in a chunk

  template <class U>
  U* buffer(Slot slot, int64_t count) {
    return static_cast<U*>(scratch_.shared(slot, static_cast<size_t>(count) * sizeof(U)));
  }

  // A = X Xt, or Xt X for a tall X.
  void compute_gram() {
    const Product product = {.m = side_,
                             .n = side_,
                             .k = tall_ ? rows_ : cols_,
                             .transpose_a = tall_,
                             .transpose_b = !tall_,
                             .operands = kType};
    compute_symmetric(product, operand_, gram_, gram_operand_, [this](int64_t row, int64_t count) {
      convert(gram_operand_ + row * side_, gram_ + row * side_, count);
    });
  }

  // b A + c A A
  void compute_polynomial(float b, float c) {
    const Product product = {.m = side_, .n = side_, .k = side_, .operands = kType};
    compute_symmetric(product, gram_operand_, square_, polynomial_,
                      [this, b, c](int64_t row, int64_t count) {
                        const float* const gram = gram_ + row * side_;
                        const float* const square = square_ + row * side_;
                        T* const polynomial = polynomial_ + row * side_;
#pragma omp simd
                        for (int64_t i = 0; i < count; ++i) {
                          cpu::store(polynomial[i], b * gram[i] + c * square[i]);
                        }
                      });
  }

  // A symmetric product of `operand` with itself into `result`, up to the end of the block that the
  // diagonal goes through; round(row, count) makes that much of a row of `rounded` from it, and the
  // rest of `rounded` is what mirrors it. The blocks are those of gram_ too, so that no f32 matrix
  // needs more.
  template <class Round>
  void compute_symmetric(const Product& product, const T* operand, float* result, T* rounded,
                         const Round& round) {
    const SharedB right = matmul_.share_b(product, operand);
    const int64_t block = side_ > 256 ? 128 : kBlock;
    const int64_t blocks = cpu::chunk_count(side_, block);
    parallel_chunks(blocks, [&](int64_t chunk) {
      const int64_t begin = (blocks - 1 - chunk) * block;  // the widest first: threads end together
      const int64_t end = std::min(begin + block, side_);
      Product part = product;
      part.n = end;
      part.ldb = product.stride_b();
      part.ldc = side_;
      matmul_.run_rows(part, begin, end, operand, right, result);
      for (int64_t row = begin; row < end; ++row) round(row, end);
      for (int64_t column = 0; column < begin; ++column) {
        T* const to = rounded + column * side_;
        for (int64_t row = begin; row < end; ++row) to[row] = rounded[row * side_ + column];
      }
    });
  }

  CpuMatmul& matmul_;
  CpuScratch& scratch_;
  float* const x_;
  const int64_t rows_, cols_;
  const bool tall_ = rows_ > cols_;
  const int64_t side_ = tall_ ? cols_ : rows_;
  T *operand_, *next_operand_;  // X, rounded [rows, cols]
  float *gram_, *square_;       // A, A A [side, side]: see compute_symmetric
  T* gram_operand_;             // A, rounded
  T* polynomial_;               // b A + c A A, rounded
};

}  // namespace

void CpuOps::newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                           const MatrixBatch& shape) {
  PG_CHECK(!u.accumulate, "newton_schulz works in place");
  cpu::with_activation_type(compute_, [&]<class T>() {
    for (int64_t i = 0; i < shape.count; ++i) {
      NewtonSchulz<T> iteration(*matmul_, *scratch_, u.as<float>() + i * shape.stride, shape.rows,
                                shape.cols);
      iteration.normalize();
      for (const NewtonSchulzCoefficients& coefficients : steps) iteration.iterate(coefficients);
    }
  });
}

}  // namespace pg
