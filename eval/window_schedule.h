// Which window scores which target. A stream of n tokens has n - 1 targets: target t is token t +
// 1, predicted from tokens up to t. The published sliding evaluation scored the last `stride`
// targets of the stream up to context / stride times; here every target belongs to exactly one
// window.
#pragma once
#include <cstdint>
#include <vector>

namespace pg {

// Reads tokens [begin, begin + length) as inputs and scores the targets [begin + score_from, begin
// + length).
struct EvalWindow {
  int64_t begin = 0;
  int64_t length = 0;      // at most context; less only in the last window
  int64_t score_from = 0;  // 0 in the first window, else context - stride

  int64_t scored() const { return length - score_from; }
  friend bool operator==(const EvalWindow&, const EvalWindow&) = default;
};

// Windows in stream order; their scored targets are consecutive and cover [0, targets). Every
// target but those of the first window sees at least context - stride tokens before its own input.
// stride == context: no overlap. Throws Error when there is no target, or not 1 <= stride <=
// context.
std::vector<EvalWindow> plan_windows(int64_t targets, int64_t context, int64_t stride);

}  // namespace pg
