#include "src/base/threads.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/thread_settings.h"

namespace pg {
namespace {

thread_local int t_index = 0;
thread_local bool t_in_loop = false;
// Where OwnThreads keeps this thread's pool; null for the process's.
thread_local std::unique_ptr<ThreadPool>* t_own = nullptr;

// A step is some hundred loops with gaps of microseconds: a worker that looks on for this many
// turns (about 50 us) meets the next loop awake, and sleeps when the gap is a long one.
constexpr int kSpinTurns = 2000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

// One loop at a time. `ticket_` holds (loop number << 32 | next chunk), so a claim by
// compare-and-swap fails when the loop it was meant for is over. Between loops the ticket is
// closed, so that nobody claims while the loop's description changes.
class ThreadPool {
 public:
  // Has fewer threads than asked for where the system refuses some. `owner`: t_own of the workers.
  ThreadPool(int threads, std::unique_ptr<ThreadPool>* owner) {
    workers_.reserve(static_cast<size_t>(threads));
    try {
      for (int i = 1; i < threads; ++i) {
        workers_.emplace_back([this, owner, i] {
          t_own = owner;
          work(i);
        });
      }
    } catch (const std::exception& error) {
      refusal_ = error.what();
    }
  }
  ~ThreadPool() {
    stopping_.store(true);
    wake_.fetch_add(1);
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  ThreadPool(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  const std::string& refusal() const { return refusal_; }  // why there are fewer; or empty

  // False when another thread runs a loop. Throws what a body threw.
  bool try_run(int64_t chunks, internal::ChunkBody body, const void* context) {
    const std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    // Release and acquire: who sees one of these sees the ticket closed before it.
    body_.store(body, std::memory_order_release);
    context_.store(context, std::memory_order_release);
    chunks_.store(chunks, std::memory_order_release);
    done_.store(0, std::memory_order_relaxed);
    const uint64_t loop = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
    ticket_.store(loop << 32, std::memory_order_release);  // opens the loop
    wake_.fetch_add(1, std::memory_order_release);
    wake_.notify_all();
    take_chunks();
    // What is left was begun by a worker: wait for it, giving up the core when that takes long.
    for (int turn = 0; done_.load(std::memory_order_acquire) < chunks; ++turn) {
      turn < kSpinTurns ? relax() : std::this_thread::yield();
    }
    ticket_.store((loop << 32) | kClosed, std::memory_order_release);
    if (has_failed_.exchange(false, std::memory_order_relaxed)) {
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
    return true;
  }

 private:
  void take_chunks() {
    t_in_loop = true;
    for (;;) {
      uint64_t ticket = ticket_.load(std::memory_order_acquire);
      const auto chunk = static_cast<int64_t>(ticket & kClosed);
      const internal::ChunkBody body = body_.load(std::memory_order_acquire);
      const void* const context = context_.load(std::memory_order_acquire);
      if (chunk >= chunks_.load(std::memory_order_acquire)) break;  // all taken, or closed
      // Success means that the loop the three values above were read for is still the current one.
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
      try {
        body(context, chunk);
      } catch (...) {  // the first one stays; done_ below makes it the caller's
        if (!has_failed_.exchange(true)) failure_ = std::current_exception();
      }
      done_.fetch_add(1, std::memory_order_release);
    }
    t_in_loop = false;
  }

  void work(int index) {
    t_index = index;
    uint32_t seen = 0;
    while (!stopping_.load()) {
      int turn = 0;
      while (wake_.load(std::memory_order_acquire) == seen) {
        if (++turn < kSpinTurns) {
          relax();
        } else {
          wake_.wait(seen, std::memory_order_acquire);
        }
      }
      seen = wake_.load(std::memory_order_acquire);
      take_chunks();
    }
  }

  static constexpr uint64_t kClosed = 0xffffffffu;  // as the next chunk: above every chunk number

  std::mutex busy_;
  std::atomic<internal::ChunkBody> body_ = nullptr;
  std::atomic<const void*> context_ = nullptr;
  std::atomic<int64_t> chunks_ = 0;
  alignas(64) std::atomic<uint64_t> ticket_ = kClosed;
  alignas(64) std::atomic<int64_t> done_ = 0;
  alignas(64) std::atomic<uint32_t> wake_ = 0;
  std::atomic<bool> stopping_ = false, has_failed_ = false;
  std::exception_ptr failure_;
  std::string refusal_;
  std::vector<std::thread> workers_;
};

namespace {

// What refused a thread - address space, a limit on processes - is what memory and the threads of
// others need too: at least half of what was possible is left to them.
std::unique_ptr<ThreadPool> make_pool(int threads, std::unique_ptr<ThreadPool>* owner) {
  auto pool = std::make_unique<ThreadPool>(threads, owner);
  if (pool->refusal().empty()) return pool;
  const std::string refusal = pool->refusal();
  const int possible = pool->threads();
  pool.reset();
  pool = std::make_unique<ThreadPool>(std::max(std::min(possible / 2, granted_cores()), 1), owner);
  std::fprintf(stderr,
               "warning: %d threads instead of %d, the system refused more (%s); see ulimit -u and "
               "ulimit -v, or set OMP_NUM_THREADS\n",
               pool->threads(), threads, refusal.c_str());
  return pool;
}

// The one process-wide object: cores are a process-wide resource, and every loop of a thread
// without threads of its own shares them.
std::unique_ptr<ThreadPool>& pool() {
  if (t_own != nullptr) return *t_own;
  static std::unique_ptr<ThreadPool> instance = make_pool(default_thread_count(), nullptr);
  return instance;
}

}  // namespace

int thread_count() { return pool()->threads(); }

void set_thread_count(int count) {
  PG_CHECK(count >= 1 && !t_in_loop, "thread count must be positive and set outside loops");
  if (count == pool()->threads()) return;
  pool().reset();
  pool() = make_pool(count, t_own);
}

OwnThreads::OwnThreads(int count) : outer_(t_own) {
  PG_CHECK(count >= 1 && !t_in_loop, "own threads are at least one, and made outside loops");
  pool_ = make_pool(count, &pool_);
  t_own = &pool_;
}

OwnThreads::~OwnThreads() { t_own = outer_; }

int thread_index() { return t_index; }

void run_own_loops_serially() { t_in_loop = true; }

void internal::run_chunks(int64_t chunks, ChunkBody body, const void* context) {
  PG_CHECK(chunks < 0xffffffff, "too many chunks for one loop");
  if (chunks <= 1 || t_in_loop || pool()->threads() == 1 ||
      !pool()->try_run(chunks, body, context)) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk);
  }
}

}  // namespace pg
