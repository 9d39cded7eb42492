// What checks of launchers share: the reference device says what a launcher must leave, under every
// schedule.
#pragma once
#include <string>
#include <vector>

#include "src/device/tensor_view.h"
#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {

template <class T>
In in_of(const std::vector<T>& values) {
  return {values.data(), DTypeOf<T>::value};
}
inline Out out_of(std::vector<double>& values) { return {values.data(), DType::kF64, false}; }

template <class T>
std::vector<double> as_doubles(const std::vector<T>& values) {
  std::vector<double> doubles;
  for (const T& value : values) doubles.push_back(as_double(value));
  return doubles;
}

// Outputs of one check, over all its runs.
class Outputs {
 public:
  // "" when the guards are intact, each value is within 64 roundings in f32 of its own size and of
  // `size`, and one of storage, and the bytes are those of the runs before.
  template <class T>
  std::string check(const char* name, const DeviceArray<T>& array, const std::vector<double>& want,
                    double size, double storage = kRounding<T>) {
    if (!array.are_guards_intact()) return std::string(name) + " is written past its ends";
    std::vector<double> bound;
    for (const double value : want) {
      bound.push_back(storage * std::abs(value) + 64 * kF32Rounding * (std::abs(value) + size));
    }
    const std::vector<T> got = array.fetch();
    const std::string error = compare(name, got, want, bound);
    return error.empty() ? same_.check(name, got) : error;
  }

 private:
  SameBytes same_;
};

// The first that is not "".
inline std::string first_error(std::initializer_list<std::string> errors) {
  for (const std::string& error : errors) {
    if (!error.empty()) return error;
  }
  return "";
}

}  // namespace pg::kerneltest
