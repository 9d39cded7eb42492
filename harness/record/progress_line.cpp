#include "harness/record/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include "src/text/terminal_text.h"
#include "src/text/text_format.h"

namespace pg {

namespace {

// Where the clock will end the training before max_steps do, those would only mislead.
std::string describe_place(const StepReport& report, int64_t max_steps) {
  const double steps_left = report.time_left_s / std::max(report.step_s, 1e-9);
  const bool clock_rules = report.time_left_s > 0 && static_cast<double>(report.step) + steps_left <
                                                         static_cast<double>(max_steps);
  if (!clock_rules) return fmt::format("step {}/{}", report.step, max_steps);
  return fmt::format("step {}  {:.0f}% of {:.0f} s", report.step,
                     100 * report.train_s / (report.train_s + report.time_left_s),
                     report.train_s + report.time_left_s);
}

}  // namespace

std::string format_progress(const StepReport& report, int64_t max_steps) {
  std::string text =
      fmt::format("{}  {:.1f} ms  {} tok/s  loss {:.4f}  lr x{:.2f}",
                  describe_place(report, max_steps), report.step_s * 1e3,
                  format_count(report.tokens_per_s), report.loss_nats, report.lr_multiplier);
  if (report.speed_of_light > 0) {
    text += fmt::format("  {:.0f}% of peak", report.speed_of_light * 100);
  }
  if (report.time_left_s > 0) text += fmt::format("  {:.0f} s left", report.time_left_s);
  if (report.projected_bytes > 0) {
    text += fmt::format("  ~{} B", format_thousands(report.projected_bytes));
  }
  return text;
}

std::string format_progress(const EvalProgress& progress) {
  const auto total = static_cast<double>(progress.tokens_total > 0 ? progress.tokens_total : 1);
  std::string text =
      fmt::format("eval {:.0f}%  {:.4f} bits/byte",
                  100 * static_cast<double>(progress.tokens_done) / total, progress.bits_per_byte);
  const double left_s = progress.projected_s() - progress.elapsed_s;
  if (left_s >= 1) text += fmt::format("  {:.0f} s left", left_s);
  return text;
}

void ScoringProgress::show(const EvalProgress& progress) {
  constexpr double kSettledSeconds = 3;  // before that planning and first touches weigh too much
  const bool is_over = progress.budget_s > 0 && progress.projected_s() > progress.budget_s;
  if (is_over && !has_warned_ && progress.elapsed_s > kSettledSeconds) {
    has_warned_ = true;
    line_->warn(fmt::format(
        "scoring will take about {:.0f} s of {:.0f} s at this pace: the score will not count under "
        "this budget; Ctrl-C ends it; a larger eval.stride, fewer documents, or less of [ttt] and "
        "[mix] make it faster, eval.wallclock_s is the budget",
        progress.projected_s(), progress.budget_s));
  }
  line_->show(format_progress(progress), false);
}

ProgressLine::ProgressLine(std::FILE* out, TerminalStyle style, bool use_colour,
                           std::unique_ptr<Clock> clock)
    : out_(out),
      style_(style),
      use_colour_(use_colour),
      clock_(std::move(clock)),
      last_line_s_(clock_->now_s()) {}

ProgressLine::ProgressLine(ProgressLine&& other) noexcept
    : out_(other.out_),
      style_(other.style_),
      use_colour_(other.use_colour_),
      clock_(std::move(other.clock_)),
      last_line_s_(other.last_line_s_),
      is_open_(std::exchange(other.is_open_, false)),
      is_lost_(other.is_lost_),
      report_(std::move(other.report_)) {}

ProgressLine ProgressLine::for_stream(std::FILE* out) {
  const char* term = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");
  const bool is_terminal =
      ::isatty(::fileno(out)) == 1 && term != nullptr && std::string_view(term) != "dumb";
  const bool use_colour = is_terminal && (no_colour == nullptr || *no_colour == '\0');
  return {out, is_terminal ? TerminalStyle::kRewrite : TerminalStyle::kPlain, use_colour};
}

void ProgressLine::show(const std::string& text, bool is_logged) {
  if (style_ == TerminalStyle::kPlain) {
    if (is_logged || clock_->now_s() - last_line_s_ >= kQuietSeconds) print(text);
    return;
  }
  write(fmt::format("\r{}\x1b[K", cut_to_terminal(text, out_)));
  is_open_ = true;
}

void ProgressLine::print(const std::string& line) {
  const bool was_open = std::exchange(is_open_, false);
  last_line_s_ = clock_->now_s();
  write((was_open ? "\r\x1b[K" : "") + line + "\n");
}

void ProgressLine::warn(const std::string& message) {
  print(fmt::format("{}warning:{} {}", use_colour_ ? "\x1b[33m" : "", use_colour_ ? "\x1b[0m" : "",
                    message));
}

void ProgressLine::finish() {
  if (std::exchange(is_open_, false)) write("\n");
}

void ProgressLine::write(const std::string& text) {
  if (std::fputs(text.c_str(), out_) >= 0 && std::fflush(out_) == 0) return;
  const std::string reason = std::generic_category().message(errno);
  std::clearerr(out_);
  if (std::exchange(is_lost_, true) || !report_) return;
  report_("progress cannot be shown (" + reason + "); the run goes on without");
}

}  // namespace pg
