// The manifest beside the shards of a split, <name>_<split>_manifest.json: who made them, from
// what, and what they come to. Shards alone do not say so, and a model trained on one tokenizer's
// ids but scored with another's bytes, or on a text of which a shard is gone, gives a wrong figure.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pg {

struct SplitSummary {
  std::string split;
  int64_t documents = 0;
  int64_t text_bytes = 0;    // UTF-8 as read
  int64_t target_bytes = 0;  // as the byte table charges them; the denominator of bits per byte
  int64_t tokens = 0;        // with one BOS a document
  int64_t normalised_documents = 0;  // whose length the normalisation changes
  // Whose target bytes are not the length of their normalised text.
  int64_t byte_mismatch_documents = 0;
  double bytes_per_token() const {
    return tokens == 0 ? 0.0 : static_cast<double>(target_bytes) / static_cast<double>(tokens);
  }
};

struct ShardManifest {
  bool complete = false;
  std::string tokenizer_sha256;
  int64_t vocab_size = 0;
  std::string source_sha256;  // of the text and how it was split; empty in older manifests
  SplitSummary summary;
  std::vector<std::string> shards;        // names, in order
  std::vector<int64_t> shard_tokens;      // empty in older manifests
  std::vector<std::string> fingerprints;  // fingerprint_shard() in hex; empty in older manifests
  std::string text_transform;             // kCaseOpsName; empty: none
  std::vector<std::string> byte_fingerprints;  // of the byte side files; empty where there are none
};

void write_manifest(const std::filesystem::path& path, const ShardManifest& manifest);
// Throws Error when it is no manifest.
ShardManifest read_manifest(const std::filesystem::path& path);

// Beside the shards "<prefix>_000000.bin", ...
std::filesystem::path make_manifest_path(const std::filesystem::path& folder,
                                         std::string_view prefix);
std::filesystem::path make_shard_path(const std::filesystem::path& folder, std::string_view prefix,
                                      size_t number);
// "<prefix>" of a shard named "<prefix>_000000.bin"; empty for other files.
std::string parse_shard_prefix(const std::filesystem::path& path);
// The shards of that prefix in a folder, in order, or the files named like them with `suffix` behind;
// none where there is no folder.
std::vector<std::filesystem::path> list_shards(const std::filesystem::path& folder,
                                               std::string_view prefix,
                                               std::string_view suffix = {});
// All "*_manifest.json" of a folder, in order; none where it cannot be read.
std::vector<std::filesystem::path> list_manifests(const std::filesystem::path& folder);
std::string format_fingerprint(uint64_t fingerprint);

}  // namespace pg
