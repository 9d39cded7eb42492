// Windows stay on the stride grid and the last one is cut short, rather than moved left to end at
// the stream's end: the context of a target then depends on its position alone, and a longer stream
// leaves earlier scores as they are. It is also the corrected published schedule, so numbers
// compare.
#include "eval/window_schedule.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/error.h"

namespace pg {

std::vector<EvalWindow> plan_windows(int64_t targets, int64_t context, int64_t stride) {
  if (targets < 1) {
    throw Error(fmt::format(
        "validation stream has no target: {} tokens; give a stream of at least 2 tokens",
        targets + 1));
  }
  if (context < 1) {
    throw Error(fmt::format("eval.context is too small: {}; give at least 1", context));
  }
  if (stride < 1 || stride > context) {
    throw Error(fmt::format("eval.stride is out of range: {}; give 1 to eval.context = {}", stride,
                            context));
  }
  std::vector<EvalWindow> windows;
  windows.push_back({.begin = 0, .length = std::min(context, targets), .score_from = 0});
  for (int64_t scored = windows[0].length; scored < targets;) {
    const int64_t begin = scored - (context - stride);
    const int64_t length = std::min(context, targets - begin);
    windows.push_back({.begin = begin, .length = length, .score_from = context - stride});
    scored = begin + length;
  }
  return windows;
}

}  // namespace pg
