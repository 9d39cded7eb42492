// How many processors a container's quota grants this process.
#pragma once
#include <optional>
#include <string>

namespace pg {

// Processors per period of the tightest cgroup quota (cpu.max in version 2; cpu.cfs_quota_us and
// cpu.cfs_period_us in version 1) on this process's way to the root of its hierarchy; nothing where
// no quota is set or readable. `root` is put before /proc and /sys, for tests.
std::optional<double> read_cpu_quota(const std::string& root = "");

}  // namespace pg
