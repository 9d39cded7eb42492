#include "src/train/size_projector.h"

#include <sched.h>
#include <sys/resource.h>

#include <exception>
#include <new>
#include <utility>

#include "src/base/check.h"
#include "src/base/threads.h"

namespace pg {
namespace {

// About a tenth of a core while training keeps all of them busy (the scheduler's weight of nice
// 10): an answer within seconds, and no step waits long for a core. A refusal does no harm.
constexpr int kNice = 10;

void yield_to_training() {
  const sched_param unused = {};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &unused));
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, kNice));  // on Linux: of this thread alone
  run_own_loops_serially();
}

}  // namespace

SizeProjector::SizeProjector(Project project)
    : project_(std::move(project)), thread_([this] { work(); }) {}

SizeProjector::~SizeProjector() {
  state_.store(State::kQuit, std::memory_order_release);
  state_.notify_one();
  thread_.join();
}

std::vector<HostTensor>& SizeProjector::weights() {
  PG_CHECK(is_idle(), "a job is in flight");
  return weights_;
}

void SizeProjector::start(int64_t step) {
  PG_CHECK(is_idle(), "a job is in flight");
  projection_ = {.step = step, .bytes = 0, .failure = {}};
  state_.store(State::kRunning, std::memory_order_release);
  state_.notify_one();
}

std::optional<Projection> SizeProjector::take() {
  if (state_.load(std::memory_order_acquire) != State::kDone) return std::nullopt;
  Projection projection = std::move(projection_);
  state_.store(State::kIdle, std::memory_order_release);
  return projection;
}

void SizeProjector::work() {
  yield_to_training();
  for (;;) {
    State state = state_.load(std::memory_order_acquire);
    if (state == State::kQuit) return;
    if (state != State::kRunning) {
      state_.wait(state, std::memory_order_acquire);
      continue;
    }
    try {
      projection_.bytes = project_(weights_);
    } catch (const std::bad_alloc&) {
      projection_.failure = "out of memory";
    } catch (const std::exception& error) {
      projection_.failure = error.what();
    } catch (...) {
      projection_.failure = "unknown exception";
    }
    // Fails when the trainer has gone meanwhile; then nobody reads the answer.
    state_.compare_exchange_strong(state, State::kDone, std::memory_order_acq_rel);
  }
}

}  // namespace pg
