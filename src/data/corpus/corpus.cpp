// Tokenising. The manifest is written twice: before the first shard, marked unfinished, and after
// the last. So a run that was cut off is noticed, and the next one knows that the shards of that
// name are its own to replace.
#include "src/data/corpus/corpus.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/corpus/encoded_documents.h"
#include "src/data/token_file.h"
#include "src/text/json_object.h"

namespace pg {
namespace {

constexpr size_t kShardDigits = 6;
constexpr int64_t kMaxShardTokens = INT32_MAX;  // the header counts in an int32

std::filesystem::path make_manifest_path(const std::filesystem::path& folder,
                                         std::string_view prefix) {
  return folder / fmt::format("{}_manifest.json", prefix);
}

// "<prefix>" of a shard named "<prefix>_000000.bin"; empty for other files.
std::string parse_shard_prefix(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  if (path.extension() != ".bin" || stem.size() < kShardDigits + 2) return {};
  const size_t underscore = stem.size() - kShardDigits - 1;
  const bool is_number = stem.find_first_not_of("0123456789", underscore + 1) == std::string::npos;
  return stem[underscore] == '_' && is_number ? stem.substr(0, underscore) : std::string{};
}

std::vector<std::filesystem::path> list_shards(const std::filesystem::path& folder,
                                               std::string_view prefix) {
  std::vector<std::filesystem::path> shards;
  std::error_code missing;  // a folder that is not there has no shards
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (parse_shard_prefix(entry.path()) == prefix) shards.push_back(entry.path());
  }
  std::sort(shards.begin(), shards.end());
  return shards;
}

// Collects the documents of one split and writes a shard whenever one is full; a document may
// straddle two.
class SplitWriter {
 public:
  SplitWriter(const TokenizeOptions& options, std::string_view split, const Tokenizer& tokenizer)
      : folder_(options.output_folder),
        prefix_(fmt::format("{}_{}", options.name, split)),
        shard_tokens_(static_cast<size_t>(options.shard_tokens)),
        tokenizer_sha256_(hex(tokenizer.sha256())),
        vocab_size_(tokenizer.vocab_size()) {
    summary_.split = split;
    clear_earlier_run();
  }

  void add(const EncodedDocument& document) {
    add_document(document, summary_);
    for (const int32_t id : document.ids) {
      ids_.push_back(static_cast<uint16_t>(id));
      if (ids_.size() == shard_tokens_) write_next_shard();
    }
  }

  void finish() {
    if (!ids_.empty()) write_next_shard();
    write_manifest(/*complete=*/true);
  }

  const SplitSummary& summary() const { return summary_; }
  const std::vector<std::filesystem::path>& shards() const { return shards_; }

 private:
  void clear_earlier_run() {
    const std::vector<std::filesystem::path> earlier = list_shards(folder_, prefix_);
    if (!earlier.empty() && !std::filesystem::exists(make_manifest_path(folder_, prefix_))) {
      throw Error(fmt::format(
          "shards of another source are in the way: \"{}\" has no manifest; choose another "
          "name or output folder",
          earlier.front().string()));
    }
    write_manifest(/*complete=*/false);
    for (const std::filesystem::path& shard : earlier) std::filesystem::remove(shard);
  }

  void write_next_shard() {
    shards_.push_back(folder_ / fmt::format("{}_{:06}.bin", prefix_, shards_.size()));
    write_shard(shards_.back(), ids_);
    ids_.clear();
  }

  void write_manifest(bool complete) const {
    std::vector<std::string> shard_names;
    for (const std::filesystem::path& shard : shards_) {
      shard_names.push_back(shard.filename().string());
    }
    JsonObject manifest;
    manifest.add("complete", complete).add("split", summary_.split);
    manifest.add("tokenizer_sha256", tokenizer_sha256_).add("vocab_size", vocab_size_);
    manifest.add("documents", summary_.documents).add("tokens", summary_.tokens);
    manifest.add("text_bytes", summary_.text_bytes).add("target_bytes", summary_.target_bytes);
    manifest.add("normalised_documents", summary_.normalised_documents);
    manifest.add("byte_mismatch_documents", summary_.byte_mismatch_documents);
    manifest.add("shards", shard_names);
    write_file_atomic(make_manifest_path(folder_, prefix_), manifest.pretty());
  }

  std::filesystem::path folder_;
  std::string prefix_;
  size_t shard_tokens_;
  std::string tokenizer_sha256_;
  int64_t vocab_size_;
  SplitSummary summary_;
  std::vector<uint16_t> ids_;
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
  for (const std::string& part : {options.name, options.split}) {
    if (part.empty() || part.find_first_of("/*?[\\") != std::string::npos) {
      throw Error(
          fmt::format("bad name for shards: \"{}\"; give letters, digits, \"-\" and \"_\"", part));
    }
  }
}

void check_manifest(const std::filesystem::path& path, const std::string& tokenizer_sha256) {
  const nlohmann::json manifest =
      nlohmann::json::parse(read_text_file(path), nullptr, /*allow_exceptions=*/false);
  const auto is_string = [&](const char* key) {
    return manifest.contains(key) && manifest[key].is_string();
  };
  if (!manifest.is_object() || !is_string("tokenizer_sha256")) {
    throw Error(fmt::format(
        "bad shard manifest: \"{}\" names no tokenizer; tokenize the corpus again", path.string()));
  }
  if (manifest.value("complete", nlohmann::json(false)) != true) {
    throw Error(fmt::format(
        "shards are incomplete: \"{}\" is of an unfinished run; tokenize the corpus again",
        path.string()));
  }
  const auto made_with = manifest["tokenizer_sha256"].get<std::string>();
  if (made_with != tokenizer_sha256) {
    throw Error(fmt::format(
        "tokenizer does not match the shards: \"{}\" names {}, the tokenizer given is {}; use "
        "the tokenizer that made the shards, or tokenize again",
        path.string(), made_with, tokenizer_sha256));
  }
}

}  // namespace

TokenizeSummary tokenize_corpus(const TokenizeOptions& options) {
  check_options(options);
  const Tokenizer tokenizer(options.tokenizer);
  DocumentReader reader(options.input);
  std::vector<SplitWriter> writers;
  if (options.val_every == 0) {
    writers.emplace_back(options, options.split, tokenizer);
  } else {
    writers.emplace_back(options, "train", tokenizer);
    writers.emplace_back(options, "val", tokenizer);
  }
  TokenizeSummary summary;
  summary.empty_documents = encode_documents(
      reader, tokenizer, options.val_every,
      [&](const EncodedDocument& document) { writers[document.is_val ? 1 : 0].add(document); },
      options.progress, options.batch_bytes);
  for (SplitWriter& writer : writers) {
    writer.finish();
    summary.splits.push_back(writer.summary());
    summary.shards.insert(summary.shards.end(), writer.shards().begin(), writer.shards().end());
  }
  return summary;
}

void check_tokenizer_of_shards(std::string_view shards, const Sha256& tokenizer_sha256) {
  const bool is_folder = std::filesystem::is_directory(shards);
  const std::string pattern = std::string(shards) + (is_folder ? "/*.bin" : "");
  glob_t found = {};
  std::set<std::filesystem::path> manifests;
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      const std::filesystem::path shard = found.gl_pathv[i];
      manifests.insert(make_manifest_path(shard.parent_path(), parse_shard_prefix(shard)));
    }
  }
  ::globfree(&found);
  for (const std::filesystem::path& manifest : manifests) {
    if (std::filesystem::exists(manifest)) check_manifest(manifest, hex(tokenizer_sha256));
  }
}

}  // namespace pg
