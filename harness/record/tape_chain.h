// The lines of a tape, chained: each ends in the member "chain", the SHA-256 of the value before it
// (32 bytes, at first zeros) and of the line's own bytes without that member. So no line can be
// changed, removed, added or moved without every value after it being another.
//
// A start line and the closing line show all 64 digits: each of these stands for all lines before it,
// by itself. A step's line shows 16 of them, which tell where a tape was changed; the chain goes on
// from the whole value, so nothing is lost by it, and a record of 3,000 steps is 140 KB smaller.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "src/base/hash.h"

namespace pg {

class TapeChain {
 public:
  // `line`, a JSON object with a member at least, without line break: gives it with its "chain".
  std::string link(std::string_view line);
  // Whether `line` is the next one as link() gave it; goes on from it only then.
  bool follow(std::string_view line);

 private:
  Sha256 next(std::string_view bare_line) const;

  Sha256 value_ = {};
};

// Whether a line ends in a "chain" of any digits.
bool is_chained(std::string_view line);

}  // namespace pg
