// What the system says of a call that failed, with what to do about it: the one table of errno.
#pragma once
#include <string>
#include <string_view>

namespace pg {

// "No space left on device; free some space ...". `otherwise` stands behind an error that has no
// advice of its own.
std::string describe_system_error(int error, std::string_view otherwise = "check the path");

}  // namespace pg
