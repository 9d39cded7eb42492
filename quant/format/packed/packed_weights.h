// The payload of an artifact as the published packers take it: plain bytes, then zstd or lzma.
//
// In payload order, one kind after another, which both packers like best: the codes of all tensors,
// int8, row by row; all small integers, int8; the upper bytes of all fp16 numbers, then their lower
// bytes (the byte shuffle of the records of 2026-04). zstd: one frame for each tensor's codes, one
// for the rest, as its parser takes its statistics from the start of a frame. lzma: one stream
// without a container, of preset 9 extreme.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "quant/format/artifact_format.h"

namespace pg {

// Whether all of `packed` unpacks to exactly raw.size() bytes, into raw. Needs no more memory than
// that, whatever `packed` says.
bool unpack_zstd(std::span<const uint8_t> packed, std::span<uint8_t> raw);
bool unpack_lzma(std::span<const uint8_t> packed, std::span<uint8_t> raw);

std::unique_ptr<WeightSource> open_packed(bool (*unpack)(std::span<const uint8_t>,
                                                         std::span<uint8_t>),
                                          const std::vector<QuantTensor>& forms,
                                          std::span<const uint8_t> stream);

}  // namespace pg
