// The entropy stage: general compressors, tuned for code bytes. Both sides know the raw size, so a
// stream carries none that could lie.
#pragma once
#include <cstdint>
#include <span>

#include "src/base/bytes.h"
#include "src/base/result.h"

namespace pg {

enum class Compressor : uint8_t { kZstd = 1, kLzma = 2 };

// The smallest stream that the compressor finds; the same bytes for the same input and library
// version.
Bytes compress(Compressor compressor, std::span<const uint8_t> raw);

// Exactly raw_bytes bytes, from exactly all of `packed`; anything else is a failure. Memory stays
// within raw_bytes plus the library's fixed state.
Result<Bytes> decompress(Compressor compressor, std::span<const uint8_t> packed,
                         uint64_t raw_bytes);

// The LZMA2 dictionary both sides use for a payload of this size.
uint32_t lzma_dictionary_bytes(uint64_t raw_bytes);

}  // namespace pg
