#include "src/train/size_projector.h"

#include <exception>
#include <new>
#include <utility>

#include "src/base/check.h"

namespace pg {

SizeProjector::SizeProjector(Project project)
    : project_(std::move(project)),
      worker_([this] { this->project(); }, BackgroundWorker::Priority::kPolite) {}

std::vector<HostTensor>& SizeProjector::weights() {
  PG_CHECK(is_idle(), "a job is in flight");
  return weights_;
}

void SizeProjector::start(int64_t step) {
  PG_CHECK(is_idle(), "a job is in flight");
  projection_ = {.step = step, .bytes = 0, .failure = {}};
  has_answer_ = true;
  worker_.start();
}

std::optional<Projection> SizeProjector::take() {
  if (!has_answer_ || !worker_.is_idle()) return std::nullopt;
  has_answer_ = false;
  return std::move(projection_);
}

void SizeProjector::project() {
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
