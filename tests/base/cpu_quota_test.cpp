// Container quotas from fake trees of /proc and /sys.
#include "src/base/host/cpu_quota.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace pg {
namespace {

class CpuQuota : public testing::Test {
 protected:
  ~CpuQuota() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::optional<double> read() const { return read_cpu_quota(root_.string()); }

 private:
  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("pg_cpu_quota_" + std::to_string(::getpid()));
};

TEST_F(CpuQuota, IsAbsentWithoutCgroups) {
  EXPECT_EQ(read(), std::nullopt);
  write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(CpuQuota, ReadsVersion2) {
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/cpu.max", "150000 100000\n");
  EXPECT_EQ(read(), 1.5);
}

TEST_F(CpuQuota, MaxIsNoQuota) {
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/cpu.max", "max 100000\n");
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(CpuQuota, TheTightestLevelBinds) {
  write("proc/self/cgroup", "0::/slice/job/task\n");
  write("sys/fs/cgroup/slice/cpu.max", "200000 100000\n");
  write("sys/fs/cgroup/slice/job/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/slice/job/task/cpu.max", "800000 100000\n");
  EXPECT_EQ(read(), 2.0);
}

TEST_F(CpuQuota, ReadsVersion1) {
  for (const std::string mount : {"cpu", "cpu,cpuacct"}) {
    write("proc/self/cgroup", "5:cpuset:/\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n");
    write("sys/fs/cgroup/" + mount + "/docker/abc/cpu.cfs_quota_us", "300000\n");
    write("sys/fs/cgroup/" + mount + "/docker/abc/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(read(), 3.0) << mount;
    write("sys/fs/cgroup/" + mount + "/docker/abc/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(read(), std::nullopt) << mount;
  }
}

// In a container /proc/self/cgroup names the host's path, and the mount is the group itself.
TEST_F(CpuQuota, TheMountCountsWhenThePathIsTheHosts) {
  write("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read(), 0.5);
}

TEST_F(CpuQuota, OtherControllersDoNotCount) {
  write("proc/self/cgroup", "4:cpuset:/a\n5:cpuacct:/a\n");
  write("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(CpuQuota, GarbageIsNoQuota) {
  write("proc/self/cgroup", "no colons\n::\n0:/job\n0::/job\n0::job\n0::\n");
  for (const char* const text : {"", "\n", "x y\n", "100000\n", "100000 0\n", "0 100000\n",
                                 "-5 100000\n", "100000 -5\n", "nan nan\n", "\xff\xfe\n"}) {
    write("sys/fs/cgroup/job/cpu.max", text);
    EXPECT_EQ(read(), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace pg
