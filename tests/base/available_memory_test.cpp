// From fake /proc/meminfo, and of this machine.
#include "src/base/host/available_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace pg {
namespace {

std::optional<int64_t> read_text(const std::string& text) {
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / ("pg_memory_" + std::to_string(::getpid()));
  std::filesystem::create_directories(root / "proc");
  std::ofstream(root / "proc/meminfo") << text;
  const std::optional<int64_t> bytes = read_available_memory(root.string());
  std::filesystem::remove_all(root);
  return bytes;
}

TEST(AvailableMemory, IsWhatTheMachineCanGiveAndItsSwap) {
  EXPECT_EQ(read_text("MemTotal:  900 kB\nMemAvailable:  500 kB\nSwapFree:  20 kB\n"), 520 * 1024);
  EXPECT_EQ(read_text("MemAvailable: 500 kB\nHugePages_Free: 0\n"), 500 * 1024);
}

TEST(AvailableMemory, IsUnknownWhereItIsNotSaid) {
  EXPECT_EQ(read_text(""), std::nullopt);
  EXPECT_EQ(read_text("MemTotal: 900 kB\nMemAvailable: much\n"), std::nullopt);
  EXPECT_EQ(read_available_memory("/nonexistent"), std::nullopt);
}

TEST(AvailableMemory, OfThisMachineIsSome) { EXPECT_GT(read_available_memory().value_or(1), 0); }

}  // namespace
}  // namespace pg
