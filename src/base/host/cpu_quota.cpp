// cgroups(7). A group's quota binds all groups below it, so every level up to the mount counts. In a
// container the path in /proc/self/cgroup may be the host's, which its own /sys does not have:
// folders that are missing are passed over, and the mount itself is always looked at.
#include "src/base/host/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace pg {
namespace {

// The first line; empty for a missing file.
std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// quota / period, both in microseconds; "max" and -1 stand for no quota.
std::optional<double> parse_quota(const std::string& quota_and_period) {
  std::istringstream text(quota_and_period);
  double quota = 0.0, period = 0.0;
  if (!(text >> quota >> period) || quota <= 0.0 || period <= 0.0) return std::nullopt;
  return quota / period;
}

std::optional<double> read_group(const std::string& folder) {
  if (const auto quota = parse_quota(read_line(folder + "/cpu.max"))) return quota;
  return parse_quota(read_line(folder + "/cpu.cfs_quota_us") + " " +
                     read_line(folder + "/cpu.cfs_period_us"));
}

bool lists_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

std::optional<double> read_cpu_quota(const std::string& root) {
  std::optional<double> tightest;
  const auto look_at = [&](const std::string& folder) {
    const std::optional<double> quota = read_group(folder);
    if (quota) tightest = std::min(tightest.value_or(*quota), *quota);
  };
  const std::string mounts = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  // A line is "number:controllers:path"; version 2 names no controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !lists_cpu(controllers)) continue;
    for (const char* const mount : {"", "/unified", "/cpu", "/cpu,cpuacct", "/cpuacct,cpu"}) {
      std::string path = line.substr(second + 1);
      while (!path.empty() && path != "/") {
        look_at(mounts + mount + path);
        path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
      }
      look_at(mounts + mount);
    }
  }
  return tightest;
}

}  // namespace pg
