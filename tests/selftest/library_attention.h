// Attention two ways on one GPU: by our own kernels and by a library's (cuDNN). Whether the library's
// is right, and which is faster there: what decides between `--device cuda` and `cuda:cudnn`.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/device/device.h"
#include "tests/ops/op_case.h"

namespace pg {

// Of at least ten runs after three to warm up, each waited for.
struct PassTimes {
  double best_s = 0, median_s = 0;
};

struct LibraryVerdict {
  int64_t cases = 0;
  std::vector<std::string> faults;  // of the library, against the fp64 reference
  PassTimes own, library;           // forward
  PassTimes own_backward, library_backward;
};

// Both devices compute in bf16. `timed`: what is timed, by its sizes.
LibraryVerdict compare_attention(Device& own, Device& library,
                                 std::span<const optest::OpCase> cases,
                                 const AttentionShape& timed);
// The lines of the page that say so, "" for each that is empty.
std::vector<std::string> describe_comparison(const LibraryVerdict& verdict,
                                             const AttentionShape& timed);

// What a GPU's share of a record's step has, and the cases of all sizes.
AttentionShape attention_of_a_record();
std::vector<optest::OpCase> attention_cases_of_all_sizes();

}  // namespace pg
