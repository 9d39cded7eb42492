// Optimizer steps. All that a step changes from one to the next is read by the kernels, a NaN
// coefficient too; a batch of matrices is one launch each.
#include <numeric>
#include <utility>

#include "kernels/adamw.h"
#include "kernels/muon.h"
#include "kernels/neurons.h"
#include "kernels/newton_schulz.h"
#include "kernels/reduce.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

static_assert(kernels::kAdamWStepScalars == kAdamWScalars);

// X <- a X + (b A + c A A) X with A = X Xt, or A = Xt X and X B of a tall X. As in Muon's published
// form X, A and B are stored in the compute type T, and products add in f32 before they round once:
// an iteration is three products of all matrices, whichever batches they lie in, and nothing else
// touches memory.
template <class T>
class NewtonSchulz {
 public:
  // us: at least one batch, of matrices of one shape.
  NewtonSchulz(GpuRuntime& runtime, GpuScratch& scratch, std::span<const MatricesOut> us)
      : runtime_(runtime), scratch_(scratch), us_(us) {
    squares_ = scratch_.of<double>(kSquares, count_ * pieces_);
    x_ = scratch_.of<T>(kX, count_ * x_stride_);
    next_x_ = scratch_.of<T>(kNextX, count_ * x_stride_);
    gram_ = scratch_.of<T>(kGram, count_ * gram_stride_);
    polynomial_ = scratch_.of<T>(kPolynomial, count_ * gram_stride_);
  }

  void normalise() {
    for_each_batch([&](float* u, const kernels::Matrices& shape, int64_t first) {
      kernels::sum_pieces_of_squares(squares_ + first * pieces_, u, shape, pieces_, stream());
    });
    start(nullptr);
  }

  // Vectors of the smaller side times s_i = (sum_j |A_ij|)^(-1/2), A's elements times s_i s_j. The
  // sums are of A in f32.
  void scale_almost_orthogonal() {
    auto* const gram = scratch_.of<float>(kWideGram, count_ * side_ * side_);
    auto* const scales = scratch_.of<float>(kScales, count_ * side_);
    multiply_gram(gram, DType::kF32, side_ * side_);
    kernels::sum_almost_orthogonal(scales, gram, count_, side_, stream());
    kernels::scale_gram<T>(gram_, gram_stride_, gram, scales, count_, side_, stream());
    start(scales);
    has_gram_ = true;
  }

  void iterate(const NewtonSchulzCoefficients& coefficients) {
    const auto [a, b, c] = coefficients;
    if (!std::exchange(has_gram_, false)) multiply_gram(gram_, kType, gram_stride_);
    const GpuMatrix gram = of_side(gram_), polynomial = of_side(polynomial_);
    multiply(side_, side_, side_, gram, gram, c, gram, b, polynomial_, kType, side_, gram_stride_);
    const GpuMatrix x = of_x();
    multiply(rows_, cols_, side_, is_tall_ ? x : polynomial, is_tall_ ? polynomial : x, 1.0f, x, a,
             next_x_, kType, cols_, x_stride_);
    std::swap(x_, next_x_);
  }

  void store() {
    for_each_batch([&](float* u, const kernels::Matrices& shape, int64_t first) {
      kernels::end_newton_schulz<T>(u, x_ + first * x_stride_, x_stride_, shape, stream());
    });
  }

 private:
  enum Slot : size_t { kSquares, kX, kNextX, kGram, kPolynomial, kWideGram, kScales };
  static constexpr DType kType = DTypeOf<T>::value;
  // Matrices of the working memory start at multiples of 256 bytes of bf16, which products like.
  static constexpr int64_t padded(int64_t elements) { return (elements + 127) / 128 * 128; }

  kernels::Stream stream() const { return runtime_.stream(); }

  // body(u, shape, how many matrices come before)
  template <class Body>
  void for_each_batch(const Body& body) const {
    int64_t first = 0;
    for (const MatricesOut& u : us_) {
      body(u.data.as<float>(), matrices_of(u.shape), first);
      first += u.shape.count;
    }
  }
  void start(const float* scales) {
    for_each_batch([&](const float* u, const kernels::Matrices& shape, int64_t first) {
      kernels::start_newton_schulz<T>(
          x_ + first * x_stride_, x_stride_, u, squares_ + first * pieces_,
          scales == nullptr ? nullptr : scales + first * side_, shape, stream());
    });
  }

  GpuMatrix of_x(bool is_transposed = false) const {
    return {x_, kType, cols_, is_transposed, x_stride_};
  }
  GpuMatrix of_side(const T* data) const { return {data, kType, side_, false, gram_stride_}; }

  // A
  void multiply_gram(void* d, DType d_type, int64_t d_batch_stride) {
    multiply(side_, side_, is_tall_ ? rows_ : cols_, of_x(is_tall_), of_x(!is_tall_), 1.0f, {},
             0.0f, d, d_type, side_, d_batch_stride);
  }

  void multiply(int64_t rows, int64_t cols, int64_t inner, const GpuMatrix& a, const GpuMatrix& b,
                float alpha, const GpuMatrix& c, float beta, void* d, DType d_type,
                int64_t d_stride, int64_t d_batch_stride) {
    runtime_.multiply({.rows = rows,
                       .cols = cols,
                       .inner = inner,
                       .batch = count_,
                       .a = a,
                       .b = b,
                       .c = c,
                       .d = d,
                       .d_type = d_type,
                       .d_stride = d_stride,
                       .d_batch_stride = d_batch_stride,
                       .alpha = alpha,
                       .beta = beta});
  }

  GpuRuntime& runtime_;
  GpuScratch& scratch_;
  const std::span<const MatricesOut> us_;
  const int64_t rows_ = us_[0].shape.rows, cols_ = us_[0].shape.cols;
  const int64_t count_ = std::accumulate(
      us_.begin(), us_.end(), int64_t{0},
      [](int64_t sum, const MatricesOut& u) { return sum + u.shape.count; });  // of all batches
  const bool is_tall_ = rows_ > cols_;
  const int64_t side_ = is_tall_ ? cols_ : rows_;
  const int64_t pieces_ = kernels::count_summed_pieces(rows_ * cols_);
  const int64_t x_stride_ = padded(rows_ * cols_), gram_stride_ = padded(side_ * side_);
  double* squares_;
  T *x_, *next_x_;         // [count, rows, cols]
  T *gram_, *polynomial_;  // A, b A + c A A [count, side, side]
  bool has_gram_ = false;  // of the X at hand
};

enum NeuronSlot : size_t { kNeuronDoubles, kNeuronFloats };

}  // namespace

void CudaOps::adamw(Out p, Out m, Out v, In g, In coefficient, In step, bool cautious,
                    int64_t count) {
  kernels::adamw(p.as<float>(), m.as<float>(), v.as<float>(), g.as<float>(),
                 optional_as<float>(coefficient), step.as<float>(), cautious, count, stream());
}

void CudaOps::muon_momentum(Out u, Out m, In g, In coefficient, In mu, bool row_norm,
                            const MatrixBatch& shape) {
  kernels::muon_momentum(dest<float>(u), m.as<float>(), g.as<float>(),
                         optional_as<float>(coefficient), mu.as<float>(), row_norm,
                         matrices_of(shape), stream());
}

void CudaOps::newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                            NewtonSchulzStart start, const MatrixBatch& shape) {
  const MatricesOut batch = {u, shape};
  newton_schulz_of_batches({&batch, 1}, steps, start);
}

void CudaOps::newton_schulz_of_batches(std::span<const MatricesOut> us,
                                       std::span<const NewtonSchulzCoefficients> steps,
                                       NewtonSchulzStart start) {
  int64_t elements = 0;
  for (const auto& [u, shape] : us) {
    PG_CHECK(!u.accumulate, "newton_schulz works in place");
    PG_CHECK(shape.rows == us[0].shape.rows && shape.cols == us[0].shape.cols,
             "batches that are one have matrices of one shape");
    elements += shape.count * shape.size();
  }
  if (elements == 0) return;
  with_type(compute_, [&]<class T>(T) {
    NewtonSchulz<T> iteration(runtime_, scratch_, us);
    iteration.normalise();
    if (start == NewtonSchulzStart::kAol) iteration.scale_almost_orthogonal();
    for (const NewtonSchulzCoefficients& coefficients : steps) iteration.iterate(coefficients);
    iteration.store();
  });
}

void CudaOps::normuon(Out u, Out v, In coefficient, In beta2, bool columns, float rms,
                      const MatrixBatch& shape, int64_t v_stride) {
  const kernels::Matrices matrices = matrices_of(shape);
  kernels::normuon(u.as<float>(), v.as<float>(), v_stride, optional_as<float>(coefficient),
                   beta2.as<float>(), columns, rms, matrices,
                   scratch_.of<double>(kNeuronDoubles, kernels::neuron_doubles(matrices, columns)),
                   scratch_.of<float>(kNeuronFloats, kernels::neuron_floats(matrices, columns)),
                   stream());
}

void CudaOps::balance_neurons(Out y, Out d, In x, float beta, bool is_first,
                              const MatrixBatch& shape) {
  const kernels::Matrices matrices = matrices_of(shape);
  const bool columns = shape.cols > shape.rows;
  kernels::balance_neurons(
      y.as<float>(), d.as<float>(), x.as<float>(), beta, is_first, matrices,
      scratch_.of<double>(kNeuronDoubles, kernels::neuron_doubles(matrices, columns)), stream());
}

void CudaOps::apply_update(Out p, In u, In coefficient, In decay_step, bool cautious,
                           const MatrixBatch& shape) {
  kernels::apply_update(p.as<float>(), u.as<float>(), optional_as<float>(coefficient),
                        decay_step.as<float>(), cautious, matrices_of(shape), stream());
}

}  // namespace pg
