#include <zstd.h>

#include "quant/format/packed/packed_weights.h"

namespace pg {

bool unpack_zstd(std::span<const uint8_t> packed, std::span<uint8_t> raw) {
  // Frames to their end, straight into `raw`: a frame's window asks for no memory.
  return ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size()) == raw.size();
}

}  // namespace pg
