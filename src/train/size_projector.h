// What the artifact would weigh, priced beside training: one background thread, one job at a time.
// The trainer copies the weights in, and looks for the answer whenever it likes; it never waits for
// one, and no answer reaches the training.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/plan/weights.h"
#include "src/train/background_worker.h"

namespace pg {

struct Projection {
  int64_t step = 0;   // whose weights were priced
  int64_t bytes = 0;  // 0 when pricing failed
  double cpu_s = 0;   // processor time that pricing took
  std::string failure;
};

class SizeProjector {
 public:
  // `project` runs on another thread and may throw; it must not use a device. The projector's end
  // waits for the job in flight.
  using Project = std::function<int64_t(const std::vector<HostTensor>&)>;
  explicit SizeProjector(Project project);

  bool is_idle() const { return worker_.is_idle() && !has_answer_; }
  // Where the next job's weights go; only while idle. Kept between jobs, so that only the first one
  // allocates.
  std::vector<HostTensor>& weights();
  void start(int64_t step);  // only while idle
  // The answer of the job that has ended since the last call; makes the projector idle.
  std::optional<Projection> take();

 private:
  void project();
  void price();

  Project project_;
  std::vector<HostTensor> weights_;
  Projection projection_;
  bool has_answer_ = false;  // of the job that is running, or has ended
  BackgroundWorker worker_;  // last: it uses the above
};

}  // namespace pg
