#include "src/train/background_worker.h"

#include <sched.h>
#include <sys/resource.h>

#include <utility>

#include "src/base/check.h"
#include "src/base/threads.h"

namespace pg {
namespace {

constexpr int kNice = 10;  // the scheduler's weight of it is a tenth

// A refusal does no harm.
void be_polite() {
  const sched_param unused = {};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &unused));
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, kNice));  // on Linux: of this thread alone
}

}  // namespace

BackgroundWorker::BackgroundWorker(std::function<void()> job, Priority priority)
    : job_(std::move(job)), thread_([this, priority] { work(priority); }) {}

BackgroundWorker::~BackgroundWorker() {
  wait();
  state_.store(State::kQuit, std::memory_order_release);
  state_.notify_all();
  thread_.join();
}

void BackgroundWorker::start() {
  PG_CHECK(is_idle(), "a job is in flight");
  state_.store(State::kRunning, std::memory_order_release);
  state_.notify_all();
}

void BackgroundWorker::wait() {
  while (state_.load(std::memory_order_acquire) == State::kRunning) {
    state_.wait(State::kRunning, std::memory_order_acquire);
  }
}

std::exception_ptr BackgroundWorker::take_failure() {
  PG_CHECK(is_idle(), "a job is in flight");
  return std::exchange(failure_, nullptr);
}

void BackgroundWorker::work(Priority priority) {
  if (priority == Priority::kPolite) be_polite();
  run_own_loops_serially();
  for (;;) {
    const State state = state_.load(std::memory_order_acquire);
    if (state == State::kQuit) return;
    if (state == State::kIdle) {
      state_.wait(state, std::memory_order_acquire);
      continue;
    }
    try {
      job_();
    } catch (...) {
      failure_ = std::current_exception();
    }
    state_.store(State::kIdle, std::memory_order_release);
    state_.notify_all();
  }
}

}  // namespace pg
