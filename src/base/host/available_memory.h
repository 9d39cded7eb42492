// Memory that this machine can still give, before it starts to end programs.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace pg {

// Bytes, by MemAvailable and SwapFree of /proc/meminfo; nothing where those are not said. `root` is put
// before /proc, for tests.
std::optional<int64_t> read_available_memory(const std::string& root = "");

}  // namespace pg
