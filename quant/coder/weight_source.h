// Where the numbers of an artifact come from, whichever coder made its stream.
#pragma once
#include <cstdint>
#include <span>

#include "src/base/field.h"

namespace pg {

enum class Coder : uint8_t {
  kOwn,   // weight_coder.h
  kZstd,  // plain bytes (quant/format/packed/packed_weights.h), packed by zstd
  kLzma,  // the same, packed by lzma
};
template <>
inline constexpr auto kChoiceNames<Coder> = name_choices("own", "zstd", "lzma");

enum class HalfKind : uint8_t { kScales, kValues };  // row scales (positive, alike) / any fp16

// Codes lie in [-max_code, max_code], max_code 1 to 127.
struct CodeShape {
  int64_t rows = 0, cols = 0;
  int max_code = 0;
};

// Hostile input: a call gives false from the first impossible number on, and what it wrote is then
// without meaning. The calls are those of the encoder, in its order; roles 0 to 15.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual bool codes(const CodeShape& shape, std::span<int8_t> out, int role) = 0;  // [rows, cols]
  virtual bool halves(std::span<uint16_t> out, HalfKind kind, int role) = 0;
  virtual bool small_codes(std::span<int8_t> out, int max_code, int role) = 0;
  virtual bool finish() = 0;  // everything was consumed, and ends as the encoder's stream does
  virtual bool failed() const = 0;
};

}  // namespace pg
