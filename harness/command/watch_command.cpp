// `train_gpt watch`: a run in progress, followed on the terminal by what it writes.
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "harness/command/commands.h"
#include "harness/record/progress_line.h"
#include "harness/record/run_watch.h"
#include "src/base/error.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr auto kPollTime = std::chrono::milliseconds(500);

struct WatchWords {
  std::filesystem::path run;
  int64_t wait_s = 0;
};

std::vector<Option> list_options(WatchWords& w) {
  return {
      {.name = "run",
       .value = &w.run,
       .help = "folder of a run, which may not be there yet",
       .is_required = true},
      {.name = "--wait-s",
       .value = &w.wait_s,
       .help = "seconds to wait for a run that is not there; 0 for as long as it takes",
       .range = OptionRange{0, 1000000}},
  };
}

int watch(const WatchWords& words, Clock& clock) {
  RunWatch run(words.run);
  ProgressLine line = ProgressLine::for_stream(stdout);
  const std::string shown = escape_terminal(words.run.string());
  const double begin_s = clock.now_s();
  int64_t shown_step = -1;
  for (;;) {
    const WatchState state = run.poll([&](const std::string& text) { line.print(text); });
    if (state == WatchState::kWaiting) {
      if (words.wait_s > 0 && clock.now_s() - begin_s > static_cast<double>(words.wait_s)) {
        line.finish();
        throw Error(fmt::format("no run in \"{}\" after {} s; start it, or give another folder",
                                shown, words.wait_s));
      }
      line.show(fmt::format("waiting for a run in \"{}\"", shown), false);
    }
    if (run.steps() != shown_step) {
      shown_step = run.steps();
      if (const std::string text = run.describe(); !text.empty()) line.show(text, false);
    }
    if (state == WatchState::kEnded || state == WatchState::kStopped) {
      if (const std::string text = run.describe(); !text.empty()) line.show(text, true);
      line.finish();
      if (state == WatchState::kEnded) {
        fmt::print("record {}\n", shown);
        return 0;
      }
      throw Error(
          fmt::format("the run in \"{}\" ended at step {} without a record; the same train_gpt run "
                      "goes on with "
                      "it",
                      shown, run.steps()));
    }
    std::this_thread::sleep_for(kPollTime);
  }
}

}  // namespace

Command make_watch_command() {
  return make_command<WatchWords>("watch", "follow a run in progress: steps, loss, time left",
                                  list_options, watch);
}

}  // namespace pg
