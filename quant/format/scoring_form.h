// The window that an artifact's score is for. Stored in it, so that a scorer needs only text and
// tokenizer.
#pragma once
#include <cstdint>

namespace pg {

struct ScoringForm {
  int64_t context = 2048, stride = 64;  // tokens; 1 <= stride <= context
};

}  // namespace pg
