#include "harness/record/leaderboard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "harness/recipe/recipe_identity.h"
#include "harness/statistics/run_set.h"
#include "harness/statistics/seed_statistics.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostKeys = 8;  // that a row names; a record that changes more is another recipe

struct RecordRow {
  std::string path;  // from the root, with '/'
  RunSet runs;
  Spread bits;
  int64_t most_bytes = 0;  // of an artifact with its code; 0 where it is not said
  int64_t val_bytes = 0;   // 0 where it is not said
  std::optional<Recipe> recipe;
};

// Folders with a submission.json, sorted; of a set of seeds the set's own alone.
std::vector<fs::path> list_record_folders(const fs::path& root) {
  std::set<fs::path> folders;
  std::error_code error;
  fs::recursive_directory_iterator at(root, error);
  if (error) {
    throw Error(fmt::format("cannot read the folder \"{}\"; give the one that holds the records",
                            root.string()));
  }
  for (const fs::directory_entry& entry : at) {
    if (entry.path().filename() == "submission.json" && entry.is_regular_file()) {
      folders.insert(entry.path().parent_path());
    }
  }
  std::vector<fs::path> outer;
  for (const fs::path& folder : folders) {
    const bool is_seed =
        folder.filename().string().starts_with("seed_") && folders.contains(folder.parent_path());
    if (!is_seed) outer.push_back(folder);
  }
  return outer;
}

RecordRow read_row(const fs::path& root, const fs::path& folder) {
  RecordRow row;
  row.path = folder.lexically_relative(root).generic_string();
  row.runs = read_run_set(folder.string());
  row.bits = spread_of(row.runs.bits_per_byte());
  for (const SeedScore& seed : row.runs.seeds) {
    row.most_bytes = std::max(row.most_bytes, seed.artifact_bytes.value_or(0));
    row.val_bytes = std::max(row.val_bytes, seed.val_bytes.value_or(0));
  }
  if (const fs::path file = folder / "recipe.toml"; fs::exists(file)) {
    row.recipe.emplace();
    apply_toml(*row.recipe, read_text_file(file), file.string());
  }
  return row;
}

// "ttt.lr = 0.002, was 0.01; ..."
std::string describe_keys(const Recipe& recipe, const Recipe& before) {
  const Affects all = Affects::kTraining | Affects::kPacking | Affects::kScoring;
  std::map<std::string, std::string> old;
  for (auto& [key, value] : list_identifying(before, all)) old.emplace(key, std::move(value));
  std::vector<std::string> changes;
  for (const auto& [key, value] : list_identifying(recipe, all)) {
    if (old.at(key) != value && key != "train.seed") {
      changes.push_back(fmt::format("{} = {}, was {}", escape_markdown(key), escape_markdown(value),
                                    escape_markdown(old.at(key))));
    }
  }
  const size_t count = changes.size();
  if (count > kMostKeys) changes.resize(kMostKeys);
  std::string text = fmt::format("{}", fmt::join(changes, "; "));
  if (count > kMostKeys) text += fmt::format("; and {} keys more", count - kMostKeys);
  return text;
}

std::string describe_change(const RecordRow& row, const RecordRow* before) {
  std::string text = escape_markdown(row.runs.blurb);
  if (before == nullptr || !row.recipe || !before->recipe) return text;
  const std::string keys = describe_keys(*row.recipe, *before->recipe);
  return fmt::format("{}{}Against {}: {}", text, text.empty() ? "" : " ",
                     escape_markdown(before->runs.name), keys.empty() ? "the same keys" : keys);
}

// A path as the target of a link.
std::string encode_url(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') ||
                          std::string_view("/._-").find(c) != std::string_view::npos;
    if (is_plain) {
      text += c;
    } else {
      text += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    }
  }
  return text;
}

// The record of the track that comes before `row` by date, then by path.
const RecordRow* find_before(const std::vector<RecordRow>& rows, const RecordRow& row) {
  const auto key = [](const RecordRow& r) { return std::pair(r.runs.date, r.path); };
  const RecordRow* before = nullptr;
  for (const RecordRow& other : rows) {
    if (key(other) < key(row) && (before == nullptr || key(*before) < key(other))) before = &other;
  }
  return before;
}

std::string write_track(const std::string& track, std::vector<RecordRow> rows) {
  std::ranges::sort(rows, [](const RecordRow& a, const RecordRow& b) {
    return std::pair(a.bits.mean, a.path) < std::pair(b.bits.mean, b.path);
  });
  const bool is_one_text = std::ranges::all_of(
      rows, [&](const RecordRow& row) { return row.val_bytes == rows.front().val_bytes; });
  std::string text = fmt::format("## {}\n\n", track.empty() ? "no track" : escape_markdown(track));
  if (!is_one_text) {
    text += "Not all of them are scored on the same text: compare rows of equal text alone.\n\n";
  }
  text +=
      "| | record | date | bpb | std | seeds | largest artifact, bytes | text, bytes | what "
      "changed "
      "|\n|---|---|---|---|---|---|---|---|---|\n";
  const auto count = [](int64_t n) {
    return n > 0 ? format_thousands(n) : std::string("not said");
  };
  int64_t place = 0;
  for (const RecordRow& row : rows) {
    std::vector<std::string> seeds;
    for (const SeedScore& seed : row.runs.seeds) seeds.push_back(escape_markdown(seed.seed));
    text +=
        fmt::format("| {} | [{}]({}) | {} | **{:.4f}** | {} | {} | {} | {} | {} |\n", ++place,
                    escape_markdown(row.runs.name.empty() ? row.path : row.runs.name),
                    encode_url(row.path), escape_markdown(row.runs.date), row.bits.mean,
                    row.bits.count > 1 ? fmt::format("{:.4f}", row.bits.sample_std) : "one seed",
                    fmt::join(seeds, ", "), count(row.most_bytes), count(row.val_bytes),
                    describe_change(row, find_before(rows, row)));
  }
  return text;
}

}  // namespace

std::string write_leaderboard(const fs::path& root) {
  std::map<std::string, std::vector<RecordRow>> rows_of_track;
  for (const fs::path& folder : list_record_folders(root)) {
    RecordRow row = read_row(root, folder);
    rows_of_track[row.runs.track].push_back(std::move(row));
  }
  std::string text =
      "# Records\n\nWritten by `train_gpt leaderboard records > records/README.md` from the "
      "records "
      "themselves. Lower is better; a score of several seeds is their mean, std divides by n - "
      "1.\n";
  for (auto& [track, rows] : rows_of_track)
    text += fmt::format("\n{}", write_track(track, std::move(rows)));
  if (rows_of_track.empty()) text += "\nNo record yet.\n";
  return text;
}

}  // namespace pg
