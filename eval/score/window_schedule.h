// Which window scores which target. Target t is position t of the stream, predicted from the tokens
// before it, so a stream of n tokens has targets 1 to n - 1. The published sliding evaluation scored
// the last `stride` targets of the stream up to context / stride times; here every target belongs to
// exactly one window.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace pg {

// Reads tokens [begin, begin + length), each to predict the token behind it, and scores what those
// from begin + score_from on predict.
struct EvalWindow {
  int64_t begin = 0;
  int64_t length = 0;      // at most context; less only where a text ends
  int64_t score_from = 0;  // 0 in the first window of a text, else context - stride

  int64_t scored() const { return length - score_from; }
  int64_t first_target() const { return begin + score_from + 1; }
  int64_t end_target() const { return begin + length + 1; }
  friend bool operator==(const EvalWindow&, const EvalWindow&) = default;
};

// How windows slide: 1 <= stride <= context; stride == context: no overlap.
struct WindowShape {
  int64_t context = 0, stride = 0;
};
// Throws Error when the shape has no meaning.
void check_window_shape(const WindowShape& shape);

// The targets [first, end) that the windows of a call shall score.
struct TargetRange {
  int64_t first = 0, end = 0;
};

// Windows over the text that begins at token `origin` < range.first, in order; their scored targets
// are exactly the range. Every target but those of the text's first window sees at least
// context - stride tokens before its own input. A window that the range cuts keeps its begin, so a
// target's context depends on its distance from the origin alone.
std::vector<EvalWindow> plan_windows(int64_t origin, TargetRange range, const WindowShape& shape);

// The same for a stream of documents, each a text of its own from its BOS on: no window reaches
// back over one. The BOS of the next document is the last target of a document. `tokens` holds those
// before the range's last target at least.
std::vector<EvalWindow> plan_document_windows(std::span<const int32_t> tokens, TargetRange range,
                                              const WindowShape& shape);

}  // namespace pg
