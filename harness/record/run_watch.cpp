#include "harness/record/run_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

#include "harness/record/folder_lock.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/inner_file.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostSmallBytes = uint64_t{1} << 20;  // of a recipe or a lock
constexpr size_t kMostLineBytes = size_t{1} << 20;

std::optional<std::string> read_small(const fs::path& folder, const char* name) {
  if (open_inner_file(folder, name).state != InnerFileState::kOpen) return std::nullopt;
  try {
    const Bytes bytes = read_file(folder / name, kMostSmallBytes);
    return std::string(bytes.begin(), bytes.end());
  } catch (const Error&) {  // it went meanwhile
    return std::nullopt;
  }
}

bool is_worked_on(const fs::path& folder) {
  const std::optional<std::string> lock = read_small(folder, ".run_lock");
  // One that has just been made is empty.
  return lock && (lock->empty() || may_be_alive(*lock));
}

}  // namespace

std::string draw_sparkline(const std::vector<double>& values, int64_t columns) {
  constexpr std::array kBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::vector<double> finite;
  std::ranges::copy_if(values, std::back_inserter(finite),
                       [](double v) { return std::isfinite(v); });
  if (finite.empty() || columns < 1) return {};
  const auto count = std::min(finite.size(), static_cast<size_t>(columns));
  std::vector<double> means(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * finite.size() / count, end = (i + 1) * finite.size() / count;
    double sum = 0;
    for (size_t k = begin; k < end; ++k) sum += finite[k];
    means[i] = sum / static_cast<double>(end - begin);
  }
  std::vector<double> sorted = finite;
  std::ranges::sort(sorted);
  const double low = *std::ranges::min_element(means);
  const double high = sorted[(98 * (sorted.size() - 1) + 99) / 100];
  std::string text;
  for (const double mean : means) {
    const double part = high > low ? std::clamp((mean - low) / (high - low), 0.0, 1.0) : 0;
    text += kBars[static_cast<size_t>(std::lround(part * (kBars.size() - 1)))];
  }
  return text;
}

void FollowedFile::read(const std::function<void()>& restart,
                        const std::function<void(std::string_view)>& add_line) {
  const InnerFile inner = open_inner_file(path_.parent_path(), path_.filename().string());
  struct stat status {};
  if (inner.state != InnerFileState::kOpen || ::fstat(inner.file.get(), &status) != 0) return;
  if (status.st_ino != inode_ || status.st_size < offset_) {
    inode_ = status.st_ino;
    offset_ = 0;
    rest_.clear();
    restart();
  }
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const ssize_t n = ::pread(inner.file.get(), buffer.data(), buffer.size(), offset_);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    offset_ += n;
    rest_.append(buffer.data(), static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
      add_line(std::string_view(rest_).substr(begin, end - begin));
      begin = end + 1;
    }
    rest_.erase(0, begin);
    if (rest_.size() > kMostLineBytes) rest_.clear();  // no line of ours
  }
}

RunWatch::RunWatch(const fs::path& folder) : folder_(folder), events_file_(folder / "run.jsonl") {}

WatchState RunWatch::poll(const std::function<void(const std::string&)>& print) {
  // In this order: who ends has written all that is looked at after it, its record and its last events.
  const bool is_alive = is_worked_on(folder_);
  const bool has_record =
      open_inner_file(folder_, "submission.json").state == InnerFileState::kOpen;
  events_file_.read(
      [&] {
        events_ = {};
        recipe_.reset();
        has_started_ = true;
      },
      [&](std::string_view line) { print_event(events_.add_event(line), print); });
  if (has_started_ && !recipe_) {
    if (const auto text = read_small(folder_, "recipe.toml")) {
      try {
        Recipe recipe;
        apply_toml(recipe, *text, "recipe.toml");
        recipe_ = recipe;
      } catch (const Error&) {  // of another version: the line does without
      }
    }
  }
  if (is_alive) return has_started_ ? WatchState::kRunning : WatchState::kWaiting;
  if (has_record) return WatchState::kEnded;
  return has_started_ ? WatchState::kStopped : WatchState::kWaiting;
}

void RunWatch::print_event(EventKind kind,
                           const std::function<void(const std::string&)>& print) const {
  switch (kind) {
    case EventKind::kValidation: {
      const LossPoint& point = events_.curve.validation.back();
      return print(fmt::format("step {}  validation {:.4f} nats, {:.4f} bits per byte", point.step,
                               point.loss_nats, point.bits_per_byte));
    }
    case EventKind::kStop:
      return print(fmt::format("training stopped: {}, at step {}",
                               escape_terminal(events_.stop_reason), steps()));
    case EventKind::kScore:
      return print(fmt::format("{}  {:.6f} bits per byte",
                               escape_terminal(events_.stages.back().stage),
                               events_.stages.back().bits_per_byte));
    case EventKind::kNote:
      return print(escape_terminal(events_.last_text));
    default:
      return;
  }
}

int64_t RunWatch::steps() const { return events_.steps.empty() ? 0 : events_.steps.back().step; }

std::string RunWatch::describe() const {
  if (events_.steps.empty()) return {};
  constexpr int64_t kSparkColumns = 24;
  const StepEvent& last = events_.steps.back();
  std::vector<double> losses;
  for (const LossPoint& point : events_.curve.train) losses.push_back(point.loss_nats);
  std::string text = fmt::format("step {}", last.step);
  double left_s = -1;
  if (recipe_) {
    const TrainConfig& train = recipe_->train;
    text += fmt::format("/{}", train.max_steps);
    left_s = last.train_s / static_cast<double>(std::max<int64_t>(last.step, 1)) *
             static_cast<double>(train.max_steps - last.step);
    if (train.wallclock_s > 0) left_s = std::min(left_s, train.wallclock_s - last.train_s);
  }
  text += fmt::format("  loss {:.4f}  {}", losses.back(), draw_sparkline(losses, kSparkColumns));
  if (last.tokens_per_s > 0) text += fmt::format("  {} tok/s", format_count(last.tokens_per_s));
  if (left_s >= 0 && events_.stop_reason.empty()) text += fmt::format("  {:.0f} s left", left_s);
  if (!events_.curve.validation.empty()) {
    text += fmt::format("  val {:.4f} bpb", events_.curve.validation.back().bits_per_byte);
  }
  if (last.projected_bytes > 0)
    text += fmt::format("  {} B", format_thousands(last.projected_bytes));
  return text;
}

}  // namespace pg
