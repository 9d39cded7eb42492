#include "src/data/corpus/byte_file_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "src/base/threads.h"
#include "src/data/corpus/shard_manifest.h"
#include "src/data/corpus/text_codec.h"
#include "src/data/corpus/token_runs.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

constexpr int64_t kEntryValues = 65'536;  // an entry is no id, and may be any uint16
// How much the sum of a published side file may differ from that of its tokens: on the challenge's
// validation text normalisation changes 0.002 %.
constexpr double kMostNormalised = 1e-4;
constexpr const char* kAdvice =
    "tokenize the corpus again with --case-ops, or fetch the shards and their side files from one "
    "place";

// The manifest's fingerprint of a shard's side file; empty where no manifest lists one.
std::string find_listed_fingerprint(const std::filesystem::path& shard) {
  const std::filesystem::path path =
      make_manifest_path(shard.parent_path(), parse_shard_prefix(shard));
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) return {};
  const ShardManifest manifest = read_manifest(path);
  const auto at = std::ranges::find(manifest.shards, shard.filename().string());
  const auto i = static_cast<size_t>(at - manifest.shards.begin());
  return i < manifest.byte_fingerprints.size() ? manifest.byte_fingerprints[i] : std::string();
}

// The side files of a stream's shards, read one after the other.
class ByteFiles {
 public:
  // What is wrong with them without a look at the tokens.
  DataFaults open(const TokenStream& val) {
    DataFaults faults;
    for (size_t i = 0; i < val.paths().size(); ++i) {
      if (std::string fault = open_one(val, i); !fault.empty()) faults.push_back(std::move(fault));
    }
    return faults;
  }
  bool has_manifest() const { return has_manifest_; }

  // The next entries.
  std::vector<int32_t> take(size_t count) {
    std::vector<int32_t> entries(count);
    for (size_t done = 0; done < count;) {
      const TokenStream& file = files_[file_];
      const size_t part = std::min(count - done, static_cast<size_t>(file.size() - at_));
      file.read(at_, std::span(entries).subspan(done, part));
      done += part;
      at_ += static_cast<int64_t>(part);
      if (at_ == file.size() && file_ + 1 < files_.size()) {
        ++file_;
        at_ = 0;
      }
    }
    return entries;
  }

 private:
  std::string open_one(const TokenStream& val, size_t shard) {
    const std::filesystem::path& path = val.paths()[shard];
    const std::filesystem::path bytes = name_byte_file(path);
    if (std::error_code ignored; !std::filesystem::exists(bytes, ignored)) {
      return fmt::format("byte side file is missing: \"{}\" beside \"{}\"; {}", bytes.string(),
                         path.string(), kAdvice);
    }
    const TokenStream& file = files_.emplace_back(TokenStream::open(bytes.string(), kEntryValues));
    if (file.size() != val.shard_tokens(shard)) {
      return fmt::format(
          "byte side file does not fit its shard: \"{}\" has {} entries, \"{}\" {} tokens; {}",
          bytes.string(), file.size(), path.string(), val.shard_tokens(shard), kAdvice);
    }
    const std::string listed = find_listed_fingerprint(path);
    has_manifest_ = has_manifest_ || !listed.empty();
    if (listed.empty() || listed == format_fingerprint(file.shard_fingerprint(0))) return {};
    return fmt::format("byte side file is not the manifest's: \"{}\" holds other entries; {}",
                       bytes.string(), kAdvice);
  }

  std::vector<TokenStream> files_;
  size_t file_ = 0;
  int64_t at_ = 0;
  bool has_manifest_ = false;
};

struct Document {
  std::vector<int32_t> ids;
  std::vector<int32_t> entries;  // of the side file
  bool is_last = false;          // of the stream, which may end in it
};

// Sums over the targets of documents.
struct ByteSums {
  int64_t listed = 0;         // by the side file
  int64_t charged = 0;        // by the byte table
  int64_t decoded = 0;        // of the text that the tokens give back
  int64_t differing = 0;      // entries that are not the byte table's
  int64_t without_bytes = 0;  // of those, of tokens that stand for no byte

  void add(const ByteSums& more) {
    listed += more.listed;
    charged += more.charged;
    decoded += more.decoded;
    differing += more.differing;
    without_bytes += more.without_bytes;
  }
};

// The text of a document that begins where the stream does and ends where it does may be cut inside
// a character, and its first token may be no target: of those the table's bytes are taken.
int64_t count_decoded(const TextCodec& codec, const Document& document, int64_t charged) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::span<const int32_t> ids(document.ids);
  if (ids[0] != kBosId) return charged;
  int64_t cut = 0;
  while (document.is_last && ids.size() > 1 && codec.decode(ids.last(1)) == kReplacement) {
    cut += codec.tokenizer().byte_table().token_bytes(ids, ids.size() - 1);
    ids = ids.first(ids.size() - 1);
  }
  return static_cast<int64_t>(codec.decode(ids.subspan(1)).size()) + cut;
}

ByteSums sum_document(const TextCodec& codec, const Document& document) {
  ByteSums sums;
  if (document.ids[0] == kBosId && document.entries[0] != 0) {
    sums.listed += document.entries[0];
    ++sums.differing;
    ++sums.without_bytes;
  }
  for (size_t i = 1; i < document.ids.size(); ++i) {
    const int64_t bytes = codec.tokenizer().byte_table().token_bytes(document.ids, i);
    sums.listed += document.entries[i];
    sums.charged += bytes;
    if (bytes == document.entries[i]) continue;
    ++sums.differing;
    if (bytes == 0) ++sums.without_bytes;
  }
  sums.decoded = count_decoded(codec, document, sums.charged);
  return sums;
}

ByteSums sum_documents(const TokenStream& val, ByteFiles& files, const TextCodec& codec) {
  constexpr size_t kBatchTokens = size_t{1} << 20;  // of documents that all threads share
  ByteSums sums;
  std::vector<Document> batch;
  size_t batch_tokens = 0;
  const auto sum_batch = [&] {
    std::vector<ByteSums> of_documents(batch.size());
    parallel_chunks(static_cast<int64_t>(batch.size()), [&](int64_t i) {
      const auto at = static_cast<size_t>(i);
      of_documents[at] = sum_document(codec, batch[at]);
    });
    for (const ByteSums& more : of_documents) sums.add(more);
    batch.clear();
    batch_tokens = 0;
  };
  visit_documents(val, [&](std::span<const int32_t> ids) {
    if (batch_tokens > kBatchTokens) sum_batch();
    batch_tokens += ids.size();
    batch.push_back({{ids.begin(), ids.end()}, files.take(ids.size())});
  });
  if (!batch.empty()) batch.back().is_last = true;
  sum_batch();
  return sums;
}

}  // namespace

ByteFileFindings check_byte_files(const TokenStream& val, const Tokenizer& tokenizer) {
  if (!tokenizer.has_case_ops()) return {};
  ByteFiles files;
  if (DataFaults faults = files.open(val); !faults.empty()) return {std::move(faults), {}};
  const ByteSums sums = sum_documents(val, files, TextCodec(tokenizer));
  if (sums.charged != sums.decoded) {
    return {
        {fmt::format("bytes a token are not exact: the tokens are charged with {} bytes and give "
                     "back {}; {}",
                     format_thousands(sums.charged), format_thousands(sums.decoded), kAdvice)},
        {}};
  }
  if (sums.differing == 0) return {};
  const auto difference = static_cast<double>(std::abs(sums.listed - sums.charged));
  const bool is_normalised = !files.has_manifest() && sums.without_bytes == 0 &&
                             difference < kMostNormalised * static_cast<double>(sums.charged);
  if (is_normalised) {
    return {
        {},
        fmt::format("the byte side files count the text before the tokenizer's normalisation, {} "
                    "bytes; the score is by what the tokens give back, {} bytes",
                    format_thousands(sums.listed), format_thousands(sums.charged))};
  }
  return {{fmt::format("byte side file is of another text: {} of {} entries are not the bytes of "
                       "their tokens, and all sum up to {} bytes where the tokens give back {}; {}",
                       format_thousands(sums.differing), format_thousands(val.size()),
                       format_thousands(sums.listed), format_thousands(sums.charged), kAdvice)},
          {}};
}

}  // namespace pg
