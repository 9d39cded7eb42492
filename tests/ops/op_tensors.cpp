#include "tests/ops/op_tensors.h"

#include <algorithm>
#include <cstring>

#include "src/device/reference/reference_values.h"

namespace pg::optest {
namespace {

constexpr size_t kGuardBytes = 64;

}  // namespace

RawBytes encode(const Values& values, DType dtype) {
  RawBytes bytes(values.size() * dtype_bytes(dtype));
  if (dtype == DType::kI32) {
    for (size_t i = 0; i < values.size(); ++i) {
      const int32_t id = static_cast<int32_t>(values[i]);
      std::memcpy(&bytes[4 * i], &id, 4);
    }
  } else {
    reference::write(Out{bytes.data(), dtype, false}, values);
  }
  return bytes;
}

Values decode(const RawBytes& bytes, DType dtype) {
  return reference::read(In{bytes.data(), dtype},
                         static_cast<int64_t>(bytes.size() / dtype_bytes(dtype)));
}

GuardedTensor::GuardedTensor(Device& device, const RawBytes& content, const Operand& operand,
                             DType dtype)
    : device_(device),
      layout_(operand.layout),
      element_(dtype_bytes(dtype)),
      count_(operand.count),
      sent_(static_cast<size_t>(layout_.extent(count_)) * element_ + 2 * kGuardBytes, kPoison) {
  for (int64_t i = 0; i < count_; ++i) {
    std::copy_n(content.begin() + i * static_cast<int64_t>(element_), element_, at(sent_, i));
  }
  buffer_ = DeviceBuffer(device, sent_.size());
  restore();
}

void* GuardedTensor::data() const { return buffer_.as<uint8_t>() + kGuardBytes; }

void GuardedTensor::restore() const { device_.upload(buffer_.data(), sent_.data(), sent_.size()); }

RawBytes GuardedTensor::content() const {
  RawBytes all = fetch(), packed(static_cast<size_t>(count_) * element_);
  for (int64_t i = 0; i < count_; ++i) {
    std::copy_n(at(all, i), element_, packed.begin() + i * static_cast<int64_t>(element_));
  }
  return packed;
}

bool GuardedTensor::are_guards_intact() const {
  RawBytes all = fetch(), want = sent_;
  for (int64_t i = 0; i < count_; ++i) std::copy_n(at(all, i), element_, at(want, i));
  return all == want;
}

RawBytes::iterator GuardedTensor::at(RawBytes& all, int64_t i) const {
  return all.begin() + static_cast<int64_t>(kGuardBytes) +
         layout_.position(i) * static_cast<int64_t>(element_);
}

RawBytes GuardedTensor::fetch() const {
  RawBytes all(sent_.size());
  device_.download(all.data(), buffer_.data(), all.size());
  return all;
}

}  // namespace pg::optest
