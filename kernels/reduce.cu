// One pass, 4 bytes an element: a block a piece, f64 from the first addition on. A thread's elements,
// then the warp's lanes, then the warps, in order.
#include "kernels/reduce.h"

#include "kernels/dialect.h"
#include "kernels/matrix_packs.h"

namespace pg::kernels {
inline namespace reduce_kernels {

constexpr int kPack = kPackOf<float>;
constexpr int kAhead = 8;  // packs a thread has under way
constexpr int kAheadElements = kBlockThreads * kPack * kAhead;
static_assert(kSummedPiece % kAheadElements == 0);

template <bool kSquares, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    sum_pieces_kernel(double* __restrict__ sums, const float* __restrict__ x, int64_t size,
                      int64_t stride, int64_t sums_stride, unsigned pieces) {
  __shared__ double partial[kBlockWarps];
  const int64_t matrix = blockIdx.x / pieces, piece = blockIdx.x % pieces;
  const int64_t begin = piece * kSummedPiece, left = size - begin;
  const int count = static_cast<int>(left < kSummedPiece ? left : kSummedPiece);
  const float* from = x + matrix * stride + begin;
  double sum = 0.0;
  for (int start = 0; start < count; start += kAheadElements) {
    Pack<float, kPack> packs[kAhead];
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      const int at = start + (k * kBlockThreads + static_cast<int>(threadIdx.x)) * kPack;
      packs[k] = load_part<kPack, kVector>(from + at, elements_of_pack<kPack>(at, count));
    }
    PG_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      double of_pack[kPack];
      PG_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const double value = static_cast<double>(packs[k].v[i]);
        of_pack[i] = kSquares ? value * value : value;
      }
      sum += (of_pack[0] + of_pack[1]) + (of_pack[2] + of_pack[3]);
    }
  }
  sum = row_sum<kBlockThreads>(sum, partial);
  if (threadIdx.x == 0) sums[matrix * sums_stride + piece] = sum;
}

template <bool kSquares>
void sum_pieces(double* sums, const float* x, const Matrices& shape, int64_t sums_stride,
                Stream stream) {
  if (shape.count == 0 || shape.size() == 0) return;
  const auto pieces = static_cast<unsigned>(count_summed_pieces(shape.size()));
  const bool vector = has_vector_starts(x, shape.count, shape.stride);
  launch(vector ? &sum_pieces_kernel<kSquares, true> : &sum_pieces_kernel<kSquares, false>,
         dim3(static_cast<unsigned>(shape.count) * pieces), dim3(kBlockThreads), 0, stream, sums, x,
         shape.size(), shape.stride, sums_stride, pieces);
}

// ---- trees -----------------------------------------------------------------------------------

constexpr int kLeaves = 8;  // neighbours that a thread adds up
constexpr int64_t kTreeBlock = kBlockThreads * kLeaves;

// Left neighbours plus right ones over the whole block, which has a subtree of kTreeBlock leaves. A
// leaf past the end is -0, which changes no sum.
__global__ void __launch_bounds__(kBlockThreads)
    sum_tree_kernel(Dest<double> sums, const double* __restrict__ pieces, double scale,
                    int64_t count) {
  __shared__ double partial[kBlockWarps];
  const int64_t first = (int64_t{blockIdx.x} * kBlockThreads + threadIdx.x) * kLeaves;
  double leaves[kLeaves];
  PG_UNROLL
  for (int i = 0; i < kLeaves; ++i) leaves[i] = first + i < count ? pieces[first + i] : -0.0;
  PG_UNROLL
  for (int width = 1; width < kLeaves; width *= 2) {
    PG_UNROLL
    for (int i = 0; i < kLeaves; i += 2 * width) leaves[i] += leaves[i + width];
  }
  double sum = leaves[0];
  PG_UNROLL
  for (int width = 1; width < kWarpThreads; width *= 2) {
    sum += __shfl_xor_sync(kWholeWarp, sum, width);
  }
  share_among_warps(sum, partial);
  if (threadIdx.x != 0) return;
  double warps[kBlockWarps];
  PG_UNROLL
  for (int i = 0; i < kBlockWarps; ++i) warps[i] = partial[i];
  PG_UNROLL
  for (int width = 1; width < kBlockWarps; width *= 2) {
    PG_UNROLL
    for (int i = 0; i < kBlockWarps; i += 2 * width) warps[i] += warps[i + width];
  }
  sum = count > 0 ? scale * warps[0] : 0.0;
  double* const to = sums.data + blockIdx.x;
  *to = sums.accumulate ? *to + sum : sum;
}

int64_t tree_blocks(int64_t count) { return (count + kTreeBlock - 1) / kTreeBlock; }

__global__ void clip_coefficient_kernel(Dest<float> coefficient, const double* __restrict__ squares,
                                        float max_norm) {
  constexpr double kNormFloor = 1e-6;  // as torch.nn.utils.clip_grad_norm_
  const double norm = sqrt(*squares);
  double clip = 1.0;
  if (max_norm > 0.0f) clip = fmin(1.0, static_cast<double>(max_norm) / (norm + kNormFloor));
  const bool is_finite = norm - norm == 0.0;
  store_value(coefficient, 0, is_finite ? static_cast<float>(clip) : NAN);
}

}  // namespace reduce_kernels

void sum_pieces_of_values(double* sums, const float* x, const Matrices& shape, int64_t sums_stride,
                          Stream stream) {
  sum_pieces<false>(sums, x, shape, sums_stride, stream);
}

void sum_pieces_of_squares(double* sums, const float* x, const Matrices& shape, int64_t sums_stride,
                           Stream stream) {
  sum_pieces<true>(sums, x, shape, sums_stride, stream);
}

int64_t sum_tree_scratch(int64_t count) {
  int64_t doubles = 0;
  for (; count > kTreeBlock; count = tree_blocks(count)) doubles += tree_blocks(count);
  return doubles;
}

void sum_tree(Dest<double> sum, const double* pieces, double scale, double* scratch, int64_t count,
              Stream stream) {
  if (sum.data == nullptr) return;
  while (count > kTreeBlock) {
    const int64_t blocks = tree_blocks(count);
    launch(&sum_tree_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kBlockThreads), 0, stream,
           Dest<double>{scratch, false}, pieces, 1.0, count);
    pieces = scratch;
    scratch += blocks;
    count = blocks;
  }
  launch(&sum_tree_kernel, dim3(1), dim3(kBlockThreads), 0, stream, sum, pieces, scale, count);
}

void clip_coefficient(Dest<float> coefficient, const double* squares, float max_norm,
                      Stream stream) {
  launch(&clip_coefficient_kernel, dim3(1), dim3(1), 0, stream, coefficient, squares, max_norm);
}

}  // namespace pg::kernels
