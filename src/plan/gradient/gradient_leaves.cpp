#include "src/plan/gradient/gradient_leaves.h"

#include <bit>

#include "src/base/check.h"

namespace pg {

void add_floats(Device& device, float* y, const float* x, int64_t elements) {
  device.ops().cast({y, DType::kF32, /*accumulate=*/true}, {x, DType::kF32}, elements);
}

GradientLeaves::GradientLeaves(Weights& weights, int64_t leaves)
    : weights_(&weights), leaves_(leaves) {
  PG_CHECK(leaves > 0 && std::has_single_bit(static_cast<uint64_t>(leaves)),
           "leaves are a power of two");
  const auto bytes = static_cast<size_t>(weights.gradient_elements()) * sizeof(float);
  for (int64_t width = 1; width < leaves; width *= 2)
    waiting_.emplace_back(weights.device(), bytes);
}

void GradientLeaves::add(int64_t leaf) {
  Device& device = weights_->device();
  const int64_t elements = weights_->gradient_elements();
  // Each one bit of the number is a left subtree that waits for what ends here.
  size_t level = 0;
  for (; (leaf >> level & 1) != 0; ++level) {
    add_floats(device, weights_->gradients(), waiting_[level].as<float>(), elements);
  }
  if (leaf + 1 == leaves_) return;
  device.copy(waiting_[level].data(), weights_->gradients(),
              static_cast<size_t>(elements) * sizeof(float));
}

}  // namespace pg
