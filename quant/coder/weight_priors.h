// The contexts of the weight coder and what each expects before it has seen anything. Internal to
// the weight coder.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "quant/coder/adaptive_model.h"

namespace pg {

// Contexts: expected magnitudes from 2^-6 to 2^7 in steps of 1/8 octave (1/4 costs 0.06 %).
constexpr int kContextsPerOctave = 8;
constexpr int kContexts = 13 * kContextsPerOctave;
constexpr int kLowestLog = 2 * 64;  // log2_fixed(256 * 2^-6)
constexpr int kEscape = kTokens - 1;
// From this context on a token stands for 2, 4, ... magnitudes: below, 31 tokens reach 4.5 standard
// deviations of a Gaussian.
constexpr int kFirstShifted = 68;

constexpr auto kTokenShift = [] {
  std::array<int8_t, kContexts> shifts = {};
  for (int c = kFirstShifted; c < kContexts; ++c) {
    shifts[static_cast<size_t>(c)] =
        static_cast<int8_t>(1 + (c - kFirstShifted) / kContextsPerOctave);
  }
  return shifts;
}();

using TokenPrior = std::array<uint32_t, kTokens>;  // in units of AdaptiveModel::kCountUnit

// By context: a Gaussian whose mean magnitude is the context's middle.
const std::vector<TokenPrior>& context_priors();

}  // namespace pg
