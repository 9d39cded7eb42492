// How often something happened, forgetting slowly: the mean at first, then an exponential average.
#pragma once
#include <algorithm>

namespace pg {

struct AdaptiveRate {
  float rate = 0.5f;
  float events = 2;  // that the start value counts for

  void learn(bool happened) {
    constexpr float kMemory = 1000;  // events; text drifts from document to document
    events = std::min(events + 1, kMemory);
    rate += ((happened ? 1.0f : 0.0f) - rate) / events;
  }
};

}  // namespace pg
