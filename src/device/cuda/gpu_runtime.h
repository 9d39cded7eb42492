// What the CUDA back end stands on besides its own kernels: memory, one stream, events, products.
// Two of them: gpu/ (the CUDA runtime and cuBLASLt) and the simt device's stand-in on the host. All
// else of the back end - CudaOps, launchers, GpuDevice - is the same code for both.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/kernel_args.h"
#include "src/device/cuda/gpu_attention.h"
#include "src/device/device.h"

namespace pg {

// A matrix operand, row-major: rows lie `stride` elements apart, matrices of a batch
// `batch_stride`.
struct GpuMatrix {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t stride = 0;
  bool is_transposed = false;  // it lies as [cols, rows]
  int64_t batch_stride = 0;
};

// d[rows, cols] = alpha a[rows, inner] b[inner, cols] + beta c[rows, cols], `batch` times. a and b
// have one type, bf16 or f32; c has d's, bf16 or f32, and may be d. Sums are f32 in an order that
// depends on the shapes alone, rounded once.
struct GpuProduct {
  int64_t rows = 0, cols = 0, inner = 0, batch = 1;
  GpuMatrix a, b;
  GpuMatrix c;  // read where beta is not 0
  void* d = nullptr;
  DType d_type = DType::kF32;
  int64_t d_stride = 0, d_batch_stride = 0;
  float alpha = 1, beta = 0;
};

// Work that was recorded instead of done (a CUDA graph), with the pointers and numbers of that time.
class GpuGraph {
 public:
  virtual ~GpuGraph() = default;  // waits until it is not running
  virtual void launch() = 0;      // queues all of it, in order with other work
};

// Failures throw Error. Work is queued on one stream, in order, and is not waited for.
class GpuRuntime {
 public:
  virtual ~GpuRuntime() = default;

  virtual std::string description() const = 0;  // of the machine, as people name it
  virtual kernels::Stream stream() const = 0;
  // What fills the machine: the side of a square product, the bytes of a copy.
  virtual int64_t filling_product() const = 0;
  virtual size_t filling_copy() const = 0;

  virtual bool memory_is_host() const = 0;   // see Device
  virtual void* allocate(size_t bytes) = 0;  // zeroed, aligned to 256 bytes
  virtual void release(void* memory) = 0;
  // Host memory is free again on return, or holds the values.
  virtual void upload(void* device_to, const void* host_from, size_t bytes) = 0;
  virtual void download(void* host_to, const void* device_from, size_t bytes) = 0;
  virtual void start_download(void* host_to, const void* device_from, size_t bytes) = 0;
  virtual void copy(void* device_to, const void* device_from, size_t bytes) = 0;
  virtual void fill_zero(void* memory, size_t bytes) = 0;

  virtual uint64_t record() = 0;  // see Device
  virtual bool is_done(uint64_t event) = 0;
  virtual void wait(uint64_t event) = 0;
  virtual void synchronize() = 0;

  virtual void multiply(const GpuProduct& product) = 0;
  // A library's attention, where the device was asked for with one for that pass; else null.
  virtual GpuAttention* library_attention(bool /*is_backward*/) { return nullptr; }

  // From here on work is recorded. Nothing goes from or to the host, is allocated or waited for.
  virtual void begin_graph() = 0;
  // What was recorded, or null where the runtime cannot repeat it: it has not been done then.
  virtual std::unique_ptr<GpuGraph> end_graph() = 0;

  virtual void join(Comm& /*host*/, DeviceLink& /*link*/) {}  // see Device
};

}  // namespace pg
