// A device on a GpuRuntime: a GPU, or the host that stands in for one.
#pragma once
#include <memory>
#include <string>

#include "src/device/cuda/cuda_ops.h"

namespace pg {

class GpuDevice final : public Device {
 public:
  // name: as the user asked for it.
  GpuDevice(std::string name, std::unique_ptr<GpuRuntime> runtime, DType compute)
      : name_(std::move(name)),
        runtime_(std::move(runtime)),
        compute_(compute),
        ops_(*runtime_, compute) {}

  std::string_view name() const override { return name_; }
  Ops& ops() override { return ops_; }
  DType compute_dtype() const override { return compute_; }

  bool memory_is_host() const override { return runtime_->memory_is_host(); }
  void* allocate(size_t bytes) override { return runtime_->allocate(bytes); }
  void release(void* memory) override { runtime_->release(memory); }
  void upload(void* device_to, const void* host_from, size_t bytes) override {
    runtime_->upload(device_to, host_from, bytes);
  }
  void download(void* host_to, const void* device_from, size_t bytes) override {
    runtime_->download(host_to, device_from, bytes);
  }
  void copy(void* device_to, const void* device_from, size_t bytes) override {
    runtime_->copy(device_to, device_from, bytes);
  }
  void start_download(void* host_to, const void* device_from, size_t bytes) override {
    runtime_->start_download(host_to, device_from, bytes);
  }
  uint64_t record() override { return runtime_->record(); }
  bool is_done(uint64_t event) override { return runtime_->is_done(event); }
  void wait(uint64_t event) override { runtime_->wait(event); }
  void synchronize() override { runtime_->synchronize(); }
  bool begin_repetition(std::unique_ptr<KeptWork>& kept) override;
  bool end_repetition(KeptWork* kept, bool failed) override;
  void join(Comm& host, DeviceLink& link) override { runtime_->join(host, link); }
  DevicePeak measure_peak() override;
  double measure_matmul() override;

 private:
  // Whether what was kept has been given; else it is to be given, for the first time or for a recording.
  bool repeat_or_record(std::unique_ptr<KeptWork>& kept);

  std::string name_;
  std::unique_ptr<GpuRuntime> runtime_;
  DType compute_;
  CudaOps ops_;
  int repetitions_ = 0;  // open; those within another are part of it
};

}  // namespace pg
