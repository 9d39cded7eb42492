// THE SEAM. A device owns memory and an op table; nothing above src/device/ knows which kind it is.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "src/device/ops.h"

namespace pg {

// <train_gpt>
class Comm;
struct DeviceLink;

// What a device keeps of work that is given to it again and again.
class KeptWork {
 public:
  virtual ~KeptWork() = default;
};
// </train_gpt>

// What the machine could do at best, measured by a short loop on the device itself.
struct DevicePeak {
  double matmul_flops_per_s = 0;  // the fastest product in the compute type, all threads
  double copy_bytes_per_s = 0;    // read plus write
  std::string description;        // "2 threads, AVX-512 bf16"
};

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string_view name() const = 0;
  virtual Ops& ops() = 0;
  // The type of activations and of the compute copies of weights.
  virtual DType compute_dtype() const = 0;
  // Whether a row of an op's result has the same bits whatever rows are computed with it.
  virtual bool rows_are_independent() const { return false; }

  // <train_gpt>
  // Whether the host may read and write the device's memory while no work is under way.
  virtual bool memory_is_host() const { return false; }
  // </train_gpt>

  // Zeroed memory, aligned to 64 bytes. Throws Error when there is not enough.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) = 0;
  // In order with the device's other work, without waiting for it; the host memory is free again on
  // return.
  virtual void upload(void* device_to, const void* host_from, size_t bytes) = 0;
  virtual void download(void* host_to, const void* device_from, size_t bytes) = 0;
  // Within the device, in order with its other work; the two do not overlap.
  virtual void copy(void* device_to, const void* device_from, size_t bytes) = 0;
  // download() without waiting: the host memory holds the values when the event of a later record()
  // is done, and stays where it is until then.
  virtual void start_download(void* host_to, const void* device_from, size_t bytes) = 0;
  // An event: done when all work given to the device so far is. wait() returns when it is done.
  virtual uint64_t record() = 0;
  virtual bool is_done(uint64_t event) = 0;
  virtual void wait(uint64_t event) = 0;
  // Returns when all work given to the device so far is done.
  virtual void synchronize() = 0;
  // <train_gpt>
  // For Repetition below. begin_repetition: true when what was kept has been given, whole.
  // end_repetition: `failed` leaves nothing kept; false when the work must be given once more.
  virtual bool begin_repetition(std::unique_ptr<KeptWork>& /*kept*/) { return false; }
  virtual bool end_repetition(KeptWork* /*kept*/, bool /*failed*/) { return true; }
  // How the ranks of `host` reach each other's device memory without their hosts': see DeviceLink.
  // Every one of them calls it at once; `host` outlives what comes of it. Here: not at all.
  virtual void join(Comm& /*host*/, DeviceLink& /*link*/) {}
  // </train_gpt>
  // Measures for about 0.1 s.
  virtual DevicePeak measure_peak() = 0;
  // The first of those numbers alone, from about 0.02 s. Neighbours on the machine slow a try: a
  // peak is the best of many that are spread over a run.
  virtual double measure_matmul() = 0;
};

// <train_gpt>
// Work that is given again and again: the same ops on the same memory with the same numbers beside it,
// and nothing from or to the host. A device may keep it and give it at once (a GPU a CUDA graph):
//   for (Repetition repetition(device, kept); repetition.is_due();) give it;
// `kept` belongs to this work, and goes before the memory and the device do.
class Repetition {
 public:
  Repetition(Device& device, std::unique_ptr<KeptWork>& kept) : device_(device), kept_(kept) {}
  Repetition(const Repetition&) = delete;
  Repetition& operator=(const Repetition&) = delete;
  ~Repetition() {
    if (is_open_) device_.end_repetition(kept_.get(), /*failed=*/true);
  }
  bool is_due() {
    if (is_open_) {
      is_open_ = false;
      if (device_.end_repetition(kept_.get(), /*failed=*/false)) return false;
    }
    is_open_ = !device_.begin_repetition(kept_);
    return is_open_;
  }

 private:
  Device& device_;
  std::unique_ptr<KeptWork>& kept_;
  bool is_open_ = false;
};
// </train_gpt>

// Owns one allocation of a device.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(Device& device, size_t bytes)
      : device_(&device), data_(device.allocate(bytes)), bytes_(bytes) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) device_->release(data_);
  }

  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace pg
