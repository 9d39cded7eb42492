// The general compressors that the weight coder is measured against. zstd and lzma are those that an
// artifact may have (quant/format/packed), the others take no part in one.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/bytes.h"

namespace pg {

struct ReferenceResult {
  std::string name;                   // "zstd -22", "lzma -9e", "brotli -11", "lrzip -z -L9"
  std::optional<int64_t> bytes;       // none: the program is not installed
  double encode_s = 0, decode_s = 0;  // of processor time
};

// Seconds that this thread and the programs it ran have computed: the cores may be shared.
double computed_s();

// Each coder's size and times; what it decodes is checked. Throws Error when one fails. lrzip
// (ZPAQ) is a program of its own, run on temporary files, and takes seconds for each megabyte.
std::vector<ReferenceResult> run_reference_coders(std::span<const uint8_t> raw, bool with_lrzip);

// Five codes in {-1, 0, 1} to a byte, in base 3.
Bytes pack_trits(std::span<const int8_t> codes);
void unpack_trits(std::span<const uint8_t> packed, std::span<int8_t> codes);

}  // namespace pg
