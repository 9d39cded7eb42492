// The model of the weight coder, which pricing, encoding and decoding walk alike. Internal to the
// weight coder.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <type_traits>
#include <utility>
#include <vector>

#include "quant/coder/vector_coder.h"
#include "quant/coder/weight_coder.h"
#include "quant/coder/weight_io.h"
#include "quant/coder/weight_levels.h"
#include "quant/coder/weight_priors.h"
#include "src/base/check.h"

namespace pg {

inline constexpr int kStripRows = 16;  // a column's level is updated this often
inline constexpr int kPanelCols = 64;  // columns copied together out of the row-major matrix
inline constexpr int kRepeatLevelShift =
    5;  // differences of repeating rows start at 1/32 of the level

// What is kept across the calls of a role.
struct RoleModels {
  int max_code = 0;
  std::vector<AdaptiveModel> contexts;
  std::array<AdaptiveModel, 2> base_row_flags;  // by the row before
  VectorModels vectors;

  void start_codes(int new_max_code) {
    if (max_code == new_max_code) return;
    max_code = new_max_code;
    contexts.resize(kContexts);
    for (int c = 0; c < kContexts; ++c) {
      // Differences reach twice as far as codes.
      const int tokens =
          std::min(kTokens, (2 * max_code >> kTokenShift[static_cast<size_t>(c)]) + 1);
      contexts[static_cast<size_t>(c)].start(tokens, context_priors()[static_cast<size_t>(c)]);
    }
    for (AdaptiveModel& flag : base_row_flags) flag.start_uniform(2);
  }
};

// A code or a difference of codes: magnitude token, low bits or (rarely) the excess over the escape
// in Elias' gamma code, sign.
template <class Io>
inline int code_residual(Io& io, AdaptiveModel& model, int shift, int lane, int value) {
  int magnitude = std::abs(value);
  const int token = io.token(lane, model, std::min(magnitude >> shift, kEscape));
  if (token == kEscape) [[unlikely]] {
    const auto excess = static_cast<uint32_t>(magnitude - (kEscape << shift) + 1);
    const int low_bits = static_cast<int>(io.raw(lane, std::bit_width(excess) - 1u, 3));
    const uint32_t low = io.raw(lane, excess & ((1u << low_bits) - 1), low_bits);
    magnitude = (kEscape << shift) + static_cast<int>(1u << low_bits | low) - 1;
  } else {
    const uint32_t mask = (1u << shift) - 1;
    const uint32_t low = io.raw(lane, static_cast<uint32_t>(magnitude) & mask, shift);
    magnitude = token << shift | static_cast<int>(low);
  }
  const uint32_t negative = io.raw(lane, value < 0, magnitude != 0);
  io.end(lane);
  model.count(token);
  return negative ? -magnitude : magnitude;
}

// Levels in units of 1/256: row_sums starts as the prior's evidence and gathers what a row holds.
struct LevelState {
  std::vector<uint32_t> row_sums;  // [rows]
  std::vector<int32_t> row_logs;   // [rows]
  std::vector<uint32_t> is_own;    // [rows] 1: takes part in the columns' levels
  uint64_t own_rows = 0;
  uint64_t mean = 0;
  int col_weight = 0;
  bool any_base = false;

  LevelState(const WeightLevels& levels, int64_t rows) : col_weight(levels.col_weight) {
    mean = static_cast<uint64_t>(16 + (levels.mean_log & 15)) << (levels.mean_log >> 4) >> 4;
    row_logs.resize(static_cast<size_t>(rows));
    for (const int32_t base : levels.base_row) {
      const uint64_t level = base < 0 ? mean : (mean >> kRepeatLevelShift) + 1;
      row_sums.push_back(static_cast<uint32_t>(level << levels.row_weight));
      is_own.push_back(base < 0);
      own_rows += base < 0;
      any_base |= base >= 0;
    }
  }
};

// One column: the expected magnitude of a code is its row's sum times (sum of the column so far) /
// (sum of the row sums so far).
template <class Io, class Code>
void code_column(Io& io, std::vector<AdaptiveModel>& contexts, LevelState& state,
                 const WeightLevels& levels, int max_code, std::span<Code> column) {
  const size_t rows = column.size();
  uint64_t total = 0;
  for (size_t i = 0; i < rows; ++i) {
    state.row_logs[i] =
        log2_fixed(static_cast<float>(static_cast<int32_t>(state.row_sums[i] >> 1)));
    total += state.row_sums[i] * state.is_own[i];
  }
  bool out_of_range = false;
  uint64_t here = state.mean << state.col_weight;
  uint64_t expected = std::max<uint64_t>(total / state.own_rows, 1) << state.col_weight;
  for (size_t begin = 0; begin < rows; begin += kStripRows) {
    const int n = static_cast<int>(std::min<size_t>(kStripRows, rows - begin));
    const int32_t base = 64 - kLowestLog + log2_fixed(static_cast<float>(here)) -
                         log2_fixed(static_cast<float>(expected));
    std::array<int32_t, kStripRows> context, residual = {};
    for (int k = 0; k < n; ++k) {
      const int32_t log = (state.row_logs[begin + k] + base) / (64 / kContextsPerOctave);
      context[k] = std::clamp(log, 0, kContexts - 1);
    }
    for (int k = 0; k < n; ++k) {
      const size_t i = begin + k;
      const int32_t base_row = state.any_base ? levels.base_row[i] : -1;
      const int predicted = base_row >= 0 ? column[base_row] : 0;
      residual[k] = code_residual(io, contexts[context[k]], kTokenShift[context[k]], k % kAnsLanes,
                                  column[i] - predicted);
      if constexpr (!std::is_const_v<Code>) {
        const int code = residual[k] + predicted;
        out_of_range |= code < -max_code || code > max_code;
        column[i] = static_cast<int8_t>(code);
      }
    }
    for (int k = 0; k < n; ++k) {
      const size_t i = begin + k;
      const uint32_t magnitude = static_cast<uint32_t>(std::abs(residual[k])) << 8;
      here += magnitude * state.is_own[i];
      expected += state.row_sums[i] * state.is_own[i];
      state.row_sums[i] += magnitude;
    }
  }
  if (out_of_range) io.fail();
}

template <class Io>
void code_levels(Io& io, RoleModels& models, int64_t rows, WeightLevels& levels) {
  levels.mean_log = code_flat(io, levels.mean_log, 8);
  levels.row_weight = code_flat(io, levels.row_weight, 4);
  levels.col_weight = code_flat(io, levels.col_weight, 4);
  const bool any = std::any_of(levels.base_row.begin(), levels.base_row.end(),
                               [](int32_t base) { return base >= 0; });
  if (code_flat(io, any, 1) == 0) {
    levels.base_row.assign(static_cast<size_t>(rows), -1);
    return;
  }
  const std::vector<int32_t> given = std::move(levels.base_row);
  levels.base_row.clear();
  int32_t last = -1;
  int flag = 0;
  for (size_t i = 0; i < static_cast<size_t>(rows); ++i) {
    const int32_t base = next_base_row(levels.base_row, last);
    flag = code_token(io, models.base_row_flags[flag], i < given.size() && given[i] >= 0);
    if (i == 0 && flag != 0) io.fail();
    levels.base_row.push_back(flag ? base : -1);
    if (flag) last = static_cast<int32_t>(i);
  }
}

// Code is const int8_t where codes are read, int8_t where they are made.
template <class Io, class Code>
bool code_matrix(Io& io, RoleModels& models, const CodeShape& shape, Code* codes) {
  constexpr bool kDecode = !std::is_const_v<Code>;
  if (shape.rows == 0 || shape.cols == 0) return io.ok();
  models.start_codes(shape.max_code);
  WeightLevels levels;
  if constexpr (!kDecode) levels = choose_levels(shape, codes);
  code_levels(io, models, shape.rows, levels);
  if (!io.ok()) return false;
  LevelState state(levels, shape.rows);
  const auto rows = static_cast<size_t>(shape.rows), cols = static_cast<size_t>(shape.cols);
  const size_t stride =
      ((rows + 63) / 64 | 1) * 64;  // odd in cache lines: columns share no cache set
  std::vector<int8_t> panel(std::min<size_t>(kPanelCols, cols) * stride);
  for (size_t first = 0; first < cols; first += kPanelCols) {
    const size_t width = std::min<size_t>(kPanelCols, cols - first);
    for (size_t i = 0; i < rows && !kDecode; ++i) {
      for (size_t j = 0; j < width; ++j) panel[j * stride + i] = codes[i * cols + first + j];
    }
    for (size_t j = 0; j < width && io.ok(); ++j) {
      code_column<Io, Code>(io, models.contexts, state, levels, shape.max_code,
                            std::span(panel).subspan(j * stride, rows));
    }
    if (!io.ok()) return false;
    if constexpr (kDecode) {
      for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < width; ++j) codes[i * cols + first + j] = panel[j * stride + i];
      }
    }
  }
  if constexpr (kDecode) {
    if (!(choose_levels(shape, codes) == levels)) io.fail();
  }
  return io.ok();
}

inline void check_call(int max_code, int role) {
  PG_CHECK(max_code >= 1 && max_code <= 127, "weight coder: max_code outside 1 to 127");
  PG_CHECK(role >= 0 && role < kCoderRoles, "weight coder: no such role");
}

inline void check_shape(const CodeShape& shape, size_t codes, int role) {
  check_call(shape.max_code, role);
  PG_CHECK(shape.rows >= 0 && shape.cols >= 0 && shape.rows <= INT32_MAX &&
               static_cast<uint64_t>(shape.rows) * static_cast<uint64_t>(shape.cols) == codes,
           "weight coder: shape and codes differ");
}

using Models = std::array<RoleModels, kCoderRoles>;

}  // namespace pg
