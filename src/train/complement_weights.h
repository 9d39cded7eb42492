// Complementary training (parameter-golf PR #803; formulas.md 3.6): what bigrams can tell counts less.
//
// Counts are those of all of the training text before a step, whichever rank learns from it, so that the
// weights are the same for any number of ranks. They are a function of the order of the windows, so a
// checkpoint holds none: a resumed run reads the text anew.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "src/train/batches.h"

namespace pg {

class ComplementWeights {
 public:
  // A step has `windows` windows. Throws Error where the counts would not fit memory.
  ComplementWeights(const Batches& batches, int64_t vocab, double alpha, int64_t windows);

  // From here on the counts are those before `step`, which is not less than at the call before.
  void advance_to(int64_t step);
  // weights = max(1 - alpha C[x, y] / (N[x] + 1), 0.1) of ids x and those after them, y.
  void weigh(std::span<const int32_t> ids, std::span<const int32_t> next,
             std::span<float> weights) const;

 private:
  const Batches& batches_;
  int64_t vocab_;
  double alpha_;
  int64_t windows_, step_ = 0;
  std::vector<uint32_t> pairs_;   // [vocab, vocab]
  std::vector<uint64_t> totals_;  // [vocab]
  std::vector<int32_t> ids_, next_;
};

}  // namespace pg
