// Operands of a case in device memory: what the op test checks and what the ops' benchmark times.
#pragma once
#include <cstdint>
#include <vector>

#include "src/device/device.h"
#include "tests/ops/op_case.h"

namespace pg::optest {

using RawBytes = std::vector<uint8_t>;

// NaN in every type (and id -1), so that a read beyond the end shows in the result too.
inline constexpr uint8_t kPoison = 0xff;

RawBytes encode(const Values& values, DType dtype);
Values decode(const RawBytes& bytes, DType dtype);

// A tensor on the device between two guards; of a view, the gaps between its rows are guards too.
class GuardedTensor {
 public:
  GuardedTensor(Device& device, const RawBytes& content, const Operand& operand, DType dtype);

  void* data() const;
  void restore() const;  // to the content it was made with
  RawBytes content() const;
  bool are_guards_intact() const;
  bool is_unchanged() const { return fetch() == sent_; }

 private:
  RawBytes::iterator at(RawBytes& all, int64_t i) const;
  RawBytes fetch() const;

  Device& device_;
  Layout layout_;
  size_t element_;  // bytes
  int64_t count_;
  RawBytes sent_;
  DeviceBuffer buffer_;
};

}  // namespace pg::optest
