// Programs that stand beside this one or are installed, run without a shell.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pg {

enum class ChildOutput : uint8_t { kOurs, kDropped };

// Runs it to its end; gives its exit code, as a shell does where a signal ended it, and nothing when
// there is no such program. Throws Error when it cannot be run.
std::optional<int> run_child(std::vector<std::string> arguments, ChildOutput output);

}  // namespace pg
