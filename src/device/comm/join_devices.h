// Over which Comm ranks exchange what lies in their devices' memory: the hosts' own, one of the devices
// (GPUs' NCCL), or one that goes through the hosts' memory, which any two devices have.
#pragma once
#include "src/base/field.h"
#include "src/device/comm/device_link.h"
#include "src/device/device.h"

namespace pg {

// What a user asks for; kAny: the devices' where there is one.
enum class ExchangeBy : uint8_t { kAny, kDevices, kHosts };
template <>
inline constexpr auto kChoiceNames<ExchangeBy> = name_choices("auto", "nccl", "hosts");

// Every rank of `host` calls it at once, with the same `by`. Without a Comm in it `host` itself reaches
// the devices' memory, or there is one rank. Both must outlive the Comm. Throws Error, the same on
// every rank, where kDevices cannot be had.
DeviceLink join_devices(Comm& host, Device& device, ExchangeBy by = ExchangeBy::kAny);

}  // namespace pg
