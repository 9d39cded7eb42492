// Checks an implementation of the attention kernels, the product's or a mutant's, against loops in
// double.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/attention.h"

namespace pg::kerneltest {

template <class T>
struct AttentionFamily {
  decltype(&kernels::attention<T>) forward;
  decltype(&kernels::attention_backward<T>) backward;
};

struct AttentionCase {
  kernels::AttentionSizes sizes;
  size_t offset = 0;  // elements by which the outputs miss 16-byte alignment
  int64_t gap = 0;    // elements between the rows of v and of dv
  bool accumulate = false;
};

// First failure of both passes over all schedules: a value off, a guard or a gap overwritten, a
// schedule that changes a bit, a launch that throws. "" when there is none. The backward pass is
// that of all queries: it is left out where sizes.first is not 0.
template <class T>
std::string check_attention(const AttentionFamily<T>& family, const AttentionCase& shape);

}  // namespace pg::kerneltest
