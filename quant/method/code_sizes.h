// What the counted code takes beside an artifact, by the artifact's coder.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "quant/coder/weight_source.h"

namespace pg {

constexpr std::array kCoders = {Coder::kOwn, Coder::kZstd, Coder::kLzma};

struct CodeSizes {
  // Implicit: code of one size with every coder.
  CodeSizes(int64_t bytes) { by_coder.fill(bytes); }
  int64_t of(Coder coder) const { return by_coder[static_cast<size_t>(coder)]; }

  std::array<int64_t, kCoders.size()> by_coder = {};
};

}  // namespace pg
