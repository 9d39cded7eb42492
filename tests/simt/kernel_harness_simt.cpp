// Kernel tests on the host executor: plain memory, eight schedules.
#include <array>
#include <cstdlib>
#include <new>

#include "kernels/simt/simt_executor.h"
#include "kernels/simt/simt_races.h"
#include "tests/simt/device_memory.h"
#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {

std::string reason_to_skip() { return ""; }

void* allocate_device(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes) != 0) throw std::bad_alloc();
  note_allocated(memory, bytes);
  return memory;
}
void release_device(void* memory) {
  note_released(memory);
  std::free(memory);
}
void upload(void* device_to, const void* host_from, size_t bytes) {
  std::memcpy(device_to, host_from, bytes);
}
void download(void* host_to, const void* device_from, size_t bytes) {
  std::memcpy(host_to, device_from, bytes);
}

std::string for_each_schedule(const std::function<std::string()>& run) {
  using enum simt::Schedule;
  struct NamedSchedule {
    const char* name;
    simt::Schedule schedule;
    uint64_t seed;
    bool copy_early;
  };
  // Greedy with several seeds: which warp starves decides whether a race shows. Asynchronous copies
  // land late under some, early under others.
  static constexpr auto kSchedules = std::to_array<NamedSchedule>({
      {"forward", kForward, 1, false},
      {"reverse", kReverse, 1, true},
      {"greedy 1", kGreedy, 1, false},
      {"greedy 2", kGreedy, 2, true},
      {"greedy 3", kGreedy, 3, true},
      {"random 1", kRandom, 1, true},
      {"random 2", kRandom, 2, false},
      {"random 3", kRandom, 3, true},
  });
  for (const NamedSchedule& s : kSchedules) {
    const simt::ScopedOptions options(
        {.schedule = s.schedule, .seed = s.seed, .copy_early = s.copy_early});
    std::string error;
    try {
      error = run();
    } catch (const simt::LaunchError& launch) {
      error = launch.what();
    }
    if (error.empty()) error = simt::take_race();
    if (!error.empty()) return std::string("schedule ") + s.name + ": " + error;
    if (simt::are_accesses_watched()) break;  // a race shows in any
  }
  return "";
}

}  // namespace pg::kerneltest
