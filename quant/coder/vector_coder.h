// How the weight coder models vectors: fp16 values and small integers. Internal to the weight
// coder.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <type_traits>
#include <vector>

#include "quant/coder/weight_coder.h"
#include "quant/coder/weight_io.h"
#include "quant/coder/weight_levels.h"

namespace pg {

struct VectorModels {
  std::vector<AdaptiveModel> halves;  // kHalfModels of them once used
  int small_max_code = 0;
  std::array<std::vector<AdaptiveModel>, 2> small_codes;  // values, differences
};

// fp16 row scales: the difference of the bit patterns as integers. Its nibbles below the leading
// bit are modelled by class and position, so that scales on a coarser grid get cheap.
constexpr int kScaleClasses = 17;  // bit width of the difference
constexpr int kScaleNibbles = kScaleClasses, kScaleSigns = kScaleNibbles + 4 * kScaleClasses,
              kValueNibbles = kScaleSigns + 2, kHalfModels = kValueNibbles + 4 * 16;

template <class Io, class Half>
void code_scale(Io& io, std::vector<AdaptiveModel>& models, uint16_t& before, int& context,
                int& sign_context, Half& half) {
  const auto difference = static_cast<int16_t>(half - before);
  const auto given = static_cast<uint32_t>(std::abs(int{difference}));
  const int width =
      code_token(io, models[static_cast<size_t>(context)], static_cast<int>(std::bit_width(given)));
  context = width;
  uint32_t magnitude = width == 0 ? 0 : 1u << (width - 1);
  int negative = 0;
  for (int bit = 0, nibble = 0; bit < width - 1; bit += 4, ++nibble) {
    const int left = width - 1 - bit;
    const int index = kScaleNibbles + 4 * width + nibble;
    const uint32_t mask = (1u << std::min(left, 4)) - 1;
    const int coded =
        code_token(io, models[static_cast<size_t>(index)], static_cast<int>(given >> bit & mask));
    if (static_cast<uint32_t>(coded) > mask) io.fail();
    magnitude |= (static_cast<uint32_t>(coded) & mask) << bit;
  }
  if (width > 0) {
    const int index = kScaleSigns + sign_context;
    negative = sign_context = code_token(io, models[static_cast<size_t>(index)], difference < 0);
  }
  if (magnitude > 32768u - (negative == 0)) io.fail();
  before = static_cast<uint16_t>(negative ? before - magnitude : before + magnitude);
  if constexpr (!std::is_const_v<Half>) half = before;
}

// Any fp16 value, nibble by nibble from the top, each in the context of the nibble above; the first
// in that of the value before.
template <class Io, class Half>
void code_value(Io& io, std::vector<AdaptiveModel>& models, int& context, Half& half) {
  uint32_t value = 0;
  int above = context;
  for (int nibble = 0; nibble < 4; ++nibble) {
    const int index = kValueNibbles + 16 * nibble + above;
    above = code_token(io, models[static_cast<size_t>(index)], half >> (12 - 4 * nibble) & 15);
    value = value << 4 | static_cast<uint32_t>(above);
    if (nibble == 0) context = above;
  }
  if constexpr (!std::is_const_v<Half>) half = static_cast<uint16_t>(value);
}

template <class Io, class Half>
bool code_halves(Io& io, VectorModels& models, std::span<Half> halves, HalfKind kind) {
  if (models.halves.empty()) {
    models.halves.resize(kHalfModels);
    for (int i = 0; i < kHalfModels; ++i) {
      const int tokens = i < kScaleNibbles   ? kScaleClasses
                         : i < kScaleSigns   ? 16
                         : i < kValueNibbles ? 2
                                             : 16;
      models.halves[static_cast<size_t>(i)].start_uniform(tokens);
    }
  }
  uint16_t before = 0;
  int context = 0, sign_context = 0;
  for (Half& half : halves) {
    if (kind == HalfKind::kScales) {
      code_scale(io, models.halves, before, context, sign_context, half);
    } else {
      code_value(io, models.halves, context, half);
    }
    if (!io.ok()) return false;
  }
  return io.ok();
}

// Small integers: two models see every element, one its value, one its difference to the element
// before (modulo the range); whichever was cheaper of late codes the next. Each is a token, then
// the low bits (of large ranges) by token.
template <class Io, class Code>
bool code_small(Io& io, VectorModels& models, std::span<Code> codes, int max_code) {
  const int range = 2 * max_code + 1;
  const int shift = std::max(0, static_cast<int>(std::bit_width(static_cast<unsigned>(range))) - 5);
  if (models.small_max_code != max_code) {
    models.small_max_code = max_code;
    for (std::vector<AdaptiveModel>& model : models.small_codes) {
      model.assign(1 + kTokens, {});
      model[0].start_uniform((2 * max_code >> shift) + 1);
      for (size_t t = 0; t < kTokens; ++t) model[1 + t].start_uniform(1 << shift);
    }
  }
  const auto centre = [&](int value) { return (value + range + max_code) % range - max_code; };
  const auto fold = [](int value) { return value >= 0 ? 2 * value : -2 * value - 1; };
  const int mask = (1 << shift) - 1;
  int before = 0;
  std::array<int32_t, 2> cost = {};  // of late, in 1/64 bits times 16
  for (Code& code : codes) {
    const int chosen = cost[1] < cost[0];
    const std::vector<AdaptiveModel>& by = models.small_codes[static_cast<size_t>(chosen)];
    const int given = fold(chosen ? centre(code - before) : code);
    const int token = io.token(0, by[0], given >> shift);
    io.end(0);
    const int low = io.token(0, by[1 + static_cast<size_t>(token)], given & mask);
    io.end(0);
    const int folded = token << shift | low;
    const int unfolded = folded % 2 == 0 ? folded / 2 : -(folded + 1) / 2;
    if (std::abs(unfolded) > max_code) io.fail();
    if (!io.ok()) return false;
    const int value = chosen ? centre(unfolded + before) : unfolded;
    for (size_t m = 0; m < 2; ++m) {
      const int seen = fold(m == 0 ? value : centre(value - before));
      AdaptiveModel& high = models.small_codes[m][0];
      AdaptiveModel& rest = models.small_codes[m][1 + static_cast<size_t>(seen >> shift)];
      const uint32_t freq = high.freq_of(seen >> shift) * rest.freq_of(seen & mask);
      cost[m] += 2 * kAnsBits * 64 - log2_fixed(static_cast<float>(freq)) - cost[m] / 16;
      high.count(seen >> shift);
      rest.count(seen & mask);
    }
    before = value;
    if constexpr (!std::is_const_v<Code>) code = static_cast<int8_t>(value);
  }
  return io.ok();
}

}  // namespace pg
