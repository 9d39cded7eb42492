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

  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  void upload(void* device_to, const void* host_from, size_t bytes) override;
  void download(void* host_to, const void* device_from, size_t bytes) override;
  void copy(void* device_to, const void* device_from, size_t bytes) override;
  void synchronize() override {}  // an op returns when it is done

 private:
  std::string name_;
  DType compute_;
};

}  // namespace pg
