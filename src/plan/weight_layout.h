// Where parameters lie in memory, which is apart from their order in the artifact: equal matrices of
// all blocks in banks, so that an optimizer step, a cast or an exchange between ranks is one
// operation over a bank.
//
// In this order: q, k, v of block 0, of block 1, ... (the three of a block without a gap: they are
// one matrix to a product); out of all blocks; up, with its gate where it has one; down; embeddings; the small parameters, those that
// products read first; adapters, A before B, those of a slot behind all of the slot before.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "src/device/ops.h"
#include "src/plan/param_spec.h"

namespace pg {

// A stretch of memory whose parameters an optimizer treats alike. Offsets in elements.
struct ParamRange {
  ParamGroup group = ParamGroup::kScalar;
  AdapterFactor factor = AdapterFactor::kNone;
  int64_t offset = 0;           // of the first, in the masters
  int64_t gradient_offset = 0;  // likewise in the gradients
  int64_t elements = 0;         // padding included
};

// Matrices of one role, equally far apart.
struct ParamBatch {
  std::vector<int> params;  // in the order of memory
  int64_t offset = 0;       // of the first, in the masters
  MatrixBatch shape;
};

class WeightLayout {
 public:
  explicit WeightLayout(std::span<const ParamSpec> specs);

  // Parameters but k and v start at multiples of 32 elements: 64-byte aligned in any type.
  static int64_t align(int64_t elements) { return (elements + 31) / 32 * 32; }

  int64_t offset(int param) const { return offsets_[static_cast<size_t>(param)]; }
  // -1 for one that is not trained.
  int64_t gradient_offset(int param) const { return gradient_offsets_[static_cast<size_t>(param)]; }
  int64_t elements() const { return elements_; }  // padding included
  int64_t gradient_elements() const { return gradient_elements_; }
  const std::vector<int>& order() const { return order_; }  // of memory

  // Where the matrices, which come first, end: AdamW steps what lies behind.
  int64_t matrix_elements() const { return matrix_elements_; }
  // The trained parameters, in the order of memory.
  const std::vector<ParamRange>& trained_ranges() const { return ranges_; }
  // Parameters, given in the order of memory, as few batches as their shapes and gaps allow.
  std::vector<ParamBatch> batches(std::span<const ParamSpec> specs,
                                  std::span<const int> params) const;

 private:
  void add_to_ranges(const ParamSpec& spec, int param, bool is_new_section);

  std::vector<int> order_;
  std::vector<int64_t> offsets_, gradient_offsets_;  // by parameter
  std::vector<ParamRange> ranges_;
  int64_t elements_ = 0, gradient_elements_ = 0, matrix_elements_ = 0;
};

}  // namespace pg
