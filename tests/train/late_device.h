// A device whose work seems to be under way until it is waited for: what the trainer must not do
// inside a step shows here as on a GPU.
#pragma once
#include <cstring>
#include <memory>
#include <vector>

#include "src/device/registry/make_device.h"

namespace pg {

class LateDevice final : public Device {
 public:
  explicit LateDevice(std::string_view name) : inner_(make_device(name)) {}

  std::string_view name() const override { return inner_->name(); }
  Ops& ops() override { return inner_->ops(); }
  DType compute_dtype() const override { return inner_->compute_dtype(); }
  bool memory_is_host() const override { return true; }
  void* allocate(size_t bytes) override { return inner_->allocate(bytes); }
  void release(void* memory) override { inner_->release(memory); }
  void upload(void* to, const void* from, size_t bytes) override {
    inner_->upload(to, from, bytes);
  }
  void download(void* to, const void* from, size_t bytes) override {
    ++blocking_downloads;
    inner_->download(to, from, bytes);
  }
  void copy(void* to, const void* from, size_t bytes) override { inner_->copy(to, from, bytes); }
  // The values of now, which arrive when they are waited for.
  void start_download(void* to, const void* from, size_t bytes) override {
    Arrival& arrival = arrivals_.emplace_back();
    arrival.to = to;
    arrival.values.resize(bytes);
    inner_->download(arrival.values.data(), from, bytes);
    arrival.event = events_ + 1;
    std::memset(to, 0xff, bytes);  // a NaN for who reads too early
  }
  uint64_t record() override { return ++events_; }
  bool is_done(uint64_t event) override { return event <= done_; }
  void wait(uint64_t event) override {
    waits.push_back(events_ - event);
    done_ = std::max(done_, event);
    std::erase_if(arrivals_, [&](const Arrival& arrival) {
      if (arrival.event > event) return false;
      std::memcpy(arrival.to, arrival.values.data(), arrival.values.size());
      return true;
    });
  }
  void synchronize() override {
    ++synchronizations;
    inner_->synchronize();
  }
  DevicePeak measure_peak() override { return inner_->measure_peak(); }
  double measure_matmul() override { return inner_->measure_matmul(); }

  int64_t synchronizations = 0, blocking_downloads = 0;
  std::vector<uint64_t> waits;  // how many events had been recorded since the one waited for

 private:
  struct Arrival {
    void* to = nullptr;
    std::vector<uint8_t> values;
    uint64_t event = 0;
  };
  std::unique_ptr<Device> inner_;
  std::vector<Arrival> arrivals_;
  uint64_t events_ = 0, done_ = 0;
};

}  // namespace pg
