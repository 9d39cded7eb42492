// The list is text that only grows: "<SHA-256>  <name>", as sha256sum writes it, or "# grows  <name>"
// for a log; a log's last word is its hash, said when the run ends.
#include "harness/record/run_files.h"

#include <fmt/format.h>

#include <fstream>
#include <string_view>
#include <system_error>

#include "harness/record/run_folder.h"
#include "src/base/bytes.h"
#include "src/files/write_file.h"
#include "src/train/checkpoint.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kListName = ".run_files";
constexpr std::string_view kHead = "# what train_gpt run wrote here, by SHA-256; the rest is yours";
constexpr std::string_view kGrows = "# grows  ";
constexpr std::string_view kSeparator = "  ";

// How every log of a run begins.
std::string_view log_beginning(std::string_view name) {
  return name.ends_with(".jsonl") ? "{\"event\":\"start\"," : "[track]\n";
}

bool begins_like_a_log(const fs::path& file) {
  const std::string_view expected = log_beginning(file.native());
  std::string begin(expected.size(), '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  begin.resize(static_cast<size_t>(stream.gcount()));
  return begin == expected.substr(0, begin.size());  // a kill may have cut the first line
}

// A few lines, rewritten whole: no kill leaves half of one.
void append_line(const fs::path& folder, const std::string& line) {
  const fs::path file = folder / kListName;
  std::error_code ignored;
  const std::string before =
      fs::exists(file, ignored) ? read_text_file(file) : fmt::format("{}\n", kHead);
  write_file_atomic(file, before + line + '\n');
}

}  // namespace

RunFiles::RunFiles(const fs::path& folder) : folder_(folder) {
  std::ifstream list(folder / kListName, std::ios::binary);
  if (!list.is_open()) return;
  std::string line;
  std::getline(list, line);
  has_list_ = line == kHead;
  is_list_foreign_ = !has_list_;
  while (has_list_ && std::getline(list, line)) {
    if (line.find('/') != std::string::npos) continue;  // only of this folder
    if (line.starts_with(kGrows)) {
      entries_[line.substr(kGrows.size())].grows = true;
      continue;
    }
    constexpr size_t kHexDigits = 2 * sizeof(Sha256);
    if (line.size() <= kHexDigits + kSeparator.size()) continue;
    Entry& entry = entries_[line.substr(kHexDigits + kSeparator.size())];
    entry.sha256s.insert(line.substr(0, kHexDigits));
    entry.grows = false;
  }
}

bool RunFiles::is_foreign(const std::string& name) const {
  if (name == kListName) return is_list_foreign_;
  std::error_code ignored;
  return fs::exists(folder_ / name, ignored) && !is_own(name);
}

bool RunFiles::is_own(const std::string& name) const {
  const fs::path file = folder_ / name;
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return false;
  // Written by the trainer over and over; it carries its own mark.
  if (name == RunFolder::kCheckpointName) return peek_checkpoint_steps(file).has_value();
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return false;
  if (entry->second.grows) return begins_like_a_log(file);
  return entry->second.sha256s.contains(hex(sha256(read_file(file))));
}

std::vector<std::string> RunFiles::find_own() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (is_own(name)) names.push_back(name);
  }
  if (is_own(RunFolder::kCheckpointName)) names.emplace_back(RunFolder::kCheckpointName);
  return names;
}

void clear_run_files(const fs::path& folder) {
  write_file_atomic(folder / kListName, fmt::format("{}\n", kHead));
}

void list_run_file(const fs::path& folder, const std::string& name, const Sha256& sha256) {
  append_line(folder, hex(sha256) + std::string(kSeparator) + name);
}

void list_growing_file(const fs::path& folder, const std::string& name) {
  append_line(folder, std::string(kGrows) + name);
}

}  // namespace pg
