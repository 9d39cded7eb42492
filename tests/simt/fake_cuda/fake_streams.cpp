#include "tests/simt/fake_cuda/fake_streams.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <optional>
#include <random>
#include <utility>

#include "kernels/simt/simt_executor.h"
#include "kernels/simt/simt_races.h"

namespace pg::fake_cuda {
namespace {

// Nobody needs as long for a piece of work: who waits longer waits for ever.
constexpr auto kHang = std::chrono::seconds(20);

struct Scheduler {
  std::condition_variable_any changes;
  std::vector<std::unique_ptr<::CUstream_st>> streams;
  uint64_t given = 0;
  Order order = Order::kAtOnce;
  std::mt19937_64 random;
  // The piece of work that runs.
  uint32_t running = 0;
  Clock running_clock;
};

Scheduler& scheduler() {
  static Scheduler the_scheduler;
  return the_scheduler;
}

// "adamw_kernel" of pg::kernels::adamw_kernels::(...)
std::string name_kernel(const void* kernel) {
  ::Dl_info info = {};
  if (::dladdr(kernel, &info) == 0 || info.dli_sname == nullptr) return "a kernel";
  int status = 0;
  char* const whole = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string name = status == 0 ? whole : info.dli_sname;
  std::free(whole);
  name.resize(std::min(name.size(), name.find_first_of("(<")));
  if (const size_t space = name.rfind(' '); space != std::string::npos) name.erase(0, space + 1);
  if (const size_t scope = name.rfind("::"); scope != std::string::npos) name.erase(0, scope + 2);
  return name;
}

class StreamLauncher final : public simt::ScopedRecorder {
 public:
  void add_launch(std::function<void()> work, const void* kernel, ::CUstream_st* stream) override {
    const std::lock_guard lock(world());
    if (is_launch_refused()) return;
    if (!is_stream(stream)) {  // of another device of this thread
      const simt::ScopedRunning running;
      return work();
    }
    give(stream, Work{name_kernel(kernel), {}, {}, std::move(work)});
  }
};

struct Thread {
  int device = 0;
  ::CUstream_st* last_stream = nullptr;
  int timeline = -1;
  Clock clock;
  bool is_running_work = false;
  std::optional<StreamLauncher> launcher;
};

Thread& own() {
  thread_local Thread the_thread;
  if (the_thread.timeline < 0) the_thread.timeline = checker().add_timeline();
  return the_thread;
}

// The thread runs work of streams, and gives none.
struct Running {
  Running() { own().is_running_work = true; }
  ~Running() {
    own().is_running_work = false;
    scheduler().running = 0;
  }
  const simt::ScopedRunning launches_run;
};

bool may_run(const Task& task) {
  if (task.awaited != nullptr) return task.awaited->is_done;
  return task.meeting == nullptr || task.meeting->is_complete();
}

void run_next(::CUstream_st& stream) {
  const Task task = stream.tasks.front();
  // A meeting asks whether its parts are next.
  if (task.meeting == nullptr) stream.tasks.pop_front();
  stream.clock.join(task.host);
  if (task.awaited != nullptr) stream.clock.join(task.awaited->clock);
  if (task.record != nullptr) {
    stream.clock.tick(stream.timeline);
    task.record->is_done = true;
    task.record->clock = stream.clock;
  } else if (task.meeting != nullptr) {
    const Running running;
    task.meeting->run(stream.timeline, stream.clock);
    stream.tasks.pop_front();
  } else if (task.work.run) {
    Scheduler& s = scheduler();
    s.running = checker().begin(stream.timeline, stream.clock, task.work.name + stream.name);
    s.running_clock = stream.clock;
    for (const MemoryRange& range : task.work.reads) {
      checker().access(s.running, s.running_clock, range.data, range.bytes, false);
    }
    for (const MemoryRange& range : task.work.writes) {
      checker().access(s.running, s.running_clock, range.data, range.bytes, true);
    }
    const Running running;
    task.work.run();
  }
  announce();
}

// The stream whose next piece runs, or null.
::CUstream_st* choose() {
  Scheduler& s = scheduler();
  std::vector<::CUstream_st*> able;
  for (const auto& stream : s.streams) {
    if (!stream->tasks.empty() && may_run(stream->tasks.front())) able.push_back(stream.get());
  }
  if (able.empty()) return nullptr;
  if (s.order == Order::kRandom) return able[s.random() % able.size()];
  const auto rank = [&](const ::CUstream_st* stream) {
    const auto number = static_cast<int64_t>(stream->tasks.front().number);
    const bool is_first = stream->place == 0;
    switch (s.order) {
      case Order::kLastGiven:
        return std::pair<int64_t, int64_t>(0, -number);
      case Order::kComputeFirst:
        return std::pair<int64_t, int64_t>(is_first ? 0 : 1, number);
      case Order::kSideFirst:
        return std::pair<int64_t, int64_t>(is_first ? 1 : 0, number);
      default:
        return std::pair<int64_t, int64_t>(0, number);
    }
  };
  return *std::min_element(able.begin(), able.end(),
                           [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
}

bool run_one() {
  ::CUstream_st* const stream = choose();
  if (stream == nullptr) return false;
  run_next(*stream);
  return true;
}

// What an order runs before it must: all of it, that of the streams it prefers, or as chance has it.
void run_early() {
  Scheduler& s = scheduler();
  if (s.order == Order::kAtOnce) {
    while (run_one()) {
    }
  } else if (s.order == Order::kRandom) {
    for (uint64_t turns = s.random() % 3; turns > 0 && run_one(); --turns) {
    }
  } else if (s.order == Order::kSideFirst || s.order == Order::kComputeFirst) {
    for (;;) {
      ::CUstream_st* const stream = choose();
      const bool is_preferred =
          stream != nullptr && (stream->place == 0) == (s.order == Order::kComputeFirst);
      if (!is_preferred) return;
      run_next(*stream);
    }
  }
}

template <class IsSo>
bool run_until(const IsSo& is_so) {
  const auto end = std::chrono::steady_clock::now() + kHang;
  while (!is_so()) {
    if (run_one()) continue;
    if (scheduler().changes.wait_until(world(), end) == std::cv_status::timeout) return is_so();
  }
  return true;
}

void add_task(::CUstream_st* stream, Task task) {
  Thread& thread = own();
  thread.last_stream = stream;
  task.number = ++scheduler().given;
  task.host = thread.clock;
  // What the thread does from now on is not behind this.
  thread.clock.tick(thread.timeline);
  stream->tasks.push_back(std::move(task));
  announce();
  run_early();
}

void hear_kernel(const void* at, size_t bytes, bool is_write) {
  Scheduler& s = scheduler();
  if (s.running != 0) checker().access(s.running, s.running_clock, at, bytes, is_write);
}

}  // namespace

std::recursive_mutex& world() {
  static std::recursive_mutex the_world;
  return the_world;
}

OrderChecker& checker() {
  static OrderChecker the_checker;
  return the_checker;
}

void order_streams(Order order, uint64_t seed) {
  const std::lock_guard lock(world());
  scheduler().order = order;
  scheduler().random.seed(seed);
}
void end_all_streams() {
  const std::lock_guard lock(world());
  add_live(-static_cast<int64_t>(scheduler().streams.size()));
  scheduler().streams.clear();
}
void watch_order(bool is_watched) {
  const std::lock_guard lock(world());
  checker().watch(is_watched);
  simt::listen_to_accesses(is_watched ? &hear_kernel : nullptr);
}
std::vector<std::string> take_faults() {
  const std::lock_guard lock(world());
  return checker().take_faults();
}

void begin_thread(int device) {
  own().device = device;
  if (!own().launcher) own().launcher.emplace();
}
int device_of_thread() { return own().device; }

::CUstream_st* make_stream() {
  Scheduler& s = scheduler();
  auto stream = std::make_unique<::CUstream_st>();
  stream->device = device_of_thread();
  stream->place =
      static_cast<int>(std::count_if(s.streams.begin(), s.streams.end(), [&](const auto& other) {
        return other->device == stream->device;
      }));
  stream->timeline = checker().add_timeline();
  stream->name =
      " on stream " + std::to_string(stream->place) + " of GPU " + std::to_string(stream->device);
  s.streams.push_back(std::move(stream));
  add_live(1);
  return s.streams.back().get();
}
void end_stream(::CUstream_st* stream) {
  while (!stream->tasks.empty() && run_one()) {
  }
  if (own().last_stream == stream) own().last_stream = nullptr;
  std::erase_if(scheduler().streams, [&](const auto& other) { return other.get() == stream; });
  add_live(-1);
  announce();
}
bool is_stream(const ::CUstream_st* stream) {
  const auto& streams = scheduler().streams;
  return std::any_of(streams.begin(), streams.end(),
                     [&](const auto& other) { return other.get() == stream; });
}
bool is_thread_recording() {
  const auto& streams = scheduler().streams;
  return std::any_of(streams.begin(), streams.end(), [](const auto& stream) {
    return stream->is_recording && stream->device == device_of_thread();
  });
}

void give(::CUstream_st* stream, Work work) {
  if (stream->is_recording) {
    stream->recorded.push_back(std::move(work));
    return;
  }
  Task task;
  task.work = std::move(work);
  add_task(stream, std::move(task));
}
void give(std::function<void()> work) {
  give(own().last_stream, Work{"work", {}, {}, std::move(work)});
}
void give(::CUstream_st* stream, std::string name, std::shared_ptr<Meeting> meeting) {
  Task task;
  task.name = std::move(name);
  task.meeting = std::move(meeting);
  add_task(stream, std::move(task));
}
bool is_next(const ::CUstream_st* stream, const Meeting& meeting, Clock& clock) {
  if (!is_stream(stream) || stream->tasks.empty()) return false;
  if (stream->tasks.front().meeting.get() != &meeting) return false;
  clock = stream->clock;
  clock.join(stream->tasks.front().host);
  return true;
}
int timeline_of(const ::CUstream_st* stream) { return stream->timeline; }
void announce() { scheduler().changes.notify_all(); }

void give_record(::CUstream_st* stream, ::CUevent_st* event) {
  Task task;
  task.record = event->last = std::make_shared<Record>();
  event->is_asked_about = false;
  add_task(stream, std::move(task));
}
void give_wait(::CUstream_st* stream, const ::CUevent_st* event) {
  if (event->last == nullptr) return;  // as CUDA has it
  Task task;
  task.awaited = event->last;
  add_task(stream, std::move(task));
}
std::vector<Work> take_recorded(::CUstream_st* stream) {
  stream->is_recording = false;
  return std::exchange(stream->recorded, {});
}

bool run_until_empty(::CUstream_st* stream) {
  if (!run_until([&] { return stream->tasks.empty(); })) return false;
  own().clock.join(stream->clock);
  return true;
}
bool run_until_done(const std::shared_ptr<Record>& record) {
  if (record == nullptr) return true;
  if (!run_until([&] { return record->is_done; })) return false;
  own().clock.join(record->clock);
  return true;
}
bool run_until_idle(int device) {
  bool is_idle = true;
  std::vector<::CUstream_st*> streams;
  for (const auto& stream : scheduler().streams) {
    if (stream->device == device && !stream->is_recording) streams.push_back(stream.get());
  }
  for (::CUstream_st* const stream : streams) is_idle = run_until_empty(stream) && is_idle;
  return is_idle;
}
void run_some() { run_one(); }

uint32_t begin_host_piece(const std::string& name) {
  Thread& thread = own();
  return checker().begin(thread.timeline, thread.clock, name);
}
void note_host_access(const char* name, const void* at, size_t bytes, bool is_write) {
  if (!checker().owns(at) || own().is_running_work) return;
  const std::lock_guard lock(world());
  const uint32_t piece = begin_host_piece(name);
  checker().access(piece, own().clock, at, bytes, is_write);
}

}  // namespace pg::fake_cuda
