// One number that fills the cap: the scale of all steps at which the artifact just fits.
#pragma once
#include <cstdint>
#include <functional>

namespace pg {

struct FillTask {
  std::function<double(double scale)> estimate;  // bytes, cheap and within some percent
  std::function<int64_t(double scale)> measure;  // bytes of the real artifact
  int64_t limit_bytes = 0;                       // the most that fits
  double least_scale = 0;                        // finer steps gain nothing
  double elements = 0;                           // weights whose bytes depend on the scale
};

// Bytes that a filled artifact may leave free.
constexpr int64_t kFillSlackBytes = 192;

// A scale whose artifact fits, with at most kFillSlackBytes to spare unless least_scale leaves
// more. Throws Error when none fits. `measure` was last called with the scale that is returned.
double fill_cap(const FillTask& task);

}  // namespace pg
