// Three launches: sums of squares, one read; the factor of each neuron; the scaling, one read and one
// write. Sums over a row are a warp's. Those over columns have a thread a column, in chunks of rows
// whose sums the second launch adds up in order.
#include "kernels/neurons.h"

#include "kernels/dialect.h"
#include "kernels/matrix_packs.h"

namespace pg::kernels {
inline namespace neurons_kernels {

constexpr int kPack = kPackOf<float>;
constexpr int kAhead = 8;           // loads that a thread has under way
constexpr int64_t kChunkRows = 64;  // of a column's partial sum
constexpr double kMinNeuronSquare = 1e-10, kMinUpdateNorm = 1e-10;  // of normuon
constexpr double kMinNeuronNorm = 1e-7;                             // of balance_neurons

int64_t count_neurons(const Matrices& shape, bool columns) {
  return columns ? shape.cols : shape.rows;
}
int64_t count_chunks(const Matrices& shape, bool columns) {
  return columns ? (shape.rows + kChunkRows - 1) / kChunkRows : 1;
}

__device__ __forceinline__ double square(float x) {
  return static_cast<double>(x) * static_cast<double>(x);
}

// sums[matrix, row]
__global__ void __launch_bounds__(kBlockThreads)
    sum_rows_kernel(double* __restrict__ sums, const float* __restrict__ x, Matrices shape) {
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= shape.count * shape.rows) return;
  const int64_t matrix = row / shape.rows;
  const float* from = x + matrix * shape.stride + (row - matrix * shape.rows) * shape.cols;
  const int cols = static_cast<int>(shape.cols), lane = thread_in_row<kWarpThreads>();
  double sum = 0.0;
  for (int start = lane; start < cols; start += kAhead * kWarpThreads) {
    float values[kAhead];
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      const int i = start + k * kWarpThreads;
      values[k] = i < cols ? from[i] : 0.0f;
    }
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) sum += square(values[k]);
  }
  sum = warp_sum(sum);
  if (lane == 0) sums[row] = sum;
}

// sums[matrix, chunk, column]; blocks are of (stripe of columns, chunk, matrix).
__global__ void __launch_bounds__(kBlockThreads)
    sum_columns_kernel(double* __restrict__ sums, const float* __restrict__ x, Matrices shape,
                       unsigned stripes, unsigned chunks) {
  const unsigned stripe = blockIdx.x % stripes, place = blockIdx.x / stripes;
  const int64_t column = int64_t{stripe} * kBlockThreads + threadIdx.x;
  if (column >= shape.cols) return;
  const int64_t matrix = place / chunks, first = place % chunks * kChunkRows;
  const int64_t end = first + kChunkRows < shape.rows ? first + kChunkRows : shape.rows;
  const float* from = x + matrix * shape.stride + column;
  double sum = 0.0;
  for (int64_t start = first; start < end; start += kAhead) {
    float values[kAhead];
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      values[k] = start + k < end ? from[(start + k) * shape.cols] : 0.0f;
    }
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) sum += square(values[k]);
  }
  sums[int64_t{place} * shape.cols + column] = sum;
}

void sum_neurons(double* sums, const float* x, bool columns, const Matrices& shape, Stream stream) {
  if (!columns) {
    launch(&sum_rows_kernel, grid_of_rows<kWarpThreads>(shape.count * shape.rows),
           dim3(kBlockThreads), 0, stream, sums, x, shape);
    return;
  }
  const auto stripes = static_cast<unsigned>((shape.cols + kBlockThreads - 1) / kBlockThreads);
  const auto chunks = static_cast<unsigned>(count_chunks(shape, columns));
  launch(&sum_columns_kernel, dim3(stripes * chunks * static_cast<unsigned>(shape.count)),
         dim3(kBlockThreads), 0, stream, sums, x, shape, stripes, chunks);
}

// Of neuron i, from sums [chunks, neurons].
__device__ __forceinline__ double sum_of_chunks(const double* sums, int64_t i, int64_t neurons,
                                                int64_t chunks) {
  double sum = sums[i];
  for (int64_t chunk = 1; chunk < chunks; ++chunk) sum += sums[chunk * neurons + i];
  return sum;
}

// A block a matrix. sums [count, chunks, neurons] serve as working memory.
__global__ void __launch_bounds__(kBlockThreads)
    normuon_factors_kernel(float* __restrict__ factors, float* __restrict__ v, int64_t v_stride,
                           double* __restrict__ sums, const float* __restrict__ coefficient,
                           const float* __restrict__ beta2, float rms, int64_t neurons,
                           int64_t chunks, double length) {
  __shared__ double partial[2][kBlockWarps];
  if (is_nan(scalar_or_one(coefficient))) return;
  const double b2 = static_cast<double>(*beta2);
  double* const of_matrix = sums + blockIdx.x * chunks * neurons;
  float* const moments = v + blockIdx.x * v_stride;
  double before = 0.0, after = 0.0;  // |u|^2 and |w|^2
  for (int64_t i = threadIdx.x; i < neurons; i += kBlockThreads) {
    const double sum = sum_of_chunks(of_matrix, i, neurons, chunks);
    const double mean = b2 * static_cast<double>(moments[i]) + (1.0 - b2) * sum / length;
    moments[i] = static_cast<float>(mean);
    const double divisor = fmax(mean, kMinNeuronSquare);
    before += sum;
    after += sum / divisor;
    of_matrix[i] = sqrt(divisor);  // read again by this thread alone
  }
  before = row_sum<kBlockThreads>(before, partial[0]);
  after = row_sum<kBlockThreads>(after, partial[1]);
  const double size = static_cast<double>(neurons) * length;
  const double scale = rms > 0.0f ? static_cast<double>(rms) * sqrt(size) : sqrt(before);
  const double ratio = scale / fmax(sqrt(after), kMinUpdateNorm);
  for (int64_t i = threadIdx.x; i < neurons; i += kBlockThreads) {
    factors[blockIdx.x * neurons + i] = static_cast<float>(ratio / of_matrix[i]);
  }
}

__global__ void __launch_bounds__(kBlockThreads)
    balance_factors_kernel(float* __restrict__ d, const double* __restrict__ sums, float beta,
                           bool is_first, double target, int64_t count, int64_t neurons,
                           int64_t chunks) {
  const int64_t place = int64_t{blockIdx.x} * kBlockThreads + threadIdx.x;
  if (place >= count * neurons) return;
  const int64_t matrix = place / neurons;
  const double sum =
      sum_of_chunks(sums + matrix * chunks * neurons, place - matrix * neurons, neurons, chunks);
  double factor = 0.0;
  if (is_first) {
    factor = 1.0 / fmax(sqrt(sum), kMinNeuronNorm);
  } else {
    const double ratio = target / fmax(sum, kMinNeuronNorm * kMinNeuronNorm);
    factor = static_cast<double>(d[place]) * pow(ratio, static_cast<double>(beta));
  }
  d[place] = static_cast<float>(factor);
}

// y = x times the factor of each row, or column; y may be x.
template <bool kVector, bool kColumns>
__global__ void __launch_bounds__(kBlockThreads)
    scale_neurons_kernel(float* y, const float* x, const float* __restrict__ factors,
                         const float* __restrict__ coefficient, Matrices shape) {
  const int64_t row = row_of_thread<kWarpThreads>();
  if (row >= shape.count * shape.rows || is_nan(scalar_or_one(coefficient))) return;
  const int64_t matrix = row / shape.rows;
  const int64_t start = matrix * shape.stride + (row - matrix * shape.rows) * shape.cols;
  const float* of_matrix = factors + matrix * shape.cols;  // of columns
  const float of_row = kColumns ? 0.0f : factors[row];
  const int cols = static_cast<int>(shape.cols);
  constexpr int kStep = kWarpThreads * kPack, kPacks = 4;
  for (int first = thread_in_row<kWarpThreads>() * kPack; first < cols; first += kPacks * kStep) {
    Pack<float, kPack> values[kPacks];
    PG_UNROLL
    for (int k = 0; k < kPacks; ++k) {
      values[k] = load_pack<kPack, kVector>(x + start, first + k * kStep, cols);
    }
    PG_UNROLL
    for (int k = 0; k < kPacks; ++k) {
      const int at = first + k * kStep;
      Pack<float, kPack> scales{};
      if (kColumns) scales = load_pack<kPack, kVector>(of_matrix, at, cols);
      float out[kPack];
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) out[i] = (kColumns ? scales.v[i] : of_row) * values[k].v[i];
      store_pack<kVector>(y + start, out, at, cols, false);
    }
  }
}

void scale_neurons(float* y, const float* x, const float* factors, const float* coefficient,
                   bool columns, const Matrices& shape, Stream stream) {
  const auto fits = [&](const float* data) {
    return has_vector_starts(data, shape.count, shape.stride);
  };
  const bool vector = shape.cols % kPack == 0 && fits(y) && fits(x) &&
                      (!columns || has_vector_starts(factors, 1, 0));
  const auto scale = [&](auto kernel) {
    launch(kernel, grid_of_rows<kWarpThreads>(shape.count * shape.rows), dim3(kBlockThreads), 0,
           stream, y, x, factors, coefficient, shape);
  };
  if (columns) {
    scale(vector ? &scale_neurons_kernel<true, true> : &scale_neurons_kernel<false, true>);
  } else {
    scale(vector ? &scale_neurons_kernel<true, false> : &scale_neurons_kernel<false, false>);
  }
}

bool is_empty(const Matrices& shape) { return shape.count == 0 || shape.size() == 0; }

}  // namespace neurons_kernels

int64_t neuron_doubles(const Matrices& shape, bool columns) {
  return shape.count * count_chunks(shape, columns) * count_neurons(shape, columns);
}
int64_t neuron_floats(const Matrices& shape, bool columns) {
  return shape.count * count_neurons(shape, columns);
}

void normuon(float* u, float* v, int64_t v_stride, const float* coefficient, const float* beta2,
             bool columns, float rms, const Matrices& shape, double* doubles, float* floats,
             Stream stream) {
  if (is_empty(shape)) return;
  sum_neurons(doubles, u, columns, shape, stream);
  launch(&normuon_factors_kernel, dim3(static_cast<unsigned>(shape.count)), dim3(kBlockThreads), 0,
         stream, floats, v, v_stride, doubles, coefficient, beta2, rms,
         count_neurons(shape, columns), count_chunks(shape, columns),
         static_cast<double>(count_neurons(shape, !columns)));
  scale_neurons(u, u, floats, coefficient, columns, shape, stream);
}

void balance_neurons(float* y, float* d, const float* x, float beta, bool is_first,
                     const Matrices& shape, double* doubles, Stream stream) {
  if (is_empty(shape)) return;
  const bool columns = shape.cols > shape.rows;
  const int64_t neurons = count_neurons(shape, columns);
  const double target =
      static_cast<double>(count_neurons(shape, !columns)) / static_cast<double>(neurons);
  sum_neurons(doubles, is_first ? x : y, columns, shape, stream);
  launch(&balance_factors_kernel,
         dim3(static_cast<unsigned>((shape.count * neurons + kBlockThreads - 1) / kBlockThreads)),
         dim3(kBlockThreads), 0, stream, d, doubles, beta, is_first, target, shape.count, neurons,
         count_chunks(shape, columns));
  scale_neurons(y, x, d, nullptr, columns, shape, stream);
}

}  // namespace pg::kernels
