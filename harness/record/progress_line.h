// What a person watches: on a terminal one line that is rewritten in place, elsewhere a line per
// logged step, and one every few seconds where nothing is logged.
#pragma once
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "eval/score.h"
#include "src/base/clock.h"
#include "src/train/trainer.h"

namespace pg {

// "step 120/20000  83.4 ms  98.3k tok/s  loss 2.1934  lr x0.83  41% of peak  102.9 s left  912,345
// B"; parts that are unknown are left out. Where the clock will end the training it is "step 120  17%
// of 600 s".
std::string format_progress(const StepReport& report, int64_t max_steps);

// "eval 34%  1.9123 bits/byte  41 s left".
std::string format_progress(const EvalProgress& progress);

enum class TerminalStyle : uint8_t {
  kPlain,    // no terminal: lines only
  kRewrite,  // a terminal: the line is rewritten in place
};

class ProgressLine {
 public:
  // Without a terminal, time since the last line is by `clock`.
  ProgressLine(std::FILE* out, TerminalStyle style, bool use_colour,
               std::unique_ptr<Clock> clock = std::make_unique<SteadyClock>());
  // Reads what `out` is from isatty, TERM and NO_COLOR.
  static ProgressLine for_stream(std::FILE* out);
  ~ProgressLine() {
    report_ = nullptr;  // who listens may be gone
    finish();
  }
  ProgressLine(ProgressLine&& other) noexcept;
  ProgressLine& operator=(ProgressLine&&) = delete;

  // Shows `text` now; `is_logged` marks what is worth a line of its own where lines cannot be
  // rewritten. Other texts are shown there once the last line is kQuietSeconds old.
  static constexpr double kQuietSeconds = 5;
  void show(const std::string& text, bool is_logged);
  // Called once, when something cannot be shown: the terminal is gone, or who read the pipe. Further
  // lines are tried as before; nothing here ends the program.
  void report_loss(std::function<void(const std::string& message)> report) {
    report_ = std::move(report);
  }

  // A line that stays.
  void print(const std::string& line);
  void warn(const std::string& message);
  // Ends a line that was being rewritten.
  void finish();

 private:
  void write(const std::string& text);

  std::FILE* out_;
  TerminalStyle style_;
  bool use_colour_;
  std::unique_ptr<Clock> clock_;
  double last_line_s_;
  bool is_open_ = false, is_lost_ = false;
  std::function<void(const std::string&)> report_;
};

// Shows how far scoring is, and warns, once and early, when it will not end within its budget.
class ScoringProgress {
 public:
  explicit ScoringProgress(ProgressLine& line) : line_(&line) {}
  void show(const EvalProgress& progress);

 private:
  ProgressLine* line_;
  bool has_warned_ = false;
};

}  // namespace pg
