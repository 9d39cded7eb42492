#include "harness/record/machine.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string_view>
#include <thread>

#include "harness/record/build_info.h"

namespace pg {
namespace {

std::string system_name() {
  utsname system = {};
  if (::uname(&system) != 0) return "unknown system";
  const std::string_view release = system.release;
  return fmt::format("{} {}", system.sysname, release.substr(0, release.find('-')));
}

}  // namespace

// Arm Linux gives no "model name"; the architecture then has to do.
std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  utsname system = {};
  return ::uname(&system) == 0 ? std::string(system.machine) + " processor" : "unknown processor";
}

std::string describe_hardware() {
  const double memory_bytes = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                              static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  return fmt::format("{}, {} cores, {:.0f} GiB memory, {}", processor_name(),
                     std::thread::hardware_concurrency(), memory_bytes / 0x1p30, system_name());
}

std::string describe_program() {
  return fmt::format("revision {}, compiled by {}", kBuildInfo.revision, kBuildInfo.compiler);
}

bool is_dirty_build() { return std::string_view(kBuildInfo.revision).ends_with("-dirty"); }

int64_t peak_memory_bytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;  // Linux counts KiB
}

}  // namespace pg
