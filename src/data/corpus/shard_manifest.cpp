#include "src/data/corpus/shard_manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/corpus/corpus_files.h"
#include "src/files/write_file.h"
#include "src/text/file_kind.h"
#include "src/text/json_object.h"

namespace pg {
namespace {

using Json = nlohmann::json;

constexpr size_t kShardDigits = 6;
constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 26;  // a million shards

// Members that are missing or of another type stand at what they were.
void take(const Json& json, const char* key, bool& value) {
  if (json.contains(key) && json[key].is_boolean()) value = json[key].get<bool>();
}
void take(const Json& json, const char* key, int64_t& value) {
  if (json.contains(key) && json[key].is_number_integer()) value = json[key].get<int64_t>();
}
void take(const Json& json, const char* key, std::string& value) {
  if (json.contains(key) && json[key].is_string()) value = json[key].get<std::string>();
}
template <class Value>
void take(const Json& json, const char* key, std::vector<Value>& values) {
  if (!json.contains(key) || !json[key].is_array()) return;
  for (const Json& element : json[key]) {
    Value value = {};
    take({{"value", element}}, "value", value);
    values.push_back(value);
  }
}

}  // namespace

void write_manifest(const std::filesystem::path& path, const ShardManifest& manifest) {
  const SplitSummary& summary = manifest.summary;
  JsonObject json;
  json.add("complete", manifest.complete).add("split", summary.split);
  json.add("tokenizer_sha256", manifest.tokenizer_sha256).add("vocab_size", manifest.vocab_size);
  json.add("source_sha256", manifest.source_sha256);
  json.add("documents", summary.documents).add("tokens", summary.tokens);
  json.add("text_bytes", summary.text_bytes).add("target_bytes", summary.target_bytes);
  json.add("normalised_documents", summary.normalised_documents);
  json.add("byte_mismatch_documents", summary.byte_mismatch_documents);
  json.add("shards", manifest.shards).add("shard_tokens", manifest.shard_tokens);
  json.add("fingerprints", manifest.fingerprints);
  write_file_atomic(path, json.pretty());
}

ShardManifest read_manifest(const std::filesystem::path& path) {
  const Bytes bytes = read_file(path, kMaxManifestBytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    const std::string_view foreign = describe_foreign_file(bytes);
    throw Error(fmt::format("bad shard manifest: \"{}\" is {}", path.string(),
                            foreign.empty() ? fmt::format("no JSON ({}); tokenize the corpus again",
                                                          explain_json_error(text))
                                            : std::string(foreign)));
  }
  ShardManifest manifest;
  if (json.is_object()) take(json, "tokenizer_sha256", manifest.tokenizer_sha256);
  if (manifest.tokenizer_sha256.empty()) {
    throw Error(fmt::format(
        "bad shard manifest: \"{}\" names no tokenizer; tokenize the corpus again", path.string()));
  }
  SplitSummary& summary = manifest.summary;
  take(json, "complete", manifest.complete);
  take(json, "vocab_size", manifest.vocab_size);
  take(json, "source_sha256", manifest.source_sha256);
  take(json, "split", summary.split);
  take(json, "documents", summary.documents);
  take(json, "tokens", summary.tokens);
  take(json, "text_bytes", summary.text_bytes);
  take(json, "target_bytes", summary.target_bytes);
  take(json, "normalised_documents", summary.normalised_documents);
  take(json, "byte_mismatch_documents", summary.byte_mismatch_documents);
  take(json, "shards", manifest.shards);
  take(json, "shard_tokens", manifest.shard_tokens);
  take(json, "fingerprints", manifest.fingerprints);
  const auto fits = [&](size_t entries) {
    return entries == 0 || entries == manifest.shards.size();
  };
  if (!fits(manifest.shard_tokens.size()) || !fits(manifest.fingerprints.size())) {
    throw Error(fmt::format(
        "bad shard manifest: \"{}\" lists {} shards, {} token counts and {} fingerprints; tokenize "
        "the corpus again",
        path.string(), manifest.shards.size(), manifest.shard_tokens.size(),
        manifest.fingerprints.size()));
  }
  return manifest;
}

std::filesystem::path make_manifest_path(const std::filesystem::path& folder,
                                         std::string_view prefix) {
  return folder / fmt::format("{}_manifest.json", prefix);
}

std::filesystem::path make_shard_path(const std::filesystem::path& folder, std::string_view prefix,
                                      size_t number) {
  return folder / fmt::format("{}_{:06}.bin", prefix, number);
}

std::string parse_shard_prefix(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  if (path.extension() != ".bin" || stem.size() < kShardDigits + 2) return {};
  const size_t underscore = stem.size() - kShardDigits - 1;
  const bool is_number = stem.find_first_not_of("0123456789", underscore + 1) == std::string::npos;
  return stem[underscore] == '_' && is_number ? stem.substr(0, underscore) : std::string{};
}

std::vector<std::filesystem::path> list_shards(const std::filesystem::path& folder,
                                               std::string_view prefix, std::string_view suffix) {
  std::vector<std::filesystem::path> shards;
  if (std::error_code ignored; !std::filesystem::is_directory(folder, ignored)) return shards;
  for (const std::filesystem::path& entry : list_folder(folder)) {
    std::string name = entry.filename().string();
    if (!name.ends_with(suffix)) continue;
    name.resize(name.size() - suffix.size());
    if (parse_shard_prefix(name) == prefix) shards.push_back(entry);
  }
  return shards;
}

std::string format_fingerprint(uint64_t fingerprint) { return fmt::format("{:016x}", fingerprint); }

}  // namespace pg
