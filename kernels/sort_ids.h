// Rows in the order of their ids: what a deterministic scatter sums by.
#pragma once
#include <cstdint>

#include "kernels/kernel_args.h"

namespace pg::kernels {

// In device memory.
struct SortedIds {
  const int32_t* ids = nullptr;     // [rows], ascending
  const int32_t* rows = nullptr;    // [rows]: where each stood; ascending among equal ids
  const int32_t* starts = nullptr;  // [vocab + 1]: place of the first id that is not below v
};

// int32 values of working memory that sort_ids() needs.
int64_t count_sort_values(int64_t rows, int64_t vocab);

// Sorts ids[rows], which lie in [0, vocab); fewer than 2^31 of either. The result lies in `work`.
SortedIds sort_ids(int32_t* work, const int32_t* ids, int64_t rows, int64_t vocab, Stream stream);

}  // namespace pg::kernels
