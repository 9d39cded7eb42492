// Windows stay on the stride grid and the last one is cut short, rather than moved left to end at
// the stream's end: the context of a target then depends on its position alone, and a longer stream
// leaves earlier scores as they are. It is also the corrected published schedule, so numbers
// compare.
#include "eval/score/window_schedule.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/data/tokenizer.h"

namespace pg {

void check_window_shape(const WindowShape& shape) {
  if (shape.context < 1) {
    throw Error(fmt::format("eval.context is too small: {}; give at least 1", shape.context));
  }
  if (shape.stride < 1 || shape.stride > shape.context) {
    throw Error(fmt::format("eval.stride is out of range: {}; give 1 to eval.context = {}",
                            shape.stride, shape.context));
  }
}

std::vector<EvalWindow> plan_windows(int64_t origin, TargetRange range, const WindowShape& shape) {
  check_window_shape(shape);
  PG_CHECK(origin < range.first, "targets before their text");
  std::vector<EvalWindow> windows;
  for (int64_t next = range.first; next < range.end;) {
    const int64_t input = next - 1, distance = input - origin;
    const int64_t slides =
        distance < shape.context ? 0 : (distance - shape.context) / shape.stride + 1;
    const int64_t begin = origin + slides * shape.stride;
    const int64_t length = std::min(shape.context, range.end - 1 - begin);
    windows.push_back({.begin = begin, .length = length, .score_from = input - begin});
    next = windows.back().end_target();
  }
  return windows;
}

std::vector<EvalWindow> plan_document_windows(std::span<const int32_t> tokens, TargetRange range,
                                              const WindowShape& shape) {
  PG_CHECK(range.end <= static_cast<int64_t>(tokens.size()) + 1,
           "targets whose inputs are unknown");
  const auto is_start = [&](int64_t at) { return tokens[static_cast<size_t>(at)] == kBosId; };
  std::vector<EvalWindow> windows;
  if (range.first >= range.end) return windows;
  int64_t origin = range.first - 1;
  while (origin > 0 && !is_start(origin)) --origin;
  for (int64_t next = range.first; next < range.end;) {
    int64_t end = next + 1;
    while (end < range.end && !is_start(end - 1)) ++end;
    const std::vector<EvalWindow> document = plan_windows(origin, {next, end}, shape);
    windows.insert(windows.end(), document.begin(), document.end());
    origin = end - 1;
    next = end;
  }
  return windows;
}

}  // namespace pg
