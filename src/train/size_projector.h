// What the artifact would weigh, priced beside training: one background thread, one job at a time.
// The trainer copies the weights in, and looks for the answer whenever it likes; it never waits for
// one, and no answer reaches the training.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "src/plan/weights.h"

namespace pg {

struct Projection {
  int64_t step = 0;   // whose weights were priced
  int64_t bytes = 0;  // 0 when pricing failed
  std::string failure;
};

class SizeProjector {
 public:
  // `project` runs on another thread and may throw; it must not use a device.
  using Project = std::function<int64_t(const std::vector<HostTensor>&)>;
  explicit SizeProjector(Project project);
  ~SizeProjector();  // waits for the job in flight
  SizeProjector(const SizeProjector&) = delete;

  bool is_idle() const { return state_.load(std::memory_order_acquire) == State::kIdle; }
  // Where the next job's weights go; only while idle. Kept between jobs, so that only the first one
  // allocates.
  std::vector<HostTensor>& weights();
  void start(int64_t step);  // only while idle
  // The answer of the job that has ended since the last call; makes the projector idle.
  std::optional<Projection> take();

 private:
  enum class State : uint32_t { kIdle, kRunning, kDone, kQuit };
  void work();

  Project project_;
  // Whose turn it is: the trainer touches what follows while kIdle or kDone, the thread while
  // kRunning.
  std::atomic<State> state_ = State::kIdle;
  std::vector<HostTensor> weights_;
  Projection projection_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pg
