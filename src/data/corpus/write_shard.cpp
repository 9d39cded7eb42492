#include "src/data/corpus/write_shard.h"

#include <array>
#include <cstring>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/data/token_file.h"
#include "src/files/write_file.h"

namespace pg {

void write_shard(const std::filesystem::path& path, std::span<const uint16_t> ids) {
  PG_CHECK(ids.size() <= static_cast<size_t>(INT32_MAX), "a shard counts its tokens in an int32");
  Bytes bytes(static_cast<size_t>(kShardHeaderBytes) + ids.size_bytes());
  const std::array<int32_t, 3> words = {kShardMagic, kShardVersion,
                                        static_cast<int32_t>(ids.size())};
  std::memcpy(bytes.data(), words.data(), sizeof words);
  if (!ids.empty()) std::memcpy(bytes.data() + kShardHeaderBytes, ids.data(), ids.size_bytes());
  write_file_atomic(path, bytes);
}

}  // namespace pg
