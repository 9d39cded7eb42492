// Values on which a kernel computes without rounding, so that it must give the very numbers of a loop
// in double, in whatever order, type and schedule: small integers, and weights that make gates of 0,
// 1/2 and 1. What a kernel does with other values, the op tests bound.
#pragma once
#include <memory>

#include "kernels/kernel_args.h"
#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {

// Integers of [-4, 4]; one stream per tensor.
template <class T>
std::vector<T> small_integers(int64_t count, uint64_t stream) {
  const CounterRng rng(20240607, stream);
  std::vector<T> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = T(static_cast<float>(rng.below(i, 9)) - 4.0f);
  }
  return values;
}

// An output of a kernel under test, between guards, and what it must hold.
template <class T>
class ExactOutput {
 public:
  // want: without what it held before, which is added with `accumulate`.
  ExactOutput(const char* name, const std::vector<double>& want, bool accumulate, size_t offset = 0)
      : name_(name),
        accumulate_(accumulate),
        offset_(offset),
        prior_(accumulate ? small_integers<T>(static_cast<int64_t>(want.size()), 99)
                          : std::vector<T>(want.size(), T(NAN))) {
    for (size_t i = 0; i < want.size(); ++i) {
      const double prior = accumulate ? as_double(prior_[i]) : 0.0;
      want_.push_back(as_double(T(static_cast<float>(want[i] + prior))));
    }
  }

  // In device memory, as it was before.
  kernels::Dest<T> dest() {
    device_ = std::make_unique<DeviceArray<T>>(prior_, offset_);
    return {device_->data(), accumulate_};
  }
  std::string check() const {
    if (!device_->are_guards_intact()) return std::string(name_) + ": writes outside of it";
    return compare(name_, device_->fetch(), want_, std::vector<double>(want_.size(), 0.0));
  }

 private:
  const char* name_;
  bool accumulate_;
  size_t offset_;
  std::vector<T> prior_;
  std::vector<double> want_;
  std::unique_ptr<DeviceArray<T>> device_;
};

// Working memory: NaN, and ids that are none, until a kernel writes it.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : array_(filled(count)) {}
  T* data() const { return array_.data(); }

 private:
  static std::vector<T> filled(int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    std::memset(values.data(), 0xff, values.size() * sizeof(T));
    return values;
  }
  DeviceArray<T> array_;
};

}  // namespace pg::kerneltest
