// A device that counts the calls of its ops: what a step truly asks of it, whoever asks.
#pragma once
#include <array>
#include <cstdint>

#include "src/device/device.h"
#include "src/device/op_table/op_list.h"

namespace pg {

using OpCounts = std::array<int64_t, kOps.size()>;

// Every op goes on to the one of the same name, and is counted.
class CountingOps final : public Ops {
 public:
  explicit CountingOps(Ops& inner) : inner_(inner) {}
  OpCounts take_counts();  // since the last time

#include "src/device/op_overrides.inc"
  int64_t packed_bytes(DType w, int64_t in, int64_t out) const override {
    return inner_.packed_bytes(w, in, out);
  }
  void pack(void* packed, In w, int64_t in, int64_t out) override {
    inner_.pack(packed, w, in, out);
  }

 private:
  Ops& counted(OpId op);

  Ops& inner_;
  OpCounts counts_ = {};
};

class CountingDevice final : public Device {
 public:
  // The other must outlive this.
  explicit CountingDevice(Device& inner) : inner_(inner), ops_(inner.ops()) {}
  OpCounts take_counts() { return ops_.take_counts(); }

  std::string_view name() const override { return inner_.name(); }
  Ops& ops() override { return ops_; }
  DType compute_dtype() const override { return inner_.compute_dtype(); }
  bool rows_are_independent() const override { return inner_.rows_are_independent(); }
  void* allocate(size_t bytes) override { return inner_.allocate(bytes); }
  void release(void* memory) override { inner_.release(memory); }
  void upload(void* to, const void* from, size_t bytes) override { inner_.upload(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override {
    inner_.download(to, from, bytes);
  }
  void copy(void* to, const void* from, size_t bytes) override { inner_.copy(to, from, bytes); }
  void start_download(void* to, const void* from, size_t bytes) override {
    inner_.start_download(to, from, bytes);
  }
  uint64_t record() override { return inner_.record(); }
  bool is_done(uint64_t event) override { return inner_.is_done(event); }
  void wait(uint64_t event) override { inner_.wait(event); }
  void synchronize() override { inner_.synchronize(); }
  DevicePeak measure_peak() override { return inner_.measure_peak(); }
  double measure_matmul() override { return inner_.measure_matmul(); }

 private:
  Device& inner_;
  CountingOps ops_;
};

}  // namespace pg
