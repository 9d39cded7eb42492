#include "harness/command/run_series.h"

#include <fmt/format.h>

#include "harness/command/interrupt.h"
#include "src/base/error.h"

namespace pg {
namespace {

constexpr const char* kGoesOn =
    "the same command again goes on from there, what is finished stays as it is";

}  // namespace

void RunSeries::run(RunOptions options, const std::string& what) {
  options.is_one_of_several = true;
  const double begin_s = clock_.now_s();
  // The first one's is the start of the process, where the caller knows no better.
  if (!is_first_ && !options.start_s) options.start_s = begin_s;
  is_first_ = false;
  if (run_(options, clock_) != 0) throw Error(fmt::format("{} failed; {}", what, kGoesOn));
  spent_s_ += clock_.now_s() - begin_s;
  runs_ += 1;
}

void RunSeries::end_if_asked(const std::string& what) {
  if (is_interrupt_requested()) {
    throw Interrupted(fmt::format("interrupted after {}; {}", what, kGoesOn));
  }
}

std::string RunSeries::forecast(int64_t runs, double budget_s) const {
  const double mean_s = runs_ > 0 ? spent_s_ / runs_ : budget_s;
  if (mean_s <= 0) return "no budget";
  return fmt::format("{} {}", runs_ > 0 ? "about" : "at most about",
                     format_duration(mean_s * static_cast<double>(runs)));
}

std::string format_duration(double seconds) {
  return seconds < 90 ? fmt::format("{:.0f} s", seconds) : fmt::format("{:.0f} min", seconds / 60);
}

}  // namespace pg
