#include "src/train/size_projector.h"

#include <ctime>
#include <exception>
#include <new>
#include <utility>

#include "src/base/check.h"

namespace pg {
namespace {

double read_thread_cpu_s() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

SizeProjector::SizeProjector(Project project)
    : project_(std::move(project)),
      worker_([this] { this->project(); }, BackgroundWorker::Priority::kPolite) {}

std::vector<HostTensor>& SizeProjector::weights() {
  PG_CHECK(is_idle(), "a job is in flight");
  return weights_;
}

void SizeProjector::start(int64_t step) {
  PG_CHECK(is_idle(), "a job is in flight");
  projection_ = {.step = step, .bytes = 0, .cpu_s = 0, .failure = {}};
  has_answer_ = true;
  worker_.start();
}

std::optional<Projection> SizeProjector::take() {
  if (!has_answer_ || !worker_.is_idle()) return std::nullopt;
  has_answer_ = false;
  return std::move(projection_);
}

void SizeProjector::project() {
  const double start_s = read_thread_cpu_s();
  price();
  projection_.cpu_s = read_thread_cpu_s() - start_s;
}

void SizeProjector::price() {
  try {
    projection_.bytes = project_(weights_);
  } catch (const std::bad_alloc&) {
    projection_.failure = "out of memory";
  } catch (const std::exception& error) {
    projection_.failure = error.what();
  } catch (...) {
    projection_.failure = "unknown exception";
  }
}

}  // namespace pg
