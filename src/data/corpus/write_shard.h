// Writing what src/data/token_file.h reads.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>

namespace pg {

// Writes one shard, whole or not at all.
void write_shard(const std::filesystem::path& path, std::span<const uint16_t> ids);

}  // namespace pg
