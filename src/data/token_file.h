// Token shards (shard_format.h) as streams. Several shards read as one stream, in lexicographic order
// of their paths.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/file_descriptor.h"
#include "src/data/shard_format.h"

namespace pg {

// The byte side file of a shard: "a_val_bytes_000000.bin" of "a_val_000000.bin".
std::filesystem::path name_byte_file(const std::filesystem::path& shard);

// The files that `shards` names, in the order of their paths: the one of exactly that name, or else
// those that the glob matches but for the byte side files of others of them. A folder of exactly the name that stands in a glob is that folder.
std::vector<std::filesystem::path> list_shard_files(std::string_view shards);

// Fingerprint of one shard's count and content, which the manifest beside it states.
uint64_t fingerprint_shard(std::span<const uint16_t> ids);

// A read-only stream of all shards a glob names. The files stay open: one that is renamed or
// deleted meanwhile is read on, one that is cut short is an error.
class TokenStream {
 public:
  // Opens and checks every shard. Throws Error when none matches, one is short, truncated or
  // foreign, or (checked in one pass over the data) an id is not below vocab_size; the message
  // names the file and the fix.
  static TokenStream open(std::string_view shards, int64_t vocab_size);

  int64_t size() const { return size_; }
  int64_t vocab_size() const { return vocab_size_; }  // every id is below it
  // ids[begin, begin + out.size()); the range must lie inside the stream. Throws Error when a file
  // cannot be read, has become shorter or holds ids that it did not hold. From any thread.
  void read(int64_t begin, std::span<int32_t> out) const;
  // All of it, as it was when it was opened: throws Error when a file's content has changed.
  std::vector<int32_t> read_all() const;
  // A file that was written to since it was opened; empty when none was.
  std::filesystem::path find_changed() const;
  // Fingerprint of count and content, for records and for resumed runs to notice other data.
  uint64_t fingerprint() const { return fingerprint_; }
  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  // Of the shard of that number.
  uint64_t shard_fingerprint(size_t shard) const { return shards_[shard].fingerprint; }
  int64_t shard_tokens(size_t shard) const { return shards_[shard].tokens; }
  // Documents that begin in it.
  int64_t shard_documents(size_t shard) const { return shards_[shard].documents; }

 private:
  TokenStream() = default;
  struct Shard {
    FileDescriptor file;
    int64_t first_token = 0;  // position in the stream
    int64_t tokens = 0;
    uint64_t fingerprint = 0;
    int64_t documents = 0;   // BOS tokens
    int64_t written_ns = 0;  // time of the last write to it
  };
  // Fills the fingerprints and counts documents; throws Error when an id is not below vocab_size.
  void check_ids(int64_t vocab_size);
  // Reads the bytes of ids [first, first + bytes / 2) of a shard.
  void read_ids(size_t shard, int64_t first, std::span<uint8_t> bytes) const;

  std::vector<Shard> shards_;
  std::vector<std::filesystem::path> paths_;
  int64_t size_ = 0, vocab_size_ = 0;
  uint64_t fingerprint_ = 0;
};

}  // namespace pg
