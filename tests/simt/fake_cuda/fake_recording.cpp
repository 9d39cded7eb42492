#include "tests/simt/fake_cuda/fake_recording.h"

#include <memory>

#include "kernels/simt/simt_executor.h"

namespace pg::fake_cuda {
namespace {

std::unique_ptr<simt::ScopedRecorder> recorder;

}  // namespace

void begin_recording() { recorder = std::make_unique<simt::ScopedRecorder>(); }
bool is_recording() { return recorder != nullptr; }
void record(std::function<void()> work) { recorder->add(std::move(work)); }
std::vector<std::function<void()>> end_recording() {
  std::vector<std::function<void()>> work = recorder->take();
  recorder.reset();
  return work;
}

}  // namespace pg::fake_cuda
