// Newton-Schulz of one matrix, given again and again: work that needs more of a device's working memory the
// larger its side is.
#pragma once
#include <memory>
#include <vector>

#include "src/device/device.h"

namespace pg {

class OrthogonalMatrix {
 public:
  OrthogonalMatrix(Device& device, int64_t side)
      : device_(device),
        shape_{1, side, side, side * side},
        matrix_(device, static_cast<size_t>(shape_.size()) * sizeof(float)) {}
  std::vector<float> run() {
    std::vector<float> values(static_cast<size_t>(shape_.size()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * i % 17) - 8;
    device_.upload(matrix_.data(), values.data(), matrix_.bytes());
    const NewtonSchulzCoefficients steps[] = {{3.4445f, -4.7750f, 2.0315f}};
    for (Repetition run(device_, kept_); run.is_due();) {
      device_.ops().newton_schulz({matrix_.data(), DType::kF32}, steps, NewtonSchulzStart::kNorm,
                                  shape_);
    }
    device_.download(values.data(), matrix_.data(), matrix_.bytes());
    return values;
  }

 private:
  Device& device_;
  MatrixBatch shape_;
  DeviceBuffer matrix_;
  std::unique_ptr<KeptWork> kept_;
};

}  // namespace pg
