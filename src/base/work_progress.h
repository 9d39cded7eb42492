// How long work tells the people who wait what it is doing.
#pragma once
#include <functional>
#include <string>

namespace pg {

// Called with what is being done now ("quantise: try 3, 12 of 66 tensors"), up to some hundred
// times a second; who shows it chooses which. May throw, which ends the work. May be empty.
using WorkProgressFn = std::function<void(const std::string&)>;

}  // namespace pg
