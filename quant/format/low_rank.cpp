// Codes times fp16 scales have at most 13 and 15 bits: each product is exact in double, so it is
// the same with and without fused multiply-adds, and only the sums round, in rank order.
#include "quant/format/low_rank.h"

#include "quant/format/half.h"
#include "src/base/check.h"
#include "src/base/threads.h"

namespace pg {

void add_low_rank(const LowRank& low_rank, int64_t rows, int64_t cols, std::span<float> values) {
  if (low_rank.rank == 0) return;
  const int64_t rank = low_rank.rank, group = low_rank.group;
  PG_CHECK(rank > 0 && group > 0 && std::ssize(low_rank.a) == rows * rank &&
               std::ssize(low_rank.b) == rank * cols && std::ssize(values) == rows * cols &&
               std::ssize(low_rank.b_scales) == (rank * cols + group - 1) / group,
           "low-rank factors do not fit the matrix");
  std::vector<double> b(low_rank.b.size());  // [rank, cols]
  for (size_t i = 0; i < b.size(); ++i) {
    b[i] = low_rank.b[i] *
           static_cast<double>(float_from_half(low_rank.b_scales[i / static_cast<size_t>(group)]));
  }
  const auto a_scale = static_cast<double>(float_from_half(low_rank.a_scale));
  parallel_ranges(rows, 64, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(cols));
    for (int64_t r = begin; r < end; ++r) {
      float* const row = values.data() + r * cols;
      sums.assign(sums.size(), 0.0);
      for (int64_t k = 0; k < rank; ++k) {
        const double a = low_rank.a[static_cast<size_t>(r * rank + k)] * a_scale;
        const double* const b_row = b.data() + k * cols;
        for (size_t c = 0; c < sums.size(); ++c) sums[c] += a * b_row[c];
      }
      for (size_t c = 0; c < sums.size(); ++c) {
        row[c] = static_cast<float>(static_cast<double>(row[c]) + sums[c]);
      }
    }
  });
}

}  // namespace pg
