#include <lzma.h>

#include <algorithm>

#include "quant/format/packed/packed_weights.h"

namespace pg {

bool unpack_lzma(std::span<const uint8_t> packed, std::span<uint8_t> raw) {
  lzma_options_lzma options = {};
  lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME);
  options.dict_size =
      static_cast<uint32_t>(std::clamp<size_t>(raw.size(), LZMA_DICT_SIZE_MIN, options.dict_size));
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  size_t read = 0, written = 0;
  return lzma_raw_buffer_decode(filters, nullptr, packed.data(), &read, packed.size(), raw.data(),
                                &written, raw.size()) == LZMA_OK &&
         read == packed.size() && written == raw.size();
}

}  // namespace pg
