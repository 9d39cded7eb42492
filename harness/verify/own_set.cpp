#include "harness/verify/own_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "harness/record/run_folder.h"
#include "harness/record/seed_set.h"
#include "src/base/error.h"
#include "src/files/file_sha256.h"

namespace pg {
namespace {

constexpr const char* kSubmission = "submission.json";
constexpr size_t kMostSeedBytes = size_t{1} << 28;  // of a seed's tape, the longest of what is read

class SetCheck {
 public:
  SetCheck(const RecordFacts& facts, const std::filesystem::path& path,
           std::vector<Finding>& findings)
      : facts_(facts), path_(path), findings_(findings) {}

  void run() {
    if (!facts_.submission.is_object()) return;  // found as such
    for (const SeedEntry& entry : facts_.submission.seed_entries()) seeds_.push_back(entry.seed);
    std::sort(seeds_.begin(), seeds_.end());
    if (!has_all_files()) return;
    check_logs();
    check_recipe();
    check_figures();
  }

 private:
  void add(std::string file, std::string evidence, int64_t line = 0) {
    findings_.push_back(
        {"set_broken", Severity::kReject, std::move(file), line, std::move(evidence)});
  }

  // What is read below is there, plain and of a size to read.
  bool has_all_files() {
    bool is_whole = !seeds_.empty();
    if (!is_whole) add(kSubmission, "it has no seed_results");
    for (const int64_t seed : seeds_) {
      for (const std::string& name : {std::string(kSubmission), std::string("recipe.toml"),
                                      std::string("tape.jsonl"), RunFolder::log_name(seed)}) {
        const std::string file = fmt::format("seed_{}/{}", seed, name);
        const FolderEntry* entry = facts_.folder->find(file);
        if (entry == nullptr || entry->kind != EntryKind::kFile) {
          add(file, "it is not there, and submission.json counts the seed");
          is_whole = false;
        } else if (entry->bytes > static_cast<int64_t>(kMostSeedBytes)) {
          add(file, "it is longer than any run's");
          is_whole = false;
        }
      }
    }
    for (const std::string& folder : facts_.own_seeds) {
      const auto is_it = [&](int64_t seed) { return folder == fmt::format("seed_{}", seed); };
      if (std::none_of(seeds_.begin(), seeds_.end(), is_it)) {
        findings_.push_back({"set_broken", Severity::kWarn, folder, 0,
                             "a seed's record that submission.json does not count"});
      }
    }
    return is_whole;
  }

  std::optional<Sha256> hash_of(const std::string& file) const {
    const FileDescriptor opened = facts_.folder->open_file(file);
    if (!opened.valid()) return std::nullopt;
    return sha256_file(opened, file);
  }

  void check_logs() {
    for (const int64_t seed : seeds_) {
      const std::string name = RunFolder::log_name(seed);
      if (hash_of(name) != hash_of(fmt::format("seed_{}/{}", seed, name))) {
        add(name, "it is not the log in the seed's folder");
      }
    }
  }

  void check_recipe() {
    const FolderText text = facts_.folder->read_text("recipe.toml", kMostSeedBytes);
    try {
      Recipe recipe;
      apply_toml(recipe, text.text, "recipe.toml");
      for (const int64_t seed : seeds_) {
        recipe.train.seed = seed;
        is_seed_finished(seed_folder(path_, seed), recipe);
      }
    } catch (const Error& error) {
      add("recipe.toml", error.what());
    }
  }

  // Every figure against the one that the seeds' records give; the words are the author's.
  void check_figures() {
    std::string again;
    try {
      again = describe_seed_set(path_, seeds_).submission_json;
    } catch (const Error& error) {
      return add(kSubmission, error.what());
    }
    std::map<std::vector<std::string>, const JsonEntry*> stated;
    for (const JsonEntry& entry : facts_.submission.entries) stated.emplace(entry.path, &entry);
    const SubmissionFacts wanted(again);
    for (const JsonEntry& entry : wanted.entries) {
      const bool is_number = entry.kind == JsonKind::kNumber;
      if ((!is_number && entry.kind != JsonKind::kBool) || entry.path.front() == "seeds") continue;
      const auto found = stated.find(entry.path);
      const JsonEntry* is = found == stated.end() ? nullptr : found->second;
      const bool is_equal =
          is != nullptr && is->kind == entry.kind &&
          (is_number ? std::abs(is->number - entry.number) <= 1e-12 * std::abs(entry.number)
                     : is->text == entry.text);
      if (is_equal) continue;
      return add(kSubmission,
                 fmt::format("{} is {}; the seeds' records give {}", fmt::join(entry.path, "."),
                             is == nullptr ? "not there" : is->text, entry.text),
                 is == nullptr ? 0 : is->line);
    }
  }

  const RecordFacts& facts_;
  const std::filesystem::path& path_;
  std::vector<Finding>& findings_;
  std::vector<int64_t> seeds_;
};

}  // namespace

void check_own_set(const RecordFacts& facts, const std::filesystem::path& path,
                   std::vector<Finding>& findings) {
  SetCheck(facts, path, findings).run();
}

}  // namespace pg
