// Shards are read by position, not mapped: where a mapped file is cut short by somebody else, the
// next touch of its pages is a SIGBUS, while a read comes back short and can say so. The operating
// system keeps the pages that a run touches either way. Opening walks all ids once, because an id
// beyond the vocabulary would otherwise index past the embedding hours later; the same walk gives
// the fingerprint. Both are simple enough to run at the speed of memory.
#include "src/data/token_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/base/system_error.h"
#include "src/base/threads.h"
#include "src/data/tokenizer.h"

namespace pg {
namespace {

// Tokens a thread checks at a time. A constant, because the fingerprint combines these pieces in
// order.
constexpr int64_t kScanTokens = int64_t{1} << 20;

// Bytes read at a time, into a buffer on the stack.
constexpr size_t kReadBytes = size_t{1} << 15;

bool is_glob(std::string_view text) {
  return text.find_first_of("*?[\\") != std::string_view::npos;
}

std::string escape_glob(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (is_glob({&c, 1})) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// The pattern with the folders that exist by their very names escaped, so that "x[1]/*.bin" looks
// into "x[1]" where there is one and into "x1" elsewhere.
std::string escape_folders(const std::string& pattern) {
  size_t known = 0;  // pattern[0, known) exists
  for (size_t at = pattern.find('/'); at != std::string::npos; at = pattern.find('/', at + 1)) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(pattern.substr(0, at + 1), ignored)) break;
    known = at + 1;
  }
  return escape_glob(pattern.substr(0, known)) + pattern.substr(known);
}

// Multiply-xor hash in eight independent lanes (one dependent chain would wait for every multiply),
// and the largest id, of bytes that come in blocks.
class TokenScan {
 public:
  static constexpr size_t kLanes = 8;
  static constexpr size_t kBlockBytes = kLanes * sizeof(uint64_t);

  // Whole blocks, but for the last part.
  void add(std::span<const uint8_t> bytes) {
    size_t done = 0;
    for (; done + kBlockBytes <= bytes.size(); done += kBlockBytes) absorb(bytes.data() + done);
    if (done < bytes.size()) {
      std::array<uint8_t, kBlockBytes> tail = {};
      std::memcpy(tail.data(), bytes.data() + done, bytes.size() - done);
      absorb(tail.data());
    }
    uint32_t documents = 0;
    for (size_t at = 0; at < bytes.size(); at += sizeof(uint16_t)) {
      uint16_t id;
      std::memcpy(&id, bytes.data() + at, sizeof id);
      max_id_ = std::max(max_id_, id);
      documents += id == kBosId ? 1 : 0;
    }
    documents_ += documents;
  }
  uint64_t hash() const {
    uint64_t hash = 0;
    for (const uint64_t lane : lanes_) hash = mix64(hash ^ lane);
    return hash;
  }
  uint16_t max_id() const { return max_id_; }
  int64_t documents() const { return documents_; }

 private:
  void absorb(const uint8_t* block) {
    constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15ull;  // odd, so that no information is lost
    std::array<uint64_t, kLanes> words;
    std::memcpy(words.data(), block, kBlockBytes);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const uint64_t mixed = (lanes_[lane] ^ words[lane]) * kMultiplier;
      lanes_[lane] = mixed ^ (mixed >> 29);
    }
  }

  std::array<uint64_t, kLanes> lanes_ = {};
  uint16_t max_id_ = 0;
  int64_t documents_ = 0;
};
static_assert(kReadBytes % TokenScan::kBlockBytes == 0 && kScanTokens * 2 % kReadBytes == 0);

constexpr int kShortRead = -1;

struct PieceResult {
  uint64_t hash = 0;
  uint16_t max_id = 0;
  int64_t documents = 0;
  int error = 0;  // as read_at gives it
};

// Fills `out` from byte `offset` on. Gives 0, an errno, or kShortRead where the file ends before.
int read_at(int file, int64_t offset, std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t n = ::pread(file, out.data(), out.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : kShortRead;
    out = out.subspan(static_cast<size_t>(n));
    offset += n;
  }
  return 0;
}

[[noreturn]] void fail_reading(const std::filesystem::path& path, int error) {
  if (error == kShortRead) {
    throw Error(
        fmt::format("token shard has become shorter while it was in use: \"{}\"; put the whole "
                    "file back and start again",
                    path.string()));
  }
  throw Error(fmt::format("cannot read token shard: \"{}\": {}", path.string(),
                          describe_system_error(error, "check the disk")));
}

// More shards than this process may have files open: the limit that a shell sets is mostly lower
// than the one that the system allows.
int open_file(const std::filesystem::path& path) {
  // A pipe would otherwise be waited for.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  const int file = ::open(path.c_str(), kFlags);
  struct rlimit limit = {};
  if (file >= 0 || errno != EMFILE || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return file;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return ::open(path.c_str(), kFlags);
}

struct OpenedShard {
  FileDescriptor file;
  int64_t tokens = 0;
};

OpenedShard open_shard(const std::filesystem::path& path) {
  FileDescriptor file(open_file(path));
  if (!file.valid()) {
    throw Error(fmt::format("cannot open token shard: \"{}\": {}", path.string(),
                            describe_system_error(errno)));
  }
  struct stat info = {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw Error(
        fmt::format("not a token shard file: \"{}\"; give shards or a glob such as "
                    "\"folder/*_train_*.bin\"",
                    path.string()));
  }
  std::array<uint8_t, kShardHeaderBytes> header = {};
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  const std::span<uint8_t> part(header.data(), std::min<uint64_t>(file_bytes, header.size()));
  if (const int error = read_at(file.get(), 0, part); error != 0) fail_reading(path, error);
  const Result<int64_t> tokens = parse_shard_header(part, file_bytes);
  if (!tokens) {
    throw Error(fmt::format("bad token shard: \"{}\": {}", path.string(), tokens.error()));
  }
  return {std::move(file), tokens.value()};
}

// Folds the pieces of one shard, in order.
uint64_t fold_pieces(int64_t tokens, std::span<const PieceResult> pieces) {
  uint64_t fingerprint = mix64(static_cast<uint64_t>(tokens));
  for (const PieceResult& piece : pieces) fingerprint = mix64(fingerprint ^ piece.hash);
  return fingerprint;
}

std::vector<PieceResult> make_pieces(int64_t tokens) {
  return std::vector<PieceResult>(static_cast<size_t>((tokens + kScanTokens - 1) / kScanTokens));
}

[[noreturn]] void fail_changed(const std::filesystem::path& path) {
  throw Error(fmt::format(
      "token shard has changed while it was in use: \"{}\"; start again with shards that nobody "
      "writes to",
      path.string()));
}

int64_t time_of_last_write(int fd) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return 0;
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

// "a_val_*.bin" matches "a_val_bytes_000000.bin" too.
void leave_out_byte_files(std::vector<std::filesystem::path>& paths) {
  std::set<std::filesystem::path> byte_files;
  for (const std::filesystem::path& path : paths) byte_files.insert(name_byte_file(path));
  std::erase_if(paths, [&](const auto& path) { return byte_files.contains(path); });
}

}  // namespace

std::filesystem::path name_byte_file(const std::filesystem::path& shard) {
  const std::string name = shard.filename().string();
  const size_t number = std::min(name.rfind('_'), name.rfind('.'));
  const size_t at = number == std::string::npos ? name.size() : number;
  return shard.parent_path() / (name.substr(0, at) + "_bytes" + name.substr(at));
}

std::vector<std::filesystem::path> list_shard_files(std::string_view shards) {
  const std::string pattern(shards);
  std::error_code ignored;
  if (std::filesystem::exists(pattern, ignored)) return {pattern};
  glob_t found = {};
  // Of folders that it cannot read it would pass over the shards.
  const auto stop_at = [](const char*, int error) {
    if (error == ENOENT || error == ENOTDIR) return 0;
    errno = error;
    return 1;
  };
  errno = 0;
  const int status = ::glob(escape_folders(pattern).c_str(), GLOB_NOSORT, stop_at, &found);
  if (status == GLOB_ABORTED || status == GLOB_NOSPACE) {
    const int error = status == GLOB_NOSPACE ? ENOMEM : errno;
    ::globfree(&found);
    throw Error(fmt::format("cannot look for token shards: \"{}\": {}", pattern,
                            describe_system_error(error)));
  }
  std::vector<std::filesystem::path> paths;
  for (size_t i = 0; status == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  // glob() would sort by the locale; the order of the stream must not depend on it.
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return a.native() < b.native(); });
  leave_out_byte_files(paths);
  return paths;
}

uint64_t fingerprint_shard(std::span<const uint16_t> ids) {
  const auto tokens = static_cast<int64_t>(ids.size());
  std::vector<PieceResult> pieces = make_pieces(tokens);
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(ids.data()),
                                       ids.size_bytes());
  parallel_ranges(tokens, kScanTokens, [&](int64_t begin, int64_t end) {
    TokenScan scan;
    scan.add(bytes.subspan(static_cast<size_t>(2 * begin), static_cast<size_t>(2 * (end - begin))));
    pieces[static_cast<size_t>(begin / kScanTokens)].hash = scan.hash();
  });
  return fold_pieces(tokens, pieces);
}

TokenStream TokenStream::open(std::string_view shards, int64_t vocab_size) {
  TokenStream stream;
  stream.paths_ = list_shard_files(shards);
  if (stream.paths_.empty()) {
    throw Error(
        fmt::format("no token shard matches: \"{}\"; check the glob, or make shards with "
                    "\"train_gpt tokenize\"",
                    shards));
  }
  for (const std::filesystem::path& path : stream.paths_) {
    OpenedShard shard = open_shard(path);
    const int64_t written_ns = time_of_last_write(shard.file.get());
    stream.shards_.push_back({.file = std::move(shard.file),
                              .first_token = stream.size_,
                              .tokens = shard.tokens,
                              .written_ns = written_ns});
    stream.size_ += shard.tokens;
  }
  stream.vocab_size_ = vocab_size;
  stream.check_ids(vocab_size);
  return stream;
}

void TokenStream::check_ids(int64_t vocab_size) {
  fingerprint_ = mix64(static_cast<uint64_t>(size_));
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    std::vector<PieceResult> pieces = make_pieces(shard.tokens);
    parallel_ranges(shard.tokens, kScanTokens, [&](int64_t begin, int64_t end) {
      PieceResult& piece = pieces[static_cast<size_t>(begin / kScanTokens)];
      TokenScan scan;
      std::array<uint8_t, kReadBytes> buffer;
      for (int64_t at = 2 * begin; at < 2 * end && piece.error == 0; at += kReadBytes) {
        const auto part = std::span(buffer).first(
            static_cast<size_t>(std::min<int64_t>(kReadBytes, 2 * end - at)));
        piece.error = read_at(shard.file.get(), kShardHeaderBytes + at, part);
        if (piece.error == 0) scan.add(part);
      }
      piece.hash = scan.hash();
      piece.max_id = scan.max_id();
      piece.documents = scan.documents();
    });
    shard.fingerprint = fold_pieces(shard.tokens, pieces);
    fingerprint_ = mix64(fingerprint_ ^ static_cast<uint64_t>(shard.tokens));
    uint16_t max_id = 0;
    for (const PieceResult& piece : pieces) {
      if (piece.error != 0) fail_reading(paths_[i], piece.error);
      fingerprint_ = mix64(fingerprint_ ^ piece.hash);
      max_id = std::max(max_id, piece.max_id);
      shard.documents += piece.documents;
    }
    if (shard.tokens > 0 && max_id >= vocab_size) {
      throw Error(
          fmt::format("id beyond the vocabulary in token shard: \"{}\" has id {}, the vocabulary "
                      "has {} ids; use the tokenizer that made the shards",
                      paths_[i].string(), max_id, vocab_size));
    }
  }
}

void TokenStream::read_ids(size_t shard, int64_t first, std::span<uint8_t> bytes) const {
  const int error = read_at(shards_[shard].file.get(), kShardHeaderBytes + 2 * first, bytes);
  if (error != 0) fail_reading(paths_[shard], error);
}

void TokenStream::read(int64_t begin, std::span<int32_t> out) const {
  const auto count = static_cast<int64_t>(out.size());
  PG_CHECK(begin >= 0 && begin + count <= size_, "token range outside the stream");
  if (out.empty()) return;
  // The last shard that starts at or before `begin`; empty shards before it share its start and are
  // skipped.
  auto shard = static_cast<size_t>(
      std::upper_bound(shards_.begin(), shards_.end(), begin,
                       [](int64_t at, const Shard& s) { return at < s.first_token; }) -
      shards_.begin() - 1);
  std::array<uint8_t, kReadBytes> buffer;
  for (int64_t done = 0; done < count;) {
    const int64_t from = begin + done - shards_[shard].first_token;
    const int64_t part = std::min({count - done, shards_[shard].tokens - from,
                                   static_cast<int64_t>(kReadBytes / sizeof(uint16_t))});
    if (part == 0) {
      ++shard;
      continue;
    }
    const auto bytes = std::span(buffer).first(static_cast<size_t>(2 * part));
    read_ids(shard, from, bytes);
    uint16_t max_id = 0;
    for (int64_t i = 0; i < part; ++i) {
      uint16_t id;
      std::memcpy(&id, bytes.data() + 2 * i, sizeof id);
      max_id = std::max(max_id, id);
      out[static_cast<size_t>(done + i)] = id;
    }
    if (max_id >= vocab_size_) fail_changed(paths_[shard]);  // a gather would read beyond its table
    done += part;
  }
}

std::vector<int32_t> TokenStream::read_all() const {
  std::vector<int32_t> ids(static_cast<size_t>(size_));
  read(0, ids);
  const std::vector<uint16_t> narrow(ids.begin(), ids.end());
  for (size_t i = 0; i < shards_.size(); ++i) {
    const auto content = std::span(narrow).subspan(static_cast<size_t>(shards_[i].first_token),
                                                   static_cast<size_t>(shards_[i].tokens));
    if (fingerprint_shard(content) != shards_[i].fingerprint) fail_changed(paths_[i]);
  }
  return ids;
}

std::filesystem::path TokenStream::find_changed() const {
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (time_of_last_write(shards_[i].file.get()) != shards_[i].written_ns) return paths_[i];
  }
  return {};
}

}  // namespace pg
