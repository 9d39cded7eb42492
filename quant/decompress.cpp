// Hostile streams: the output is capped at the size the header implies, and the input must be used
// up.
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "quant/compress.h"

namespace pg {
namespace {

Result<Bytes> decompress_zstd(std::span<const uint8_t> packed, uint64_t raw_bytes) {
  // Checked before the buffer exists: a frame that declares another size allocates nothing.
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != raw_bytes) {
    return Failure{"zstd payload does not declare the size of the model"};
  }
  if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size()) {
    return Failure{"zstd payload is not exactly one frame"};
  }
  Bytes raw(raw_bytes);
  const size_t size = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) || size != raw_bytes) return Failure{"zstd payload is corrupt"};
  return raw;
}

Result<Bytes> decompress_lzma(std::span<const uint8_t> packed, uint64_t raw_bytes) {
  lzma_options_lzma options = {};
  options.dict_size = lzma_dictionary_bytes(raw_bytes);
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  Bytes raw(raw_bytes);
  size_t read = 0, written = 0;
  const lzma_ret status = lzma_raw_buffer_decode(filters, nullptr, packed.data(), &read,
                                                 packed.size(), raw.data(), &written, raw.size());
  if (status != LZMA_OK || written != raw.size()) return Failure{"lzma payload is corrupt"};
  if (read != packed.size()) return Failure{"lzma payload has trailing bytes"};
  return raw;
}

}  // namespace

uint32_t lzma_dictionary_bytes(uint64_t raw_bytes) {
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(raw_bytes, LZMA_DICT_SIZE_MIN, uint64_t{1} << 29));
}

Result<Bytes> decompress(Compressor compressor, std::span<const uint8_t> packed,
                         uint64_t raw_bytes) {
  if (raw_bytes > std::numeric_limits<size_t>::max() / 2) return Failure{"payload is too large"};
  return compressor == Compressor::kLzma ? decompress_lzma(packed, raw_bytes)
                                         : decompress_zstd(packed, raw_bytes);
}

}  // namespace pg
