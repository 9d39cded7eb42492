// An open file as a value: closed on every way out.
#pragma once
#include <utility>

namespace pg {

class FileDescriptor {
 public:
  // Takes over `fd`, of which a negative one stands for no file: what open() gave may be passed on.
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }

  bool valid() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // The caller closes it; for a close whose failure matters.
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_;
};

}  // namespace pg
