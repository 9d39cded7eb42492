#include "src/base/host/available_memory.h"

#include <fstream>
#include <limits>

namespace pg {

std::optional<int64_t> read_available_memory(const std::string& root) {
  constexpr int64_t kKibibyte = 1024;
  std::ifstream file(root + "/proc/meminfo");
  std::optional<int64_t> available, swap;
  std::string key;
  int64_t kibibytes = 0;
  // "MemAvailable:   24576 kB"
  while (file >> key) {
    if (file >> kibibytes) {
      if (key == "MemAvailable:") available = kibibytes * kKibibyte;
      if (key == "SwapFree:") swap = kibibytes * kKibibyte;
    }
    file.clear();
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  if (!available) return std::nullopt;
  return *available + swap.value_or(0);
}

}  // namespace pg
