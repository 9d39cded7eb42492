#include "src/device/comm/join_devices.h"

#include "src/base/error.h"
#include "src/device/comm/comm_staged.h"

namespace pg {

DeviceLink join_devices(Comm& host, Device& device, ExchangeBy by) {
  DeviceLink link;
  if (host.ranks() == 1) return link;
  if (!device.memory_is_host() && by != ExchangeBy::kHosts) device.join(host, link);
  if (link.comm != nullptr) return link;
  if (by == ExchangeBy::kDevices) {
    const std::string reason =
        link.way.empty() ? "device \"" + std::string(device.name()) + "\" is no GPU" : link.way;
    throw Error("track.exchange is \"nccl\", but " + reason + "; use \"auto\"");
  }
  if (device.memory_is_host()) return link;
  link.comm = make_staged_comm(host, device);
  link.way = "through the memory of the hosts" + (link.way.empty() ? "" : ": " + link.way);
  return link;
}

}  // namespace pg
