// Updates that are alike for every neuron - NorMuon, Aurora: sums over the rows or the columns of
// matrices in f64, then one pass that scales them.
#include <algorithm>
#include <cmath>

#include "src/base/exact_math.h"
#include "src/device/cpu/cpu_matrix_rows.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

constexpr double kMinNeuronSquare = 1e-10, kMinUpdateNorm = 1e-10;  // ops.h, normuon
constexpr double kMinNeuronNorm = 1e-7;                             // ops.h, balance_neurons
constexpr int64_t kColumnBlock = 64;

double square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

// Of each matrix, behind those of the one before: the sum of squares of each row, or column.
void sum_neurons(const float* x, bool columns, const MatrixBatch& shape, double* sums) {
  if (!columns) {
    for_each_matrix_row(shape, [&](int64_t matrix, int64_t row) {
      const float* const from = x + matrix * shape.stride + row * shape.cols;
      sums[matrix * shape.rows + row] =
          sum_loop<double>(shape.cols, [from](int64_t i) { return square(from[i]); });
    });
    return;
  }
  const int64_t blocks = chunk_count(shape.cols, kColumnBlock);
  parallel_chunks(shape.count * blocks, [&](int64_t chunk) {
    const int64_t matrix = chunk / blocks, begin = chunk % blocks * kColumnBlock;
    const int64_t count = std::min(kColumnBlock, shape.cols - begin);
    double* const to = sums + matrix * shape.cols + begin;
    std::fill_n(to, count, 0.0);
    for (int64_t row = 0; row < shape.rows; ++row) {
      const float* const from = x + matrix * shape.stride + row * shape.cols + begin;
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) to[i] += square(from[i]);
    }
  });
}

// y = x times the factor of each row, or column; they may be the same.
void scale_neurons(float* y, const float* x, bool columns, const MatrixBatch& shape,
                   const float* factors) {
  for_each_matrix_row(shape, [&](int64_t matrix, int64_t row) {
    const int64_t at = matrix * shape.stride + row * shape.cols;
    const float* const from = x + at;
    float* const to = y + at;
    if (columns) {
      const float* const of_matrix = factors + matrix * shape.cols;
#pragma omp simd
      for (int64_t i = 0; i < shape.cols; ++i) to[i] = of_matrix[i] * from[i];
    } else {
      const float factor = factors[matrix * shape.rows + row];
#pragma omp simd
      for (int64_t i = 0; i < shape.cols; ++i) to[i] = factor * from[i];
    }
  });
}

double* shared_doubles(CpuScratch& scratch, ScratchSlot slot, int64_t count) {
  return static_cast<double*>(scratch.shared(slot, static_cast<size_t>(count) * sizeof(double)));
}

}  // namespace

void CpuOps::normuon(Out u, Out v, In coefficient, In beta2, bool columns, float rms,
                     const MatrixBatch& shape, int64_t v_stride) {
  if (std::isnan(scalar_or_one(coefficient))) return;
  const int64_t neurons = columns ? shape.cols : shape.rows;
  const auto length = static_cast<double>(columns ? shape.rows : shape.cols);
  const auto b2 = static_cast<double>(*beta2.as<float>());
  double* const sums = shared_doubles(*scratch_, kSlotPartials, shape.count * neurons);
  float* const factors = shared_floats(*scratch_, kSlotVector, shape.count * neurons);
  sum_neurons(u.as<float>(), columns, shape, sums);
  parallel_chunks(shape.count, [&](int64_t matrix) {
    double* const sum = sums + matrix * neurons;
    float* const factor = factors + matrix * neurons;
    float* const moment = v.as<float>() + matrix * v_stride;
    // Of u, and of w: both follow from the sums.
    double before = 0.0, after = 0.0;
    for (int64_t i = 0; i < neurons; ++i) {
      const double mean = b2 * static_cast<double>(moment[i]) + (1.0 - b2) * sum[i] / length;
      moment[i] = static_cast<float>(mean);
      const double divisor = std::max(mean, kMinNeuronSquare);
      before += sum[i];
      after += sum[i] / divisor;
      sum[i] = std::sqrt(divisor);
    }
    const double scale =
        rms > 0.0f ? static_cast<double>(rms) * std::sqrt(static_cast<double>(shape.size()))
                   : std::sqrt(before);
    const double ratio = scale / std::max(std::sqrt(after), kMinUpdateNorm);
    for (int64_t i = 0; i < neurons; ++i) factor[i] = static_cast<float>(ratio / sum[i]);
  });
  scale_neurons(u.as<float>(), u.as<float>(), columns, shape, factors);
}

void CpuOps::balance_neurons(Out y, Out d, In x, float beta, bool is_first,
                             const MatrixBatch& shape) {
  const bool columns = shape.cols > shape.rows;
  const int64_t neurons = std::max(shape.rows, shape.cols);
  const double target =
      static_cast<double>(std::min(shape.rows, shape.cols)) / static_cast<double>(neurons);
  double* const sums = shared_doubles(*scratch_, kSlotPartials, shape.count * neurons);
  sum_neurons(is_first ? x.as<float>() : y.as<float>(), columns, shape, sums);
  float* const factors = d.as<float>();
  parallel_ranges(shape.count * neurons, kMaxChunkRows, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double factor = 0.0;
      if (is_first) {
        factor = 1.0 / std::max(std::sqrt(sums[i]), kMinNeuronNorm);
      } else {
        const double ratio = target / std::max(sums[i], kMinNeuronNorm * kMinNeuronNorm);
        factor = static_cast<double>(factors[i]) * pow_f64(ratio, static_cast<double>(beta));
      }
      factors[i] = static_cast<float>(factor);
    }
  });
  scale_neurons(y.as<float>(), x.as<float>(), columns, shape, factors);
}

}  // namespace pg
