// A token shard in the challenge's format: 256 little-endian int32 (magic 20240520, version 1, token
// count, zeros), then count little-endian uint16 ids.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/result.h"

namespace pg {

inline constexpr int32_t kShardMagic = 20240520;
inline constexpr int32_t kShardVersion = 1;
inline constexpr int64_t kShardHeaderBytes = 1024;

// Checks a shard's header against its size; gives the token count. The bytes are a stranger's.
Result<int64_t> parse_shard_header(std::span<const uint8_t> header, uint64_t file_bytes);

// Appends the ids of a whole shard. Throws Error when it is missing or no shard.
void append_shard(const std::filesystem::path& path, std::vector<int32_t>& ids);

}  // namespace pg
