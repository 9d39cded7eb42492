// The simt device's stand-in for the CUDA runtime and cuBLASLt: host memory, and products in f32
// loops. Work is done when a call returns, or recorded as a graph, whose launch does it then.
#pragma once
#include <functional>
#include <memory>

#include "kernels/simt/simt_executor.h"
#include "src/device/cuda/gpu_runtime.h"

namespace pg {

class HostRuntime : public GpuRuntime {
 public:
  std::string description() const override;
  kernels::Stream stream() const override { return nullptr; }
  int64_t filling_product() const override { return 64; }
  size_t filling_copy() const override { return size_t{1} << 20; }

  bool memory_is_host() const override { return true; }
  void* allocate(size_t bytes) override;
  void release(void* memory) override;
  void upload(void* device_to, const void* host_from, size_t bytes) override;
  void download(void* host_to, const void* device_from, size_t bytes) override;
  void start_download(void* host_to, const void* device_from, size_t bytes) override;
  void copy(void* device_to, const void* device_from, size_t bytes) override;
  void fill_zero(void* memory, size_t bytes) override;

  uint64_t record() override { return 0; }
  bool is_done(uint64_t /*event*/) override { return true; }
  void wait(uint64_t /*event*/) override { check_not_recording(); }
  void synchronize() override { check_not_recording(); }

  void multiply(const GpuProduct& product) override;

  void begin_graph() override;
  std::unique_ptr<GpuGraph> end_graph() override;

 private:
  // Does it, or records it as launches are.
  void give(std::function<void()> work);
  void check_not_recording() const;

  std::unique_ptr<simt::ScopedRecorder> recorder_;  // while a graph is recorded
};

}  // namespace pg
