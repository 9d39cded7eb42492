// What launchers take besides raw pointers and sizes. Free of CUDA headers and of the dialect, so
// that host code on either side of the seam can include it.
#pragma once
#include "kernels/bf16.h"

struct CUstream_st;  // the CUDA runtime's own name for what a cudaStream_t points to

namespace pg::kernels {

using Stream = ::CUstream_st*;  // null: the default stream

// Where a kernel writes: data[i] = value, or data[i] += value with accumulate. Null data is not
// computed.
template <class T>
struct Dest {
  T* data = nullptr;
  bool accumulate = false;
};

}  // namespace pg::kernels
