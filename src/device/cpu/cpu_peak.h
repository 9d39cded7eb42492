// The speed of light of a processor.
#pragma once
#include <memory>

#include "src/device/device.h"

namespace pg {

class CpuOps;
class OnednnMatmul;

class CpuPeak {
 public:
  // Both must outlive this.
  CpuPeak(Device& device, CpuOps& ops);
  ~CpuPeak();

  DevicePeak measure();
  // The better of what the ops use and of the library's product in f32.
  double measure_matmul();

 private:
  double measure_copy();

  Device& device_;
  CpuOps& ops_;
  std::unique_ptr<OnednnMatmul> library_;
};

}  // namespace pg
