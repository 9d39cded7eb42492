// The one exception for a user's mistake or a failed machine (missing file, bad recipe key, full
// disk). Caught once, in main: one line, exit 1. A programmer's mistake is PG_CHECK (check.h).
#pragma once
#include <stdexcept>
#include <string>

namespace pg {

// Message form: "what happened: value; what to do" - lower case, no full stop, offending value in
// quotes.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace pg
