// Makes the streams that quant/format/packed reads: the numbers of a model as bytes, packed by zstd
// at level 22 or by lzma's preset 9 extreme.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "quant/coder/weight_source.h"
#include "src/base/bytes.h"

namespace pg {

// Frames, of which each packs what lies between two of `ends`; they decode as one after another.
std::vector<Bytes> pack_zstd(std::span<const uint8_t> raw, std::span<const size_t> ends);
Bytes pack_lzma(std::span<const uint8_t> raw);

// Takes the calls of a WeightEncoder.
class PackedEncoder {
 public:
  void codes(const CodeShape& shape, std::span<const int8_t> codes, int role);
  void halves(std::span<const uint16_t> halves, HalfKind kind, int role);
  void small_codes(std::span<const int8_t> codes, int max_code, int role);
  double ideal_bytes() const;  // before packing
  // `shares`, if any, gets what a raw byte takes of the stream: of each call's codes, then of the
  // rest. lzma's is one for all codes, for which they are packed once more without the rest.
  Bytes finish(Coder coder, std::vector<double>* shares) const;

 private:
  Bytes finish_zstd(const Bytes& raw, std::vector<double>* shares) const;
  Bytes finish_lzma(const Bytes& raw, std::vector<double>* shares) const;

  std::vector<size_t> ends_;  // of the calls' codes
  Bytes codes_, small_codes_, upper_, lower_;
};

}  // namespace pg
