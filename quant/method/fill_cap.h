// One number that fills the cap: the coarseness of all scales at which the artifact just fits.
#pragma once
#include <cstdint>
#include <functional>

namespace pg {

// Bytes that a filled artifact may leave free.
constexpr int64_t kFillSlackBytes = 192;

struct FillTask {
  std::function<double(double coarseness)> estimate;  // bytes, cheap and within some percent
  std::function<int64_t(double coarseness)> measure;  // bytes of the real artifact
  int64_t limit_bytes = 0;                            // the most that fits
  double least_coarseness = 0;                        // finer scales gain nothing
  double elements = 0;  // weights whose bytes depend on the coarseness
  int64_t slack_bytes = kFillSlackBytes;
  int most_measurements = 48;
};

// Where the estimate meets the limit, about; fill_cap() starts there.
double guess_coarseness(const FillTask& task);

// A coarseness whose artifact fits, with at most slack_bytes to spare unless least_coarseness
// leaves more. Throws Error when none fits. `measure` was last called with what is returned.
double fill_cap(const FillTask& task);

}  // namespace pg
