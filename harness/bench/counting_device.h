// A device that counts the calls of its ops: what a step truly asks of it, whoever asks.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
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
  // Whether work is given call by call, so that each is counted, or as the other device keeps it.
  void set_counting(bool counts) { counts_ = counts; }
  Ops& ops() override { return ops_; }
  bool begin_repetition(std::unique_ptr<KeptWork>& kept) override {
    return !counts_ && inner().begin_repetition(kept);
  }
  bool end_repetition(KeptWork* kept, bool failed) override {
    return counts_ || inner().end_repetition(kept, failed);
  }

 private:
  CountingOps ops_;
  bool counts_ = true;
};

}  // namespace pg
