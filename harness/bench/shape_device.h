// A device whose memory is never touched: what a plan of any size would take and do, without taking or doing it.
#pragma once
#include <memory>
#include <string>

#include "src/device/host_device.h"

namespace pg {

class ShapeDevice : public HostDevice {
 public:
  using HostDevice::HostDevice;
  virtual int64_t allocated_bytes() const = 0;  // now
};

// Memory is promised by the system and comes page by page where something is written, which a plan that
// is only recorded does in a few places. The ops are those of `kind`.
std::unique_ptr<ShapeDevice> make_shape_device(const std::string& kind);

}  // namespace pg
