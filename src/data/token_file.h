// Token shards in the challenge's format: 256 little-endian int32 (magic 20240520, version 1, token
// count, zeros), then count little-endian uint16 ids. Several shards read as one stream, in
// lexicographic order of their paths.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/result.h"

namespace pg {

inline constexpr int32_t kShardMagic = 20240520;
inline constexpr int32_t kShardVersion = 1;
inline constexpr int64_t kShardHeaderBytes = 1024;

// Checks a shard's header against its size; gives the token count. The bytes are a stranger's.
Result<int64_t> parse_shard_header(std::span<const uint8_t> header, uint64_t file_bytes);

// Writes one shard, whole or not at all.
void write_shard(const std::filesystem::path& path, std::span<const uint16_t> ids);

// A read-only, memory-mapped stream of all shards a glob names.
class TokenStream {
 public:
  // Opens and checks every shard. Throws Error when none matches, one is short, truncated or
  // foreign, or (checked in one pass over the data) an id is not below vocab_size; the message
  // names the file and the fix.
  static TokenStream open(std::string_view shards_glob, int64_t vocab_size);
  TokenStream(TokenStream&&) noexcept;
  TokenStream& operator=(TokenStream&&) noexcept;
  ~TokenStream();

  int64_t size() const { return size_; }
  // ids[begin, begin + out.size()); the range must lie inside the stream.
  void read(int64_t begin, std::span<int32_t> out) const;
  // Fingerprint of count and content, for records and for resumed runs to notice other data.
  uint64_t fingerprint() const { return fingerprint_; }
  const std::vector<std::filesystem::path>& paths() const { return paths_; }

 private:
  TokenStream() = default;
  // Fills fingerprint_; throws Error when an id is not below vocab_size.
  void check_ids(int64_t vocab_size);
  struct Mapping {
    const uint8_t* data = nullptr;
    size_t bytes = 0;
    int64_t first_token = 0;  // position in the stream
    int64_t tokens = 0;
  };
  std::vector<Mapping> mappings_;
  std::vector<std::filesystem::path> paths_;
  int64_t size_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace pg
