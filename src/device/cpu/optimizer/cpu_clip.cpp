// The norm of a gradient and the coefficient that clips it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/gradient/cpu_column_sums.h"

namespace pg {

using namespace cpu;

void CpuOps::sum_squares(Out sums, In x, const MatrixBatch& shape, int64_t sums_stride) {
  const int64_t size = shape.size(), pieces = count_sum_pieces(size);
  parallel_chunks(shape.count * pieces, [&](int64_t chunk) {
    const int64_t matrix = chunk / pieces, piece = chunk % pieces;
    const auto* const xs = x.as<float>() + matrix * shape.stride;
    const int64_t begin = piece * kSumPiece;
    sums.as<double>()[matrix * sums_stride + piece] =
        sum_loop<double>(std::min(kSumPiece, size - begin), [from = xs + begin](int64_t i) {
          const double value = from[i];
          return value * value;
        });
  });
}

void CpuOps::sum_pieces(Out sum, In pieces, int64_t count) {
  auto* const sums = static_cast<double*>(scratch_->shared(
      kSlotPartials, static_cast<size_t>(std::max<int64_t>(count, 1)) * sizeof(double)));
  std::copy_n(pieces.as<double>(), count, sums);
  for (int64_t width = 1; width < count; width *= 2) {
    for (int64_t i = 0; i + width < count; i += 2 * width) sums[i] += sums[i + width];
  }
  write_double(sum, count > 0 ? sums[0] : 0.0);
}

void CpuOps::clip_coefficient(Out coefficient, In squares, float max_norm) {
  constexpr double kNormFloor = 1e-6;  // as torch.nn.utils.clip_grad_norm_
  const double norm = std::sqrt(*squares.as<double>());
  double clip = max_norm > 0.0f ? std::min(1.0, max_norm / (norm + kNormFloor)) : 1.0;
  if (!std::isfinite(norm)) clip = std::numeric_limits<double>::quiet_NaN();
  write_scalar(coefficient, 0, static_cast<float>(clip));
}
}  // namespace pg
