// A device that lets another repeat work (Repetition) or not, and counts how often it does.
#pragma once
#include <cstdint>
#include <memory>

#include "src/device/forward/forwarding_ops.h"

namespace pg {

class RepeatingDevice final : public ForwardingDevice {
 public:
  RepeatingDevice(Device& inner, bool repeats) : ForwardingDevice(inner), repeats_(repeats) {}
  Ops& ops() override { return inner().ops(); }
  bool begin_repetition(std::unique_ptr<KeptWork>& kept) override {
    const bool has_repeated = repeats_ && inner().begin_repetition(kept);
    if (has_repeated) ++repeated;
    return has_repeated;
  }
  bool end_repetition(KeptWork* kept, bool failed) override {
    return !repeats_ || inner().end_repetition(kept, failed);
  }
  int64_t repeated = 0;

 private:
  bool repeats_;
};

}  // namespace pg
