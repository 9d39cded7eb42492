#include "src/text/text_format.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace pg {

std::string format_thousands(int64_t value) {
  std::string digits = fmt::format("{}", value);
  const int64_t first = value < 0 ? 1 : 0;
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<size_t>(at), 1, ',');
  }
  return digits;
}

std::string format_count(double value) {
  if (value >= 1e12) return fmt::format("{:.1f}T", value / 1e12);
  if (value >= 1e9) return fmt::format("{:.1f}G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f}M", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f}k", value / 1e3);
  return fmt::format("{:.0f}", value);
}

std::string format_date(int64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm day = {};
  ::localtime_r(&time, &day);
  return fmt::format("{:%Y-%m-%d}", day);
}

}  // namespace pg
