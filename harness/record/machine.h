// What a figure was measured on, for logs and records.
#pragma once
#include <cstdint>
#include <string>

namespace pg {

// "Intel(R) Xeon(R) Platinum 8488C".
std::string processor_name();
// "Intel(R) Xeon(R) Platinum 8488C, 2 cores, 15 GiB memory, Linux 6.1".
std::string describe_hardware();
// "revision 45f0b4c5a1b2, compiled by GNU 12.2.0".
std::string describe_program();
// Whether it was built from a changed tree.
bool is_dirty_build();
// Largest resident size of this process so far.
int64_t peak_memory_bytes();

}  // namespace pg
