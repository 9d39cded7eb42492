#include "src/data/shard_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "src/base/error.h"

namespace pg {

static_assert(std::endian::native == std::endian::little,
              "shards are used as they lie in the file");

Result<int64_t> parse_shard_header(std::span<const uint8_t> header, uint64_t file_bytes) {
  if (header.size() < kShardHeaderBytes || file_bytes < kShardHeaderBytes) {
    return Failure{
        fmt::format("it has {} bytes, its header alone takes {}; fetch or write it again",
                    file_bytes, kShardHeaderBytes)};
  }
  ByteReader reader(header);
  const auto magic = static_cast<int32_t>(reader.u32());
  const auto version = static_cast<int32_t>(reader.u32());
  const auto tokens = static_cast<int32_t>(reader.u32());
  if (magic != kShardMagic) {
    return Failure{
        fmt::format("its first word is \"{}\", not the magic number {}; it is no token "
                    "shard, check the glob",
                    magic, kShardMagic)};
  }
  if (version != kShardVersion) {
    return Failure{
        fmt::format("its version is \"{}\", known is {}; convert it", version, kShardVersion)};
  }
  if (tokens < 0) {
    return Failure{fmt::format("its token count is \"{}\"; fetch or write it again", tokens)};
  }
  const uint64_t expected =
      static_cast<uint64_t>(kShardHeaderBytes) + 2 * static_cast<uint64_t>(tokens);
  if (file_bytes != expected) {
    return Failure{fmt::format(
        "it has {} bytes, its {} tokens need {}: it {}; fetch or write it again", file_bytes,
        tokens, expected, file_bytes < expected ? "is cut short" : "has trailing bytes")};
  }
  return int64_t{tokens};
}

void append_shard(const std::filesystem::path& path, std::vector<int32_t>& ids) {
  const Bytes file = read_file(path);
  const std::span<const uint8_t> header(file.data(),
                                        std::min<size_t>(file.size(), kShardHeaderBytes));
  const Result<int64_t> tokens = parse_shard_header(header, file.size());
  if (!tokens) {
    throw Error(fmt::format("bad token shard: \"{}\": {}", path.string(), tokens.error()));
  }
  ByteReader reader(std::span<const uint8_t>(file).subspan(kShardHeaderBytes));
  for (int64_t i = 0; i < tokens.value(); ++i) ids.push_back(reader.u16());
}

}  // namespace pg
