// Bytes in: whole-file reads, little-endian fields.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/result.h"

namespace pg {

using Bytes = std::vector<uint8_t>;

// Reads a whole file. Throws Error when it is missing, unreadable, or larger than max_bytes.
Bytes read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 34);
std::string read_text_file(const std::filesystem::path& path);

inline std::span<const uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Appends little-endian fields to a growing buffer.
class ByteWriter {
 public:
  void u8(uint8_t v) { out_.push_back(v); }
  void u16(uint16_t v) { little_endian(v, 2); }
  void u32(uint32_t v) { little_endian(v, 4); }
  void u64(uint64_t v) { little_endian(v, 8); }
  void f32(float v);
  void f64(double v);
  void bytes(std::span<const uint8_t> v) { out_.insert(out_.end(), v.begin(), v.end()); }
  // u32 length, then the characters.
  void string(std::string_view v);
  Bytes take() { return std::move(out_); }
  const Bytes& buffer() const { return out_; }

 private:
  void little_endian(uint64_t v, int n) {
    for (int i = 0; i < n; ++i) out_.push_back(static_cast<uint8_t>(v >> (8 * i)));
  }
  Bytes out_;
};

// Reads little-endian fields from untrusted bytes. After the first read past the end every read
// gives zero and ok() is false, so a parser may check once per group of fields.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint8_t u8() { return static_cast<uint8_t>(little_endian(1)); }
  uint16_t u16() { return static_cast<uint16_t>(little_endian(2)); }
  uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
  uint64_t u64() { return little_endian(8); }
  float f32();
  double f64();
  std::span<const uint8_t> bytes(uint64_t count);
  // A string of at most max_bytes; a longer one fails the reader.
  std::string string(uint32_t max_bytes);
  uint64_t remaining() const { return bytes_.size() - position_; }
  bool ok() const { return ok_; }

 private:
  uint64_t little_endian(int n);
  std::span<const uint8_t> bytes_;
  uint64_t position_ = 0;
  bool ok_ = true;
};

}  // namespace pg
