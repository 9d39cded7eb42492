#include "src/train/train_state.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "src/base/error.h"

namespace pg {
namespace {

// Where a checkpoint's arrays lie on the device; what is not kept has no elements.
std::array<std::pair<CheckpointArray, float*>, kCheckpointArrays> list_state(TrainStep& step) {
  return {{{CheckpointArray::kMasters, step.weights().masters()},
           {CheckpointArray::kFirstMoments, step.optimizer().first_moments()},
           {CheckpointArray::kSecondMoments, step.optimizer().second_moments()},
           {CheckpointArray::kAverage, step.averager().state()},
           {CheckpointArray::kNeuronMoments, step.optimizer().neuron_moments()},
           {CheckpointArray::kVelocity, step.ema_nesterov().velocity()},
           {CheckpointArray::kSnapshots, step.averager().kept_snapshots()}}};
}

size_t index(CheckpointArray which) { return static_cast<size_t>(which); }

}  // namespace

CheckpointSizes sizes_of_state(TrainStep& step) { return step.state_sizes(); }

void download_state(TrainStep& step, CheckpointImage& image) {
  Device& device = step.weights().device();
  device.synchronize();
  for (const auto& [which, values] : list_state(step)) {
    if (values == nullptr) continue;
    device.download(image.array(which), values, image.array_bytes(which));
  }
}

void upload_state(TrainStep& step, const Checkpoint& checkpoint,
                  const std::filesystem::path& file) {
  const CheckpointSizes sizes = sizes_of_state(step);
  for (const auto& [which, values] : list_state(step)) {
    const std::vector<float>& array = checkpoint.array(which);
    if (array.size() != sizes[index(which)]) {
      throw Error(fmt::format("checkpoint \"{}\" holds another model; delete it to start anew",
                              file.string()));
    }
    if (!array.empty()) {
      step.weights().device().upload(values, array.data(), array.size() * sizeof(float));
    }
  }
}

void broadcast_state(TrainStep& step) {
  const CheckpointSizes sizes = sizes_of_state(step);
  for (const auto& [which, values] : list_state(step)) {
    const auto elements = static_cast<int64_t>(sizes[index(which)]);
    if (elements > 0) step.exchange().broadcast(values, elements);
  }
  step.weights().refresh_compute();
}

}  // namespace pg
