// Several runs in one process, one after another: of a set of seeds, of a suite.
#pragma once
#include <string>

#include "harness/command/cli.h"
#include "src/base/clock.h"

namespace pg {

class RunSeries {
 public:
  // `run` and `clock` must outlive this.
  RunSeries(const RunFunction& run, Clock& clock) : run_(run), clock_(clock) {}

  // Does one run; an interrupt in its training leaves a checkpoint, not a short record. Throws Error, naming
  // `what` ("seed 42"), where it fails.
  void run(RunOptions options, const std::string& what);
  // After a run that is not the last: throws Interrupted where a signal asked for the end.
  static void end_if_asked(const std::string& what);
  bool has_run() const { return runs_ > 0; }
  // "about 12 min", by the mean of the runs so far; before the first "at most about", with `budget_s` each.
  std::string forecast(int64_t runs, double budget_s) const;

 private:
  const RunFunction& run_;
  Clock& clock_;
  bool is_first_ = true;
  double spent_s_ = 0, runs_ = 0;  // of those that ended
};

// "80 s", "12 min".
std::string format_duration(double seconds);

}  // namespace pg
