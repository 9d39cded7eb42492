// Numbers as people read them.
#pragma once
#include <cstdint>
#include <string>

namespace pg {

std::string format_thousands(int64_t value);  // 15,930,354
std::string format_count(double value);       // 812, 98.3k, 17.1M, 1.2G, 3.5T

// Local calendar day of a Unix time, YYYY-MM-DD.
std::string format_date(int64_t unix_s);

}  // namespace pg
