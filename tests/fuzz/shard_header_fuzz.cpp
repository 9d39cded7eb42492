// The header parser of token shards on any bytes: it must neither crash nor accept a count that the
// file cannot hold.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "src/data/token_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // As a whole file, and as the header of a file whose size the first bytes claim.
  uint64_t claimed_bytes = 0;
  for (size_t i = 0; i < 8 && i < size; ++i) claimed_bytes |= uint64_t{data[i]} << (8 * i);
  for (const uint64_t file_bytes : {uint64_t{size}, claimed_bytes}) {
    const pg::Result<int64_t> tokens = pg::parse_shard_header({data, size}, file_bytes);
    if (!tokens) continue;
    const auto body_bytes = static_cast<uint64_t>(2 * tokens.value());
    if (tokens.value() < 0 ||
        file_bytes != static_cast<uint64_t>(pg::kShardHeaderBytes) + body_bytes)
      std::abort();
  }
  return 0;
}
