#include "src/data/corpus/shard_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "src/base/error.h"
#include "src/data/corpus/case_ops.h"
#include "src/data/corpus/shard_manifest.h"
#include "src/data/corpus/text_codec.h"
#include "src/data/corpus/token_runs.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

// Shards by the manifest that stands beside them; those without one are left out.
std::map<std::filesystem::path, std::vector<std::filesystem::path>> group_by_manifest(
    const std::vector<std::filesystem::path>& shards) {
  std::map<std::filesystem::path, std::vector<std::filesystem::path>> groups;
  for (const std::filesystem::path& shard : shards) {
    const std::string prefix = parse_shard_prefix(shard);
    if (prefix.empty()) continue;
    const std::filesystem::path manifest = make_manifest_path(shard.parent_path(), prefix);
    if (std::error_code ignored; std::filesystem::exists(manifest, ignored)) {
      groups[manifest].push_back(shard);
    }
  }
  return groups;
}

std::vector<std::filesystem::path> list_named_shards(std::string_view shards) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(shards, ignored)) return list_shard_files(shards);
  return list_shard_files((std::filesystem::path(shards) / "*.bin").string());
}

void check_maker(const std::filesystem::path& path, const ShardManifest& manifest,
                 const std::string& tokenizer_sha256) {
  if (!manifest.complete) {
    throw Error(fmt::format(
        "shards are incomplete: \"{}\" is of an unfinished run; tokenize the corpus again",
        path.string()));
  }
  if (manifest.tokenizer_sha256 != tokenizer_sha256) {
    throw Error(fmt::format(
        "tokenizer does not match the shards: \"{}\" names {}, the tokenizer given is {}; use "
        "the tokenizer that made the shards, or tokenize again",
        path.string(), manifest.tokenizer_sha256, tokenizer_sha256));
  }
}

// Counts that other counts give.
void find_count_contradictions(const std::filesystem::path& path, const ShardManifest& manifest,
                               DataFaults& faults) {
  const SplitSummary& s = manifest.summary;
  const bool is_known = s.text_bytes > 0;  // older manifests
  const bool is_changed = s.normalised_documents > 0 || s.byte_mismatch_documents > 0;
  if (!is_known || is_changed || s.text_bytes == s.target_bytes) return;
  faults.push_back(fmt::format(
      "bad shard manifest: \"{}\" says {} bytes of text and {} bytes of its tokens, and that no "
      "document was changed; tokenize the corpus again",
      path.string(), format_thousands(s.text_bytes), format_thousands(s.target_bytes)));
}

// One that is gone, or whose size is not that of its tokens.
void find_file_faults(const std::filesystem::path& path, const ShardManifest& manifest,
                      DataFaults& faults) {
  std::vector<std::string> missing;
  int64_t tokens = 0;
  for (size_t i = 0; i < manifest.shards.size(); ++i) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path.parent_path() / manifest.shards[i], error);
    if (error) {
      missing.push_back(manifest.shards[i]);
      continue;
    }
    // Of one that ends within its header the opening speaks.
    const int64_t shard_tokens =
        std::max<int64_t>(0, static_cast<int64_t>(bytes) - kShardHeaderBytes) / 2;
    tokens += shard_tokens;
    if (!manifest.shard_tokens.empty() && shard_tokens != manifest.shard_tokens[i]) {
      faults.push_back(fmt::format(
          "shard is not the manifest's: \"{}\" has {} tokens, \"{}\" says {}; tokenize the corpus "
          "again, or fetch the shards and their manifest from one place",
          manifest.shards[i], shard_tokens, path.string(), manifest.shard_tokens[i]));
    }
  }
  if (!missing.empty()) {
    faults.push_back(fmt::format(
        "shards are missing: {} of the {} that \"{}\" lists, the first: \"{}\"; fetch them or "
        "tokenize the corpus again",
        missing.size(), manifest.shards.size(), path.string(), missing.front()));
  } else if (tokens != manifest.summary.tokens) {
    faults.push_back(fmt::format(
        "shards are not the manifest's: they hold {} tokens, \"{}\" says {}; tokenize the corpus "
        "again, or fetch the shards and their manifest from one place",
        tokens, path.string(), manifest.summary.tokens));
  }
}

// Whether the stream holds all that the manifest lists.
bool is_whole(const ShardManifest& manifest, const std::vector<std::filesystem::path>& shards) {
  return std::all_of(manifest.shards.begin(), manifest.shards.end(), [&](const std::string& name) {
    return std::any_of(shards.begin(), shards.end(),
                       [&](const auto& shard) { return shard.filename() == name; });
  });
}

}  // namespace

DataFaults find_shard_faults(std::string_view shards, const Sha256& tokenizer_sha256) {
  DataFaults faults;
  for (const auto& [path, named] : group_by_manifest(list_named_shards(shards))) {
    const ShardManifest manifest = read_manifest(path);
    check_maker(path, manifest, hex(tokenizer_sha256));
    find_count_contradictions(path, manifest, faults);
    find_file_faults(path, manifest, faults);
    for (const std::filesystem::path& shard : named) {
      const std::string name = shard.filename().string();
      if (std::find(manifest.shards.begin(), manifest.shards.end(), name) ==
          manifest.shards.end()) {
        faults.push_back(
            fmt::format("shard of another source: \"{}\" is not in \"{}\"; remove it or tokenize "
                        "the corpus again",
                        shard.string(), path.string()));
      }
    }
    if (const int64_t documents = manifest.summary.byte_mismatch_documents; documents > 0) {
      faults.push_back(fmt::format(
          "bytes a token are not exact: {} of {} documents of \"{}\" do not have the bytes that "
          "their tokens are charged with; tokenize the corpus again, with a tokenizer that covers "
          "it by byte fallback",
          format_thousands(documents), format_thousands(manifest.summary.documents),
          path.string()));
    }
  }
  return faults;
}

DataFaults find_transform_faults(std::string_view shards, const Tokenizer& tokenizer) {
  DataFaults faults;
  if (!tokenizer.has_case_ops()) return faults;
  for (const auto& [path, named] : group_by_manifest(list_named_shards(shards))) {
    const std::string transform = read_manifest(path).text_transform;
    if (transform == kCaseOpsName) continue;
    faults.push_back(fmt::format(
        "shards of text without the case transform: \"{}\" says \"{}\", the tokenizer has case "
        "operators; tokenize the corpus again with --case-ops",
        path.string(), transform));
  }
  return faults;
}

DataFaults find_split_faults(std::string_view shards, TextUse use) {
  const bool is_scored = use == TextUse::kScored;
  const std::string_view wrong = is_scored ? "train" : "val";
  DataFaults faults;
  std::set<std::string> splits;
  for (const auto& [path, named] : group_by_manifest(list_named_shards(shards))) {
    const std::string split = read_manifest(path).summary.split;
    splits.insert(split);
    if (split != wrong) continue;
    faults.push_back(fmt::format(
        "shards of the other split: \"{}\" says that \"{}\" and {} more are of \"{}\", and they "
        "are to be {}; give other shards, or tokenize with --split {}",
        path.string(), named.front().filename().string(), named.size() - 1, split,
        is_scored ? "scored" : "trained on", is_scored ? "val" : "train"));
  }
  if (is_scored && faults.empty() && splits.size() > 1) {
    faults.push_back(fmt::format(
        "shards of several splits: \"{}\" names some of \"{}\" and of \"{}\"; score one at a time",
        shards, *splits.begin(), *splits.rbegin()));
  }
  return faults;
}

namespace {

// A shard as a manifest of its folder lists it.
struct ListedShard {
  std::filesystem::path manifest;
  std::string name;
};

// By fingerprint; files that are no manifests of this program, or older ones, list nothing.
std::map<std::string, ListedShard> list_fingerprints(const std::filesystem::path& folder) {
  std::map<std::string, ListedShard> listed;
  for (const std::filesystem::path& path : list_manifests(folder)) {
    try {
      const ShardManifest manifest = read_manifest(path);
      for (size_t i = 0; i < manifest.fingerprints.size(); ++i) {
        listed[manifest.fingerprints[i]] = {path, manifest.shards[i]};
      }
    } catch (const Error&) {
      continue;
    }
  }
  return listed;
}

// Shards that no manifest lists by their name, and one by their content: under another name they
// would escape all that it says.
DataFaults find_renamed_shards(const TokenStream& stream) {
  std::set<std::filesystem::path> known;
  for (const auto& [path, named] : group_by_manifest(stream.paths())) {
    known.insert(named.begin(), named.end());
  }
  DataFaults faults;
  std::map<std::filesystem::path, std::map<std::string, ListedShard>> folders;
  for (size_t i = 0; i < stream.paths().size(); ++i) {
    const std::filesystem::path& shard = stream.paths()[i];
    if (known.contains(shard)) continue;
    std::error_code error;  // a link's manifest lies beside what it leads to
    const auto target = std::filesystem::canonical(shard, error);
    if (error) continue;
    const auto [folder, is_new] = folders.try_emplace(target.parent_path());
    if (is_new) folder->second = list_fingerprints(folder->first);
    const auto found = folder->second.find(format_fingerprint(stream.shard_fingerprint(i)));
    if (found == folder->second.end()) continue;
    const auto& [manifest, name] = found->second;
    if (name == shard.filename().string()) continue;
    faults.push_back(
        fmt::format("shard has another name than its manifest's: \"{}\" is \"{}\" of \"{}\"; "
                    "give it its name back",
                    shard.string(), name, manifest.string()));
  }
  return faults;
}

// Manifests of another vocabulary, and whole ones whose number of documents is not that of their
// shards.
DataFaults find_count_faults(const TokenStream& stream) {
  DataFaults faults;
  std::map<std::filesystem::path, int64_t> documents;
  for (size_t i = 0; i < stream.paths().size(); ++i) {
    documents[stream.paths()[i]] = stream.shard_documents(i);
  }
  for (const auto& [path, named] : group_by_manifest(stream.paths())) {
    const ShardManifest manifest = read_manifest(path);
    if (manifest.vocab_size > 0 && manifest.vocab_size != stream.vocab_size()) {
      faults.push_back(fmt::format(
          "shards are not the manifest's: \"{}\" says a vocabulary of {}, the tokenizer has {}; "
          "tokenize the corpus again",
          path.string(), manifest.vocab_size, stream.vocab_size()));
    }
    int64_t found = 0;
    for (const std::filesystem::path& shard : named) found += documents[shard];
    if (is_whole(manifest, named) && found != manifest.summary.documents) {
      faults.push_back(fmt::format(
          "shards are not the manifest's: they hold {} documents, \"{}\" says {}; tokenize the "
          "corpus again, or fetch the shards and their manifest from one place",
          format_thousands(found), path.string(), format_thousands(manifest.summary.documents)));
    }
  }
  return faults;
}

}  // namespace

DataFaults find_content_faults(const TokenStream& stream) {
  DataFaults faults = find_renamed_shards(stream);
  std::map<std::filesystem::path, std::string> fingerprints;
  for (const auto& [path, named] : group_by_manifest(stream.paths())) {
    const ShardManifest manifest = read_manifest(path);
    for (size_t i = 0; i < manifest.fingerprints.size(); ++i) {
      fingerprints[path.parent_path() / manifest.shards[i]] = manifest.fingerprints[i];
    }
  }
  for (size_t i = 0; i < stream.paths().size(); ++i) {
    const auto listed = fingerprints.find(stream.paths()[i]);
    if (listed == fingerprints.end() ||
        listed->second == format_fingerprint(stream.shard_fingerprint(i))) {
      continue;
    }
    faults.push_back(fmt::format(
        "shard is not the manifest's: \"{}\" holds other tokens than those that were written; "
        "tokenize the corpus again, or fetch the shards and their manifest from one place",
        stream.paths()[i].string()));
  }
  return faults.empty() ? find_count_faults(stream) : faults;
}

DataFaults find_byte_faults(const TokenStream& val, const Tokenizer& tokenizer) {
  const ByteTable& table = tokenizer.byte_table();
  int64_t bytes = 0, unknown = 0;
  visit_documents(val, [&](std::span<const int32_t> ids) {
    for (size_t i = 1; i < ids.size(); ++i) bytes += table.token_bytes(ids, i);
    unknown += std::ranges::count(ids, tokenizer.unknown_id());
  });
  DataFaults faults;
  if (unknown > 0) {
    faults.push_back(fmt::format(
        "bytes a token are not exact: {} of {} tokens to be scored are unknown ones, which stand "
        "for text that nobody counts; use a tokenizer with byte fallback",
        format_thousands(unknown), format_thousands(val.size())));
  }
  const auto groups = group_by_manifest(val.paths());
  if (groups.size() != 1 || groups.begin()->second.size() != val.paths().size()) return faults;
  const ShardManifest manifest = read_manifest(groups.begin()->first);
  const int64_t listed = manifest.summary.target_bytes;
  if (is_whole(manifest, val.paths()) && bytes != listed) {
    faults.push_back(fmt::format(
        "bytes a token are not exact: the tokens stand for {} bytes, \"{}\" says {}; tokenize the "
        "corpus again",
        format_thousands(bytes), groups.begin()->first.string(), format_thousands(listed)));
  }
  return faults;
}

DataFaults find_tokenizer_faults(const TokenStream& val, const Tokenizer& tokenizer) {
  size_t covered = 0;
  for (const auto& [path, named] : group_by_manifest(val.paths())) covered += named.size();
  if (covered == val.paths().size()) return {};
  // Of the first documents; a text that normalisation changed comes back in the form that was
  // encoded, so that a right tokenizer makes nearly all of them again, and a wrong one few.
  constexpr int64_t kSearchedTokens = int64_t{1} << 16;
  constexpr int64_t kMostTokens = 2048, kMostDocuments = 64, kFewestDocuments = 4;
  std::vector<int32_t> ids(static_cast<size_t>(std::min(kSearchedTokens, val.size())));
  val.read(0, ids);
  const TextCodec codec(tokenizer);
  int64_t tried = 0, same = 0;
  auto begin = std::find(ids.begin(), ids.end(), kBosId);
  while (begin != ids.end() && tried < kMostDocuments) {
    const auto end = std::find(begin + 1, ids.end(), kBosId);
    if (end == ids.end()) break;  // it may go on
    if (end - begin > 1 && end - begin <= kMostTokens) {
      const std::span<const int32_t> document(begin + 1, end);
      ++tried;
      same += std::ranges::equal(codec.encode(codec.decode(document)), document) ? 1 : 0;
    }
    begin = end;
  }
  if (tried < kFewestDocuments || 2 * same >= tried) return {};
  return {fmt::format(
      "tokenizer does not match the shards: of {} documents of \"{}\" it makes {} again from their "
      "own text; use the tokenizer that made the shards",
      tried, val.paths().front().string(), same)};
}

bool is_part_of_manifest(const TokenStream& stream) {
  const auto groups = group_by_manifest(stream.paths());
  return std::any_of(groups.begin(), groups.end(), [](const auto& group) {
    return !is_whole(read_manifest(group.first), group.second);
  });
}

DataFaults refuse_faults(DataFaults faults, bool force) {
  if (faults.empty() || force) return faults;
  const std::string more =
      faults.size() > 1 ? fmt::format(" ({} more faults)", faults.size() - 1) : std::string();
  throw Error(
      fmt::format("{}{}; \"--set data.force=true\" goes on all the same, and the record "
                  "says so",
                  faults.front(), more));
}

void check_tokenizer_of_shards(std::string_view shards, const Sha256& tokenizer_sha256) {
  refuse_faults(find_shard_faults(shards, tokenizer_sha256), /*force=*/false);
}

}  // namespace pg
