#include "src/data/corpus/shard_manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/corpus/corpus_files.h"
#include "src/files/write_file.h"
#include "src/text/file_kind.h"
#include "src/text/json_object.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

using Json = nlohmann::json;

constexpr size_t kShardDigits = 6;
constexpr const char* kManifestEnd = "_manifest.json";
constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 26;  // a million shards

// What is wrong with a member; members that are missing stand at what they were.
class ManifestReader {
 public:
  explicit ManifestReader(const Json& json) : json_(json) {}

  const std::string& problem() const { return problem_; }

  void take(const char* key, bool& value) {
    take_if(key, &Json::is_boolean, "true or false", value);
  }
  void take(const char* key, std::string& value) {
    take_if(key, &Json::is_string, "a text", value);
  }
  // Everything is a count.
  void take(const char* key, int64_t& value) {
    constexpr const char* kCount = "a whole number of 0 or more";
    take_if(key, &Json::is_number_integer, kCount, value);
    if (value < 0) say(key, kCount);
  }
  template <class Value>
  void take(const char* key, std::vector<Value>& values) {
    if (!json_.contains(key)) return;
    if (!json_[key].is_array()) return say(key, "a list");
    for (const Json& element : json_[key]) {
      Json member;
      member[key] = element;
      ManifestReader reader(member);
      values.emplace_back();
      reader.take(key, values.back());
      if (!reader.problem_.empty()) problem_ = reader.problem_;
    }
  }

 private:
  void say(const char* key, const char* wanted) {
    if (problem_.empty()) {
      problem_ =
          fmt::format("\"{}\" is {}, not {}", key, escape_terminal(json_[key].dump()), wanted);
    }
  }
  template <class Value>
  void take_if(const char* key, bool (Json::*is_right)() const noexcept, const char* wanted,
               Value& value) {
    if (!json_.contains(key)) return;
    if (!(json_[key].*is_right)()) return say(key, wanted);
    value = json_[key].get<Value>();
  }

  const Json json_;
  std::string problem_;
};

// Lists that older manifests lack have an entry a shard where they are there.
std::string find_length_problem(const Json& json, const ShardManifest& manifest) {
  const auto fits = [&](const char* key, size_t entries) {
    return !json.contains(key) || entries == manifest.shards.size();
  };
  if (fits("shard_tokens", manifest.shard_tokens.size()) &&
      fits("fingerprints", manifest.fingerprints.size()) &&
      fits("byte_fingerprints", manifest.byte_fingerprints.size())) {
    return {};
  }
  return fmt::format("lists {} shards, {} token counts, {} fingerprints and {} of side files",
                     manifest.shards.size(), manifest.shard_tokens.size(),
                     manifest.fingerprints.size(), manifest.byte_fingerprints.size());
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
  if (!manifest.text_transform.empty()) json.add("text_transform", manifest.text_transform);
  if (!manifest.byte_fingerprints.empty()) {
    json.add("byte_fingerprints", manifest.byte_fingerprints);
  }
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
  const auto fail = [&](const std::string& what) {
    throw Error(fmt::format("bad shard manifest: \"{}\" {}; tokenize the corpus again",
                            path.string(), what));
  };
  if (!json.is_object()) fail("names no tokenizer");
  ManifestReader reader(json);
  SplitSummary& summary = manifest.summary;
  reader.take("tokenizer_sha256", manifest.tokenizer_sha256);
  reader.take("complete", manifest.complete);
  reader.take("vocab_size", manifest.vocab_size);
  reader.take("source_sha256", manifest.source_sha256);
  reader.take("split", summary.split);
  reader.take("documents", summary.documents);
  reader.take("tokens", summary.tokens);
  reader.take("text_bytes", summary.text_bytes);
  reader.take("target_bytes", summary.target_bytes);
  reader.take("normalised_documents", summary.normalised_documents);
  reader.take("byte_mismatch_documents", summary.byte_mismatch_documents);
  reader.take("shards", manifest.shards);
  reader.take("shard_tokens", manifest.shard_tokens);
  reader.take("fingerprints", manifest.fingerprints);
  reader.take("text_transform", manifest.text_transform);
  reader.take("byte_fingerprints", manifest.byte_fingerprints);
  if (!reader.problem().empty()) fail("is wrong: " + reader.problem());
  if (manifest.tokenizer_sha256.empty()) fail("names no tokenizer");
  if (const std::string problem = find_length_problem(json, manifest); !problem.empty()) {
    fail(problem);
  }
  return manifest;
}

std::filesystem::path make_manifest_path(const std::filesystem::path& folder,
                                         std::string_view prefix) {
  return folder / (std::string(prefix) + kManifestEnd);
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

std::vector<std::filesystem::path> list_manifests(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> manifests;
  try {
    manifests = list_folder(folder);
  } catch (const Error&) {
    return {};
  }
  std::erase_if(manifests,
                [](const auto& p) { return !p.filename().string().ends_with(kManifestEnd); });
  return manifests;
}

std::string format_fingerprint(uint64_t fingerprint) { return fmt::format("{:016x}", fingerprint); }

}  // namespace pg
