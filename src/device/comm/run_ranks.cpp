#include "src/device/comm/run_ranks.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/comm/comm_single.h"
#include "src/device/comm/comm_threads.h"

namespace pg {
namespace {

// Of several failures the first; those that only report another rank's come last.
class FirstFailure {
 public:
  void note(std::exception_ptr failure, bool is_echo) {
    const std::lock_guard lock(mutex_);
    if (failure_ != nullptr && (is_echo || !is_echo_)) return;
    failure_ = std::move(failure);
    is_echo_ = is_echo;
  }
  void rethrow() const {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr failure_;
  bool is_echo_ = false;
};

// `comm` ends here: ranks that still wait for this one learn that it is gone.
void run_rank(std::unique_ptr<Comm> comm, int threads, const std::function<void(Comm&)>& body,
              FirstFailure& failure) {
  try {
    const OwnThreads own_threads(threads);
    fail_on_throw(*comm, [&] { body(*comm); });
  } catch (const PeerError&) {
    failure.note(std::current_exception(), /*is_echo=*/true);
  } catch (...) {
    failure.note(std::current_exception(), /*is_echo=*/false);
  }
}

}  // namespace

int divide_threads(int threads, int ranks, int place) {
  return std::max(threads / ranks + (place < threads % ranks ? 1 : 0), 1);
}

void run_ranks(int ranks, const std::function<void(Comm&)>& body) {
  if (ranks == 1) {
    body(*make_single_comm());
    return;
  }
  std::vector<std::unique_ptr<Comm>> comms = make_thread_comms(ranks);
  const int threads = thread_count();
  const auto threads_of = [&](int rank) { return divide_threads(threads, ranks, rank); };
  FirstFailure failure;
  std::vector<std::thread> others;
  others.reserve(static_cast<size_t>(ranks));
  try {
    for (int rank = 1; rank < ranks; ++rank) {
      // The Comm moves along only once its thread runs.
      others.emplace_back([&, rank] {
        run_rank(std::move(comms[static_cast<size_t>(rank)]), threads_of(rank), body, failure);
      });
    }
    run_rank(std::move(comms[0]), threads_of(0), body, failure);
  } catch (const std::system_error& error) {
    const std::string message = "only " + std::to_string(others.size() + 1) + " of \"" +
                                std::to_string(ranks) + "\" ranks could be started (" +
                                error.what() + "); use fewer ranks, or see ulimit -u";
    comms[0]->fail(message);
    failure.note(std::make_exception_ptr(Error(message)), /*is_echo=*/false);
  }
  for (std::thread& other : others) other.join();
  failure.rethrow();
}

}  // namespace pg
