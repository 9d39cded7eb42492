// Time is a parameter: whatever decides by the clock takes a Clock, so that tests and replays can
// drive it.
#pragma once
#include <chrono>

namespace pg {

class Clock {
 public:
  virtual ~Clock() = default;
  // Seconds since an arbitrary fixed start; never goes backwards.
  virtual double now_s() = 0;
};

class SteadyClock final : public Clock {
 public:
  double now_s() override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

// A clock that a test moves by hand.
class ManualClock final : public Clock {
 public:
  double now_s() override { return now_s_; }
  void advance_s(double seconds) { now_s_ += seconds; }

 private:
  double now_s_ = 0.0;
};

}  // namespace pg
