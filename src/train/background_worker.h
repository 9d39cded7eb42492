// A thread beside the work that somebody waits for: one job, again and again, one at a time.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <thread>

namespace pg {

class BackgroundWorker {
 public:
  // kPolite: gets what the others leave of the cores, about a tenth of one while all are busy.
  enum class Priority : uint8_t { kNormal, kPolite };

  // Throws std::system_error where the system refuses a thread. The job's own loops run on this
  // thread alone (threads.h).
  BackgroundWorker(std::function<void()> job, Priority priority);
  ~BackgroundWorker();  // waits for the job in flight
  BackgroundWorker(const BackgroundWorker&) = delete;

  // What the job touches is the starter's while idle, the job's otherwise.
  bool is_idle() const { return state_.load(std::memory_order_acquire) == State::kIdle; }
  void start();  // only while idle
  void wait();   // until idle
  // What the last job threw, once; null when it ended well. Only while idle.
  std::exception_ptr take_failure();

 private:
  enum class State : uint32_t { kIdle, kRunning, kQuit };
  void work(Priority priority);

  std::function<void()> job_;
  std::atomic<State> state_ = State::kIdle;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pg
