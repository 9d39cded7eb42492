// Checks implementations of the sums and of the log probabilities, the product's or a mutant's. Each
// function returns the first failure over all schedules, "" when there is none.
#pragma once
#include <string>

#include "kernels/log_probs.h"
#include "kernels/reduce.h"

namespace pg::kerneltest {

struct ReduceFamily {
  decltype(&kernels::sum_pieces_of_values) values;
  decltype(&kernels::sum_pieces_of_squares) squares;
  decltype(&kernels::sum_tree) tree;
  decltype(&kernels::clip_coefficient) clip;
};
struct LogProbsFamily {
  decltype(&kernels::softcap_log_probs) log_probs;
};

struct SumCase {
  int64_t matrices = 1, elements = 1, gap = 0;
  size_t offset = 0;  // elements by which the tensor misses 16-byte alignment
};
// Pieces of values and of squares against the reference device.
std::string check_sums(const ReduceFamily& family, const SumCase& c);
// The tree's bytes against additions in the order that src/device/ops.h states, with and without
// accumulation.
std::string check_tree(const ReduceFamily& family, int64_t count);
std::string check_clip(const ReduceFamily& family);

struct LogProbsCase {
  int64_t rows = 1, vocab = 1;
  float cap = 30.0f, shift = 0.0f;
  double mean = 0.0;  // of the logits
  size_t offset = 0;
  bool accumulate = false;
  bool has_sides = false;  // caps of 12 and 20 instead
};
std::string check_log_probs(const LogProbsFamily& family, const LogProbsCase& c);

}  // namespace pg::kerneltest
