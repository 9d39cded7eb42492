// Shards are mapped, not read: the operating system loads the pages a run touches, and ranks on one
// machine share them. Opening still walks all ids once, because an id beyond the vocabulary would
// otherwise index past the embedding hours later; the same walk gives the fingerprint. Both are
// simple enough to run at the speed of memory.
#include "src/data/token_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/base/threads.h"

namespace pg {
namespace {

static_assert(std::endian::native == std::endian::little,
              "shards are used as they lie in the file");

// Tokens a thread checks at a time. A constant, because the fingerprint combines these pieces in
// order.
constexpr int64_t kScanTokens = int64_t{1} << 20;

std::vector<std::filesystem::path> expand_glob(const std::string& pattern) {
  glob_t found = {};
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<std::filesystem::path> paths;
  for (size_t i = 0; status == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  // glob() would sort by the locale; the order of the stream must not depend on it.
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return a.native() < b.native(); });
  return paths;
}

struct ScanResult {
  uint64_t hash = 0;
  uint16_t max_id = 0;
};

// Multiply-xor hash in eight independent lanes (one dependent chain would wait for every multiply),
// and the largest id.
ScanResult scan_tokens(const uint8_t* data, int64_t tokens) {
  constexpr size_t kLanes = 8;
  constexpr size_t kBlockBytes = kLanes * sizeof(uint64_t);
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15ull;  // odd, so that no information is lost
  std::array<uint64_t, kLanes> lanes = {};
  const auto absorb = [&lanes](const uint8_t* block) {
    std::array<uint64_t, kLanes> words;
    std::memcpy(words.data(), block, kBlockBytes);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const uint64_t mixed = (lanes[lane] ^ words[lane]) * kMultiplier;
      lanes[lane] = mixed ^ (mixed >> 29);
    }
  };
  const size_t bytes = static_cast<size_t>(tokens) * sizeof(uint16_t);
  size_t done = 0;
  for (; done + kBlockBytes <= bytes; done += kBlockBytes) absorb(data + done);
  if (done < bytes) {
    std::array<uint8_t, kBlockBytes> tail = {};
    std::memcpy(tail.data(), data + done, bytes - done);
    absorb(tail.data());
  }
  ScanResult result;
  for (const uint64_t lane : lanes) result.hash = mix64(result.hash ^ lane);
  for (int64_t i = 0; i < tokens; ++i) {
    uint16_t id;
    std::memcpy(&id, data + i * 2, sizeof id);
    result.max_id = std::max(result.max_id, id);
  }
  return result;
}

// Unmaps nothing and throws when the file cannot be mapped; the caller owns the mapping.
std::span<const uint8_t> map_file(const std::filesystem::path& path) {
  const auto fail = [&](const char* what) {
    throw Error(
        fmt::format("cannot {} token shard: \"{}\" ({}); check the path and its permissions", what,
                    path.string(), std::strerror(errno)));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail("open");
  struct stat info = {};
  const bool known = ::fstat(file, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    ::close(file);
    throw Error(
        fmt::format("not a token shard file: \"{}\"; give shards or a glob such as "
                    "\"folder/*_train_*.bin\"",
                    path.string()));
  }
  const auto bytes = static_cast<size_t>(info.st_size);
  if (bytes == 0) {
    ::close(file);
    return {};
  }
  void* const data = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  if (data == MAP_FAILED) fail("map");
  return {static_cast<const uint8_t*>(data), bytes};
}

}  // namespace

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

void write_shard(const std::filesystem::path& path, std::span<const uint16_t> ids) {
  PG_CHECK(ids.size() <= static_cast<size_t>(INT32_MAX), "a shard counts its tokens in an int32");
  Bytes bytes(static_cast<size_t>(kShardHeaderBytes) + ids.size_bytes());
  const std::array<int32_t, 3> words = {kShardMagic, kShardVersion,
                                        static_cast<int32_t>(ids.size())};
  std::memcpy(bytes.data(), words.data(), sizeof words);
  if (!ids.empty()) std::memcpy(bytes.data() + kShardHeaderBytes, ids.data(), ids.size_bytes());
  write_file_atomic(path, bytes);
}

TokenStream TokenStream::open(std::string_view shards_glob, int64_t vocab_size) {
  TokenStream stream;
  stream.paths_ = expand_glob(std::string(shards_glob));
  if (stream.paths_.empty()) {
    throw Error(
        fmt::format("no token shard matches: \"{}\"; check the glob, or make shards with "
                    "\"train_gpt tokenize\"",
                    shards_glob));
  }
  for (const std::filesystem::path& path : stream.paths_) {
    const std::span<const uint8_t> file = map_file(path);
    // Owned from here on, so that an error below unmaps it.
    stream.mappings_.push_back({file.data(), file.size(), stream.size_, 0});
    const Result<int64_t> tokens = parse_shard_header(file, file.size());
    if (!tokens)
      throw Error(fmt::format("bad token shard: \"{}\": {}", path.string(), tokens.error()));
    stream.mappings_.back().tokens = tokens.value();
    stream.size_ += tokens.value();
  }
  stream.check_ids(vocab_size);
  return stream;
}

void TokenStream::check_ids(int64_t vocab_size) {
  fingerprint_ = mix64(static_cast<uint64_t>(size_));
  for (size_t shard = 0; shard < mappings_.size(); ++shard) {
    const Mapping& mapping = mappings_[shard];
    const uint8_t* const body = mapping.data + kShardHeaderBytes;
    const int64_t pieces = (mapping.tokens + kScanTokens - 1) / kScanTokens;
    std::vector<ScanResult> results(static_cast<size_t>(pieces));
    parallel_ranges(mapping.tokens, kScanTokens, [&](int64_t begin, int64_t end) {
      results[static_cast<size_t>(begin / kScanTokens)] =
          scan_tokens(body + 2 * begin, end - begin);
    });
    fingerprint_ = mix64(fingerprint_ ^ static_cast<uint64_t>(mapping.tokens));
    uint16_t max_id = 0;
    for (const ScanResult& result : results) {
      fingerprint_ = mix64(fingerprint_ ^ result.hash);
      max_id = std::max(max_id, result.max_id);
    }
    if (mapping.tokens > 0 && max_id >= vocab_size) {
      throw Error(
          fmt::format("id beyond the vocabulary in token shard: \"{}\" has id {}, the vocabulary "
                      "has {} ids; use the tokenizer that made the shards",
                      paths_[shard].string(), max_id, vocab_size));
    }
  }
}

TokenStream::TokenStream(TokenStream&& other) noexcept { *this = std::move(other); }

TokenStream& TokenStream::operator=(TokenStream&& other) noexcept {
  std::swap(mappings_, other.mappings_);
  std::swap(paths_, other.paths_);
  std::swap(size_, other.size_);
  std::swap(fingerprint_, other.fingerprint_);
  return *this;
}

TokenStream::~TokenStream() {
  for (const Mapping& mapping : mappings_) {
    if (mapping.data != nullptr) ::munmap(const_cast<uint8_t*>(mapping.data), mapping.bytes);
  }
}

void TokenStream::read(int64_t begin, std::span<int32_t> out) const {
  const auto count = static_cast<int64_t>(out.size());
  PG_CHECK(begin >= 0 && begin + count <= size_, "token range outside the stream");
  // The last mapping that starts at or before `begin`; empty shards before it share its start and
  // are skipped.
  auto mapping = std::upper_bound(mappings_.begin(), mappings_.end(), begin,
                                  [](int64_t at, const Mapping& m) { return at < m.first_token; });
  int64_t done = 0;
  for (--mapping; done < count; ++mapping) {
    const int64_t from = begin + done - mapping->first_token;
    const int64_t part = std::min(count - done, mapping->tokens - from);
    const uint8_t* const source = mapping->data + kShardHeaderBytes + 2 * from;
    for (int64_t i = 0; i < part; ++i) {
      uint16_t id;
      std::memcpy(&id, source + 2 * i, sizeof id);
      out[static_cast<size_t>(done + i)] = id;
    }
    done += part;
  }
}

}  // namespace pg
