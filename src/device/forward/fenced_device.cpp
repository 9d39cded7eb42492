#include "src/device/forward/fenced_device.h"

#include <sys/mman.h>

#include <map>
#include <mutex>

#include "src/base/error.h"
#include "src/device/forward/forwarding_ops.h"

namespace pg {
namespace {

// Pages, closed but while somebody has them open.
class FencedMemory {
 public:
  void* allocate(size_t bytes) {
    const size_t pages = (std::max<size_t>(bytes, 1) + kPage - 1) / kPage * kPage;
    void* const memory =
        ::mmap(nullptr, pages, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw Error("not enough memory: " + std::to_string(bytes) + " bytes");
    const std::lock_guard lock(mutex_);
    areas_.emplace(memory, pages);
    if (open_count_ > 0) protect(memory, pages, kOpen);
    return memory;
  }
  void release(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto area = areas_.find(memory);
    ::munmap(memory, area->second);
    areas_.erase(area);
  }
  void open() {
    const std::lock_guard lock(mutex_);
    if (open_count_++ == 0) protect_all(kOpen);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    if (--open_count_ == 0) protect_all(PROT_NONE);
  }

 private:
  static constexpr size_t kPage = 4096;
  static constexpr int kOpen = PROT_READ | PROT_WRITE;

  static void protect(void* memory, size_t pages, int allowed) {
    PG_CHECK(::mprotect(memory, pages, allowed) == 0, "pages cannot be protected");
  }
  void protect_all(int allowed) const {
    for (const auto& [memory, pages] : areas_) protect(memory, pages, allowed);
  }

  std::mutex mutex_;
  int open_count_ = 0;  // calls under way; threads upload side by side
  std::map<void*, size_t> areas_;
};

class FencedOps final : public ForwardingOps {
 public:
  FencedOps(Ops& inner, FencedMemory& memory) : ForwardingOps(inner), memory_(memory) {}

 private:
  void before_call() override { memory_.open(); }
  void after_call() override { memory_.close(); }

  FencedMemory& memory_;
};

class FencedDevice final : public ForwardingDevice {
 public:
  explicit FencedDevice(std::unique_ptr<Device> inner)
      : ForwardingDevice(*inner), inner_(std::move(inner)), ops_(inner_->ops(), memory_) {}

  Ops& ops() override { return ops_; }
  bool memory_is_host() const override { return false; }
  void* allocate(size_t bytes) override { return memory_.allocate(bytes); }
  void release(void* memory) override { memory_.release(memory); }
  void upload(void* to, const void* from, size_t bytes) override {
    memory_.open();
    inner_->upload(to, from, bytes);
    memory_.close();
  }
  void download(void* to, const void* from, size_t bytes) override {
    memory_.open();
    inner_->download(to, from, bytes);
    memory_.close();
  }
  void copy(void* to, const void* from, size_t bytes) override {
    memory_.open();
    inner_->copy(to, from, bytes);
    memory_.close();
  }
  void start_download(void* to, const void* from, size_t bytes) override {
    download(to, from, bytes);
  }

 private:
  std::unique_ptr<Device> inner_;
  FencedMemory memory_;
  FencedOps ops_;
};

}  // namespace

std::unique_ptr<Device> make_fenced_device(std::unique_ptr<Device> inner) {
  return std::make_unique<FencedDevice>(std::move(inner));
}

}  // namespace pg
