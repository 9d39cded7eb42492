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
// The matrices of a group go through each stage together, so that small ones too keep all threads
// at work.
template <class T>
class NewtonSchulz {
 public:
  NewtonSchulz(CpuMatmul& matmul, CpuScratch& scratch, float* x, const MatrixBatch& group)
      : matmul_(matmul), scratch_(scratch), x_(x), group_(group) {
    operand_ = buffer<T>(kOperand, size_);
    next_operand_ = buffer<T>(kNextOperand, size_);
    gram_ = buffer<float>(kGram, area_);
    gram_operand_ = buffer<T>(kGramOperand, area_);
    square_ = buffer<float>(kSquare, area_);
    polynomial_ = buffer<T>(kPolynomial, area_);
  }

  // Matrices that are worked on together: as many as the cache has room for.
  static int64_t group_size(const MatrixBatch& batch) {
    constexpr int64_t kCacheBytes = 8 << 20;
    const int64_t side = std::min(batch.rows, batch.cols);
    constexpr auto kOperandBytes = static_cast<int64_t>(2 * sizeof(T));
    const int64_t bytes = batch.size() * (int64_t{sizeof(float)} + kOperandBytes) +
                          side * side * (int64_t{2 * sizeof(float)} + kOperandBytes);
    return std::clamp(kCacheBytes / std::max<int64_t>(bytes, 1), int64_t{1}, batch.count);
  }

  void normalize() {
    const int64_t pieces = cpu::chunk_count(size_, kGrain);
    auto* const sums = static_cast<double*>(
        scratch_.shared(kPartials, static_cast<size_t>(group_.count * pieces) * sizeof(double)));
    const auto for_each_piece = [&](const auto& body) {
      parallel_chunks(group_.count * pieces, [&](int64_t chunk) {
        const int64_t begin = chunk % pieces * kGrain;
        body(chunk / pieces, chunk, begin, std::min(begin + kGrain, size_));
      });
    };
    for_each_piece([&](int64_t i, int64_t piece, int64_t begin, int64_t end) {
      const float* const x = x_of(i);
      sums[piece] = sum_loop<double>(end - begin, [from = x + begin](int64_t k) {
        const double value = from[k];
        return value * value;
      });
    });
    for_each_piece([&](int64_t i, int64_t, int64_t begin, int64_t end) {
      double squares = 0.0;
      for (int64_t piece = 0; piece < pieces; ++piece) squares += sums[i * pieces + piece];
      const auto factor = static_cast<float>(1.0 / (std::sqrt(squares) + 1e-7));
      float* const x = x_of(i);
#pragma omp simd
      for (int64_t k = begin; k < end; ++k) x[k] *= factor;
      convert(operand_ + i * size_ + begin, x + begin, end - begin);
    });
  }

  // Vector i of the smaller side times s_i = (sum_j |A_ij|)^(-1/2); A, of which the first iteration
  // makes use, becomes s_i A_ij s_j. Its sums are in f32: bf16 has overflowed there.
  void scale_almost_orthogonal() {
    compute_gram();
    has_gram_ = true;
    float* const scales = buffer<float>(kScales, side_);
    for_each_symmetric_block([&](int64_t i, int64_t begin, int64_t end) {
      const float* const gram = gram_ + i * area_;
      for (int64_t row = begin; row < end; ++row) {
        const float sum =
            sum_loop(end, [=, this](int64_t j) { return std::abs(gram[row * side_ + j]); }) +
            sum_loop(side_ - end,
                     [=, this](int64_t j) { return std::abs(gram[(end + j) * side_ + row]); });
        scales[i * side_ + row] = 1.0f / std::sqrt(std::max(sum, kMinRowSum));
      }
    });
    for_each_symmetric_block([&](int64_t i, int64_t begin, int64_t end) {
      const float* const s = scales + i * side_;
      for (int64_t row = begin; row < end; ++row) {
        float* const gram = gram_ + i * area_ + row * side_;
#pragma omp simd
        for (int64_t j = 0; j < end; ++j) gram[j] *= s[row] * s[j];
        convert(gram_operand_ + i * area_ + row * side_, gram, end);
      }
      mirror(gram_operand_ + i * area_, begin, end);
    });
    const int64_t blocks = cpu::chunk_count(rows_, kBlock);
    parallel_chunks(group_.count * blocks, [&](int64_t chunk) {
      const int64_t i = chunk / blocks, begin = chunk % blocks * kBlock;
      const int64_t end = std::min(begin + kBlock, rows_);
      const float* const s = scales + i * side_;
      for (int64_t row = begin; row < end; ++row) {
        float* const x = x_of(i) + row * cols_;
        if (tall_) {
#pragma omp simd
          for (int64_t k = 0; k < cols_; ++k) x[k] *= s[k];
        } else {
#pragma omp simd
          for (int64_t k = 0; k < cols_; ++k) x[k] *= s[row];
        }
        convert(operand_ + i * size_ + row * cols_, x, cols_);
      }
    });
  }

  // X <- a X + (b A + c A A) X
  void iterate(const NewtonSchulzCoefficients& coefficients) {
    const auto [a, b, c] = coefficients;
    if (!std::exchange(has_gram_, false)) compute_gram();
    compute_polynomial(b, c);
    const Product product = {
        .m = rows_, .n = cols_, .k = side_, .operands = kType, .accumulate = true};
    const Operand left = tall_ ? Operand{operand_, size_} : Operand{polynomial_, area_};
    const Operand right = tall_ ? Operand{polynomial_, area_} : Operand{operand_, size_};
    const SharedB shared = share(product, right);
    const int64_t blocks = cpu::chunk_count(rows_, kBlock);
    parallel_chunks(group_.count * blocks, [&, a = a](int64_t chunk) {
      const int64_t i = chunk / blocks, begin = chunk % blocks * kBlock;
      const int64_t end = std::min(begin + kBlock, rows_), count = (end - begin) * cols_;
      float* const x = x_of(i) + begin * cols_;
#pragma omp simd
      for (int64_t k = 0; k < count; ++k) x[k] *= a;
      run_rows(product, begin, end, left.of(i), right.of(i), shared, x_of(i));
      convert(next_operand_ + i * size_ + begin * cols_, x, count);
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
    kPolynomial,
    kScales
  };
  static constexpr DType kType = DTypeOf<T>::value;
  static constexpr int64_t kGrain = 16384;     // elements of an elementwise chunk: 64 KiB of f32
  static constexpr int64_t kBlock = 64;        // rows of a product in a chunk
  static constexpr float kMinRowSum = 1e-14f;  // ops.h, newton_schulz

  // The matrices of a group as operands, one behind the other.
  struct Operand {
    const T* data;
    int64_t stride;
    const T* of(int64_t i) const { return data + i * stride; }
  };

  // One of `count` elements for each matrix.
  template <class U>
  U* buffer(Slot slot, int64_t count) {
    return static_cast<U*>(
        scratch_.shared(slot, static_cast<size_t>(group_.count * count) * sizeof(U)));
  }
  float* x_of(int64_t i) const { return x_ + i * group_.stride; }

  // A large matrix, which is alone, is packed once for all its rows.
  SharedB share(const Product& product, const Operand& right) {
    return group_.count == 1 ? matmul_.share_b(product, right.data) : SharedB{};
  }
  void run_rows(const Product& product, int64_t begin, int64_t end, const T* a, const T* b,
                const SharedB& shared, float* c) {
    if (group_.count == 1) {
      matmul_.run_rows(product, begin, end, a, shared, c);
    } else {
      matmul_.run_rows(product, begin, end, a, b, c);
    }
  }

  // A = X Xt, or Xt X for a tall X.
  void compute_gram() {
    const Product product = {.m = side_,
                             .n = side_,
                             .k = tall_ ? rows_ : cols_,
                             .transpose_a = tall_,
                             .transpose_b = !tall_,
                             .operands = kType};
    compute_symmetric(
        product, {operand_, size_}, gram_, gram_operand_,
        [this](int64_t at, int64_t count) { convert(gram_operand_ + at, gram_ + at, count); });
  }

  // b A + c A A
  void compute_polynomial(float b, float c) {
    const Product product = {.m = side_, .n = side_, .k = side_, .operands = kType};
    compute_symmetric(product, {gram_operand_, area_}, square_, polynomial_,
                      [this, b, c](int64_t at, int64_t count) {
                        const float* const gram = gram_ + at;
                        const float* const square = square_ + at;
                        T* const polynomial = polynomial_ + at;
#pragma omp simd
                        for (int64_t k = 0; k < count; ++k) {
                          cpu::store(polynomial[k], b * gram[k] + c * square[k]);
                        }
                      });
  }

  // A symmetric product of each operand with itself into `result`, up to the end of the block that
  // the diagonal goes through; round(at, count) makes that much of a row of `rounded` from it, and
  // the rest of `rounded` is what mirrors it. The blocks are those of gram_ too, so that no f32
  // matrix needs more.
  template <class Round>
  void compute_symmetric(const Product& product, const Operand& operand, float* result, T* rounded,
                         const Round& round) {
    const SharedB shared = share(product, operand);
    for_each_symmetric_block([&](int64_t i, int64_t begin, int64_t end) {
      Product part = product;
      part.n = end;
      part.ldb = product.stride_b();
      part.ldc = side_;
      run_rows(part, begin, end, operand.of(i), operand.of(i), shared, result + i * area_);
      for (int64_t row = begin; row < end; ++row) round(i * area_ + row * side_, end);
      mirror(rounded + i * area_, begin, end);
    });
  }

  // body(matrix, first row, end of the rows) for blocks of the smaller side.
  template <class Body>
  void for_each_symmetric_block(const Body& body) {
    const int64_t block = side_ > 256 ? 128 : kBlock;
    const int64_t blocks = cpu::chunk_count(side_, block);
    parallel_chunks(group_.count * blocks, [&](int64_t chunk) {
      // The widest first: threads end together.
      const int64_t begin = (blocks - 1 - chunk / group_.count) * block;
      body(chunk % group_.count, begin, std::min(begin + block, side_));
    });
  }

  // Copies what these rows have left of the diagonal's block to above it.
  void mirror(T* symmetric, int64_t begin, int64_t end) {
    for (int64_t column = 0; column < begin; ++column) {
      T* const to = symmetric + column * side_;
      for (int64_t row = begin; row < end; ++row) to[row] = symmetric[row * side_ + column];
    }
  }

  CpuMatmul& matmul_;
  CpuScratch& scratch_;
  float* const x_;
  const MatrixBatch group_;
  const int64_t rows_ = group_.rows, cols_ = group_.cols, size_ = group_.size();
  const bool tall_ = rows_ > cols_;
  const int64_t side_ = tall_ ? cols_ : rows_, area_ = side_ * side_;
  // Of each matrix:
  T *operand_, *next_operand_;  // X, rounded [rows, cols]
  float *gram_, *square_;       // A, A A [side, side]: see compute_symmetric
  T* gram_operand_;             // A, rounded
  T* polynomial_;               // b A + c A A, rounded
  bool has_gram_ = false;       // of the X at hand
};

}  // namespace

void CpuOps::newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                           NewtonSchulzStart start, const MatrixBatch& shape) {
  PG_CHECK(!u.accumulate, "newton_schulz works in place");
  cpu::with_activation_type(compute_, [&]<class T>() {
    const int64_t group_size = NewtonSchulz<T>::group_size(shape);
    for (int64_t i = 0; i < shape.count; i += group_size) {
      MatrixBatch group = shape;
      group.count = std::min(group_size, shape.count - i);
      NewtonSchulz<T> iteration(*matmul_, *scratch_, u.as<float>() + i * shape.stride, group);
      iteration.normalize();
      if (start == NewtonSchulzStart::kAol) iteration.scale_almost_orthogonal();
      for (const NewtonSchulzCoefficients& coefficients : steps) iteration.iterate(coefficients);
    }
  });
}

}  // namespace pg
