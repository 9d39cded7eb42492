// Device memory and schedules for kernel tests. The same tests run on the host executor
// (kernel_harness_simt.cpp) and, linked with nvcc's objects, on a GPU
// (cuda/kernel_harness_cuda.cpp).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/bf16.h"
#include "src/base/rng.h"

namespace pg::kerneltest {

// Why kernels cannot run here; empty when they can.
std::string reason_to_skip();

void* allocate_device(size_t bytes);
void release_device(void* memory);
void upload(void* device_to, const void* host_from, size_t bytes);
void download(void* host_to, const void* device_from, size_t bytes);

// Calls run() under each schedule: eight on the host; on a GPU twice, since its own schedule
// varies anyway. run returns an error or "", and so does this; an exception of a launch is an error
// too.
std::string for_each_schedule(const std::function<std::string()>& run);

// A device array between guards of NaN, to be left alone; `offset` elements past a 16-byte
// boundary.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& content, size_t offset = 0)
      : count_(content.size()),
        start_(kGuardBytes + offset * sizeof(T)),
        sent_(start_ + count_ * sizeof(T) + kGuardBytes) {
    for (size_t i = 0; i < sent_.size(); ++i) sent_[i] = kPoison[i % sizeof kPoison];
    if (count_ > 0) std::memcpy(sent_.data() + start_, content.data(), count_ * sizeof(T));
    memory_ = static_cast<unsigned char*>(allocate_device(sent_.size()));
    upload(memory_, sent_.data(), sent_.size());
  }
  ~DeviceArray() { release_device(memory_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return reinterpret_cast<T*>(memory_ + start_); }
  std::vector<T> fetch() const {
    std::vector<T> content(count_);
    download(content.data(), data(), count_ * sizeof(T));
    return content;
  }
  bool are_guards_intact() const {
    std::vector<unsigned char> now(sent_.size());
    download(now.data(), memory_, now.size());
    const size_t end = start_ + count_ * sizeof(T);
    return std::memcmp(now.data(), sent_.data(), start_) == 0 &&
           std::memcmp(now.data() + end, sent_.data() + end, kGuardBytes) == 0;
  }

 private:
  // A multiple of 16, and more than a block of rows that do not exist would overwrite in the small
  // cases.
  static constexpr size_t kGuardBytes = 8192;
  // A signalling NaN in both types: arithmetic on it shows, since it leaves a quiet one. As an index
  // -1 instead.
  static constexpr unsigned char kPoison[] = {std::is_integral_v<T> ? 0xff : 0xa0,
                                              std::is_integral_v<T> ? 0xff : 0x7f};

  size_t count_, start_;
  std::vector<unsigned char> sent_;
  unsigned char* memory_ = nullptr;
};

// Half a unit in the last place, relative: the error of one rounding to T.
template <class T>
inline constexpr double kRounding = sizeof(T) == 2 ? 0x1p-8 : 0x1p-24;
inline constexpr double kF32Rounding = 0x1p-24;

// Normal values rounded to T; one stream per tensor.
template <class T>
std::vector<T> normal_values(int64_t count, double deviation, uint64_t stream) {
  const CounterRng rng(20240607, stream);
  std::vector<T> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = T(static_cast<float>(deviation * rng.normal(i)));
  }
  return values;
}

template <class T>
double as_double(T value) {
  return static_cast<double>(static_cast<float>(value));
}

inline double as_double(double value) { return value; }

// "" when |got - want| <= bound for every element; NaN never passes.
template <class T>
std::string compare(const char* name, const std::vector<T>& got, const std::vector<double>& want,
                    const std::vector<double>& bound) {
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(as_double(got[i]) - want[i]);
    if (error <= bound[i]) continue;
    char text[160];
    std::snprintf(text, sizeof text, "%s[%zu] is %.8g, not %.8g; error %.3g, bound %.3g", name, i,
                  as_double(got[i]), want[i], error, bound[i]);
    return text;
  }
  return "";
}

// Keeps the bytes of the first call and returns "" as long as later ones are the same.
class SameBytes {
 public:
  template <class T>
  std::string check(const char* name, const std::vector<T>& values) {
    std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    for (const auto& [known, first] : first_) {
      if (known == name)
        return first == bytes ? "" : std::string(name) + " depends on the schedule";
    }
    first_.emplace_back(name, std::move(bytes));
    return "";
  }

 private:
  std::vector<std::pair<std::string, std::string>> first_;
};

}  // namespace pg::kerneltest
