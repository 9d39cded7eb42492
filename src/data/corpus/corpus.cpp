// Tokenising. New shards are written under other names, which no glob for shards matches, and take
// their places when all are there: whatever ends the process before, the earlier corpus stands. For
// that moment the manifests are marked unfinished, so that a mixture of both is noticed.
#include "src/data/corpus/corpus.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/system_error.h"
#include "src/data/corpus/case_ops.h"
#include "src/data/corpus/encoded_documents.h"
#include "src/data/corpus/open_data.h"
#include "src/data/corpus/write_shard.h"
#include "src/data/token_file.h"

namespace pg {
namespace {

constexpr int64_t kMaxShardTokens = INT32_MAX;  // the header counts in an int32
// A run holds every shard open, and a system allows so many files at best.
constexpr int64_t kMostShards = 100'000;
constexpr int64_t kMostTokenBytes = 16;  // of text in the mean, for any tokenizer
constexpr const char* kNewShard = ".train_gpt.new";
// Behind the prefix of side files (name_byte_file).
constexpr const char* kByteFiles = "_bytes";

[[noreturn]] void fail_too_many_shards(int64_t shard_tokens) {
  throw Error(fmt::format(
      "too many shards: \"{}\" tokens each make more than {} files, and a run holds all "
      "of them open; give a larger --shard-tokens",
      shard_tokens, kMostShards));
}

// Collects the documents of one split and writes a shard whenever one is full; a document may
// straddle two.
class SplitWriter {
 public:
  SplitWriter(const TokenizeOptions& options, std::string_view split, const Tokenizer& tokenizer,
              const std::string& source_sha256)
      : folder_(options.output_folder),
        prefix_(fmt::format("{}_{}", options.name, split)),
        shard_tokens_(options.shard_tokens),
        byte_table_(&tokenizer.byte_table()),
        has_byte_files_(options.has_case_ops && split != "train") {
    if (options.has_case_ops) manifest_.text_transform = kCaseOpsName;
    manifest_.tokenizer_sha256 = hex(tokenizer.sha256());
    manifest_.vocab_size = tokenizer.vocab_size();
    manifest_.source_sha256 = source_sha256;
    manifest_.summary.split = split;
  }

  // Throws Error when what lies there is not of an unfinished run or of the same text.
  void check_earlier_run(bool force) const {
    const std::vector<std::filesystem::path> earlier = list_shards(folder_, prefix_);
    const std::filesystem::path path = make_manifest_path(folder_, prefix_);
    std::error_code ignored;  // what cannot be looked at says so when it is written
    const bool has_manifest = std::filesystem::exists(path, ignored);
    if (!earlier.empty() && !has_manifest) {
      throw Error(fmt::format(
          "shards of another source are in the way: \"{}\" has no manifest; choose another "
          "name or output folder",
          earlier.front().string()));
    }
    if (!has_manifest || force) return;
    const ShardManifest manifest = read_earlier_manifest(path);
    if (earlier.empty()) return;
    if (manifest.complete && manifest.source_sha256 != manifest_.source_sha256) {
      throw Error(fmt::format(
          "shards of another text are in the way: \"{}\" and {} more, {} documents; choose another "
          "--name or --out, or replace them with --force",
          earlier.front().string(), earlier.size() - 1, manifest.summary.documents));
    }
  }

  // What a run that was cut off left.
  void remove_new_shards() const {
    for (const std::string& prefix : {prefix_, prefix_ + kByteFiles}) {
      for (const std::filesystem::path& shard : list_shards(folder_, prefix, kNewShard)) {
        remove_shard(shard);
      }
    }
  }

  // After a failure, which is what shall be said.
  void discard() const {
    std::error_code ignored;
    for (const std::filesystem::path& file : list_files()) {
      std::filesystem::remove(name_new(file), ignored);
    }
  }

  void add(const EncodedDocument& document) {
    add_document(document, manifest_.summary);
    for (size_t i = 0; i < document.ids.size(); ++i) {
      ids_.push_back(static_cast<uint16_t>(document.ids[i]));
      if (has_byte_files_) {
        const int64_t bytes = i > 0 ? byte_table_->token_bytes(document.ids, i) : 0;
        bytes_.push_back(static_cast<uint16_t>(bytes));
      }
      if (std::ssize(ids_) == shard_tokens_) write_next_shard();
    }
  }

  void write_last_shard() {
    if (!ids_.empty()) write_next_shard();
  }

  void write_manifest_file(bool is_complete) {
    manifest_.complete = is_complete;
    write_manifest(make_manifest_path(folder_, prefix_), manifest_);
  }

  void move_into_place() const {
    const std::vector<std::filesystem::path> files = list_files();
    for (const std::string& prefix : {prefix_, prefix_ + kByteFiles}) {
      for (const std::filesystem::path& earlier : list_shards(folder_, prefix)) {
        if (std::ranges::find(files, earlier) == files.end()) remove_shard(earlier);
      }
    }
    for (const std::filesystem::path& file : files) {
      std::error_code error;
      std::filesystem::rename(name_new(file), file, error);
      if (error) {
        throw Error(fmt::format("cannot rename to \"{}\": {}", file.string(),
                                describe_system_error(error.value())));
      }
    }
  }

  const SplitSummary& summary() const { return manifest_.summary; }
  const std::vector<std::filesystem::path>& shards() const { return shards_; }

 private:
  static ShardManifest read_earlier_manifest(const std::filesystem::path& path) {
    try {
      return read_manifest(path);
    } catch (const Error&) {
      throw Error(fmt::format(
          "a file that is no shard manifest is in the way: \"{}\"; move it away, choose another "
          "--name or --out, or replace it with --force",
          path.string()));
    }
  }

  // Shards and their side files.
  std::vector<std::filesystem::path> list_files() const {
    std::vector<std::filesystem::path> files = shards_;
    if (!has_byte_files_) return files;
    for (const std::filesystem::path& shard : shards_) files.push_back(name_byte_file(shard));
    return files;
  }

  static std::filesystem::path name_new(std::filesystem::path shard) { return shard += kNewShard; }

  static void remove_shard(const std::filesystem::path& shard) {
    std::error_code error;
    if (std::filesystem::remove(shard, error); !error) return;
    throw Error(fmt::format("cannot remove earlier shard \"{}\": {}", shard.string(),
                            describe_system_error(error.value())));
  }

  void write_next_shard() {
    if (static_cast<int64_t>(shards_.size()) == kMostShards) fail_too_many_shards(shard_tokens_);
    shards_.push_back(make_shard_path(folder_, prefix_, shards_.size()));
    write_shard(name_new(shards_.back()), ids_);
    manifest_.shards.push_back(shards_.back().filename().string());
    manifest_.shard_tokens.push_back(static_cast<int64_t>(ids_.size()));
    manifest_.fingerprints.push_back(format_fingerprint(fingerprint_shard(ids_)));
    ids_.clear();
    if (!has_byte_files_) return;
    write_shard(name_new(name_byte_file(shards_.back())), bytes_);
    manifest_.byte_fingerprints.push_back(format_fingerprint(fingerprint_shard(bytes_)));
    bytes_.clear();
  }

  std::filesystem::path folder_;
  std::string prefix_;
  int64_t shard_tokens_;
  const ByteTable* byte_table_;
  bool has_byte_files_;
  ShardManifest manifest_;
  std::vector<uint16_t> ids_;
  std::vector<uint16_t> bytes_;  // of the side file, as many
  std::vector<std::filesystem::path> shards_;
};

void check_options(const TokenizeOptions& options) {
  if (options.val_every < 0 || options.val_every == 1) {
    throw Error(
        fmt::format("bad share of val documents: every \"{}\"; give 2 or more, or 0 for one split",
                    options.val_every));
  }
  if (options.shard_tokens < 1 || options.shard_tokens > kMaxShardTokens) {
    throw Error(fmt::format("shard size out of range: \"{}\" tokens; give 1 to {}",
                            options.shard_tokens, kMaxShardTokens));
  }
  const std::string split = options.split.empty() ? "train" : options.split;
  for (const std::string& part : {options.name, split}) {
    if (part.empty() || part.find_first_of("/*?[\\") != std::string::npos) {
      throw Error(
          fmt::format("bad name for shards: \"{}\"; give letters, digits, \"-\" and \"_\"", part));
    }
  }
  if (split == "bytes") {
    throw Error(
        "bad name of a split: \"bytes\" is what byte side files are called; give another --split");
  }
  if (!options.split.empty() && options.val_every != 0) {
    throw Error(fmt::format(
        "one split and two: --split \"{}\" takes all documents, --val-every {} parts them into "
        "train and val; add --val-every 0 or leave --split out",
        options.split, options.val_every));
  }
}

// A tokenizer with operators is trained on transformed text, and one without would spell them out.
void check_case_ops(const TokenizeOptions& options, const Tokenizer& tokenizer) {
  if (options.has_case_ops == tokenizer.has_case_ops()) return;
  const std::string model = options.tokenizer.string();
  throw Error(options.has_case_ops
                  ? fmt::format("tokenizer has no case operators: \"{}\" lacks U+E001 to U+E004 as "
                                "pieces of their own; train one with \"train_gpt tokenizer train "
                                "--case-ops\", or leave --case-ops out",
                                model)
                  : fmt::format("tokenizer has case operators: \"{}\" is of text that went through "
                                "the case transform; add --case-ops, or give another tokenizer",
                                model));
}

// A document that the byte table counts wrongly, or cannot count.
void check_bytes(const EncodedDocument& document, const std::string& place) {
  if (!document.has_byte_mismatch) return;
  if (document.unknown_tokens == 0 && document.text.starts_with("\u2581")) {
    throw Error(fmt::format(
        "bytes a token are not exact: the document at {} begins with U+2581, which this tokenizer "
        "takes for the space that a text's first word does not have; take the character out, or "
        "write shards that no run scores with --force",
        place));
  }
  throw Error(fmt::format(
      "bytes a token are not exact: the document at {} has {} bytes, its tokens are charged with "
      "{} "
      "and give back {}, {} of them unknown; use a tokenizer with byte fallback, or write shards "
      "that no run scores with --force",
      place, document.text.size(), document.target_bytes, document.decoded_bytes,
      document.unknown_tokens));
}

std::vector<SplitWriter> make_writers(const TokenizeOptions& options, const Tokenizer& tokenizer,
                                      const DocumentReader& reader) {
  std::vector<std::string> splits = {"train", "val"};
  if (options.val_every == 0) splits = {options.split.empty() ? "train" : options.split};
  const std::string source = fmt::format("{} val_every {}", reader.identify(), options.val_every);
  const std::string source_sha256 = hex(sha256(as_bytes(source)));
  std::vector<SplitWriter> writers;
  for (const std::string& split : splits) {
    writers.emplace_back(options, split, tokenizer, source_sha256);
  }
  // All before the first removes a file.
  for (const SplitWriter& writer : writers) writer.check_earlier_run(options.force);
  for (const SplitWriter& writer : writers) writer.remove_new_shards();
  if (reader.input_bytes() / kMostTokenBytes / options.shard_tokens > kMostShards) {
    fail_too_many_shards(options.shard_tokens);
  }
  return writers;
}

}  // namespace

TokenizeSummary tokenize_corpus(const TokenizeOptions& options) {
  check_options(options);
  const Tokenizer tokenizer = open_tokenizer_file(options.tokenizer);
  check_case_ops(options, tokenizer);
  DocumentReader reader(options.input);
  std::vector<SplitWriter> writers = make_writers(options, tokenizer, reader);
  TokenizeSummary summary;
  try {
    const LeftOut empty = encode_documents(
        reader, TextCodec(tokenizer), options.val_every,
        [&](const EncodedDocument& document, const std::string& place) {
          options.end_if_asked();
          if (!options.force) check_bytes(document, place);
          writers[document.is_val ? 1 : 0].add(document);
        },
        options.progress, options.batch_bytes);
    std::vector<LeftOut> left_out = reader.left_out();
    if (empty.count > 0) left_out.push_back(empty);
    summary.empty_documents = empty.count;
    summary.left_out = describe_left_out(left_out);
    for (SplitWriter& writer : writers) writer.write_last_shard();
    for (SplitWriter& writer : writers) writer.write_manifest_file(/*is_complete=*/false);
    for (SplitWriter& writer : writers) writer.move_into_place();
  } catch (...) {
    for (const SplitWriter& writer : writers) writer.discard();
    throw;
  }
  for (SplitWriter& writer : writers) {
    writer.write_manifest_file(/*is_complete=*/true);
    summary.splits.push_back(writer.summary());
    summary.shards.insert(summary.shards.end(), writer.shards().begin(), writer.shards().end());
  }
  return summary;
}

}  // namespace pg
