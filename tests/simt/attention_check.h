// Checks an implementation of the attention kernels, the product's or a mutant's, against loops in
// double.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "kernels/attention.h"

namespace pg::kerneltest {

template <class T>
struct AttentionForward {
  decltype(&kernels::attention<T>) launch;
};
template <class T>
struct AttentionBackward {
  decltype(&kernels::attention_backward<T>) launch;
};

struct AttentionCase {
  kernels::AttentionSizes sizes;
  size_t offset = 0;  // elements by which the outputs miss 16-byte alignment
  int64_t gap = 0;    // elements between the rows of v and of dv
  bool accumulate = false;
  std::span<const int32_t> starts = {};  // [B*T], of packed sequences
};

// First failure over all schedules: a value off, a guard or a gap overwritten, a schedule that
// changes a bit, a launch that throws. "" when there is none.
template <class T>
std::string check_attention(const AttentionForward<T>& family, const AttentionCase& shape);
template <class T>
std::string check_attention(const AttentionBackward<T>& family, const AttentionCase& shape);

}  // namespace pg::kerneltest
