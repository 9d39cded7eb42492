// What devices that compute in host memory share: the memory and its copies.
#pragma once
#include <string>

#include "src/device/device.h"

namespace pg {

class HostDevice : public Device {
 public:
  HostDevice(std::string name, DType compute) : name_(std::move(name)), compute_(compute) {}

  std::string_view name() const override { return name_; }
  DType compute_dtype() const override { return compute_; }

  // <train_gpt>
  bool memory_is_host() const override { return true; }
  // </train_gpt>
  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  void upload(void* device_to, const void* host_from, size_t bytes) override;
  void download(void* host_to, const void* device_from, size_t bytes) override;
  void copy(void* device_to, const void* device_from, size_t bytes) override;
  // An op returns when it is done.
  void start_download(void* host_to, const void* device_from, size_t bytes) override {
    download(host_to, device_from, bytes);
  }
  uint64_t record() override { return 0; }
  bool is_done(uint64_t /*event*/) override { return true; }
  void wait(uint64_t /*event*/) override {}
  void synchronize() override {}

 private:
  std::string name_;
  DType compute_;
};

}  // namespace pg
