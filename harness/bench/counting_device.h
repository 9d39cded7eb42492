// A device that counts the calls of its ops: what a step truly asks of it, whoever asks.
#pragma once
#include <array>
#include <cstdint>
#include <utility>

#include "src/device/forward/forwarding_ops.h"
#include "src/device/op_table/op_list.h"

namespace pg {

using OpCounts = std::array<int64_t, kOps.size()>;

class CountingOps final : public ForwardingOps {
 public:
  using ForwardingOps::ForwardingOps;
  OpCounts take_counts() { return std::exchange(counts_, OpCounts{}); }  // since the last time

 private:
  void before_op(OpId op) override { ++counts_[static_cast<size_t>(op)]; }

  OpCounts counts_ = {};
};

class CountingDevice final : public ForwardingDevice {
 public:
  // The other must outlive this.
  explicit CountingDevice(Device& inner) : ForwardingDevice(inner), ops_(inner.ops()) {}
  OpCounts take_counts() { return ops_.take_counts(); }
  Ops& ops() override { return ops_; }

 private:
  CountingOps ops_;
};

}  // namespace pg
