// The cores that this process may use, and what people ask for.
#include "src/base/thread_settings.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <system_error>

#include "src/base/host/cpu_quota.h"

namespace pg {
namespace {

// Working memory has a place for so many (CpuScratch).
constexpr int kMaxThreads = 1024;

// 0 for what is no number. Of a list, which OpenMP takes for nested loops, the first counts.
int read_thread_count(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc::result_out_of_range) {
    return text.starts_with('-') ? 0 : std::numeric_limits<int>::max();
  }
  const std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  const bool is_number = rest.empty() || rest.starts_with(',') || rest.starts_with(' ');
  return error == std::errc() && is_number ? count : 0;
}

}  // namespace

int granted_cores() {
  cpu_set_t set;
  const int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  // More threads than the quota would all be stopped for the rest of every period.
  const double quota = std::ceil(read_cpu_quota().value_or(cores));
  return static_cast<int>(std::clamp<double>(quota, 1.0, cores));
}

int default_thread_count() {
  const int cores = granted_cores();
  const char* text = std::getenv("OMP_NUM_THREADS");
  const bool is_given = text != nullptr && *text != '\0';
  const int wanted = is_given ? read_thread_count(text) : 0;
  if (wanted <= 0) {
    const int threads = std::min(cores, kMaxThreads);
    if (is_given) {
      std::fprintf(stderr,
                   "warning: OMP_NUM_THREADS is \"%.40s\", no number of threads: %d are used\n",
                   text, threads);
    }
    return threads;
  }
  // Threads that wait for a loop's end spin: of many to a core each takes the others' time.
  constexpr int kMostToACore = 4;
  const int most = std::min(kMostToACore * cores, kMaxThreads);
  if (wanted <= most) return wanted;
  std::fprintf(
      stderr,
      "warning: OMP_NUM_THREADS is %.40s, for %d cores: %d threads are used, more would only "
      "slow each other down\n",
      text, cores, most);
  return most;
}

}  // namespace pg
