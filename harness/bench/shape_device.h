// A device whose memory is never touched: what a plan of any size would take and do, without taking or doing it.
#pragma once
#include <memory>
#include <string>

#include "src/device/registry/make_device.h"

namespace pg {

// Memory is promised by the system and comes page by page where something is written, which a plan that
// is only recorded does in a few places. The ops are those of `kind`.
std::unique_ptr<Device> make_shape_device(const std::string& kind);

}  // namespace pg
