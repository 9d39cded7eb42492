// A run in progress, followed from outside by what it writes: its events as they come, and what a person watches of them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/recipe/recipe.h"
#include "harness/record/run_events.h"

namespace pg {

// Bars of eight heights for up to `columns` means of equal runs of the values; those above the 98th of a hundred, the first
// steps of a run, are as high as that one. UTF-8.
std::string draw_sparkline(const std::vector<double>& values, int64_t columns);

// The lines that a file gained since it was last read. A last line without its end waits for the rest of it. A file that
// was cut back, as a resumed run's is to its checkpoint, or replaced is read from its start again.
class FollowedFile {
 public:
  explicit FollowedFile(std::filesystem::path path) : path_(std::move(path)) {}
  // `restart` is called before the first line of a file that is read anew.
  void read(const std::function<void()>& restart,
            const std::function<void(std::string_view)>& add_line);

 private:
  std::filesystem::path path_;
  uint64_t inode_ = 0;
  int64_t offset_ = 0;
  std::string rest_;
};

enum class WatchState : uint8_t {
  kWaiting,  // nothing is there yet
  kRunning,
  kEnded,    // with its record
  kStopped,  // nobody works on it, and it has no record
};

class RunWatch {
 public:
  explicit RunWatch(const std::filesystem::path& folder);

  // Reads what is new. Lines that stay (validation, notes, scores) go to `print`, shown as text.
  WatchState poll(const std::function<void(const std::string&)>& print);
  // "step 350/1000  loss 2.1934  <sparkline>  98.3k tok/s  102 s left  val 1.2345 bpb"; empty before the first step.
  std::string describe() const;
  int64_t steps() const;

 private:
  void print_event(EventKind kind, const std::function<void(const std::string&)>& print) const;

  std::filesystem::path folder_;
  FollowedFile events_file_;
  RunEvents events_;
  std::optional<Recipe> recipe_;
  bool has_started_ = false;
};

}  // namespace pg
