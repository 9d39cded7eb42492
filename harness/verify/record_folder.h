// A stranger's record folder as it lies on the disk: names and sizes of what is in it, and its files
// to read. No link is followed, nothing outside the folder is opened, and what is no plain file
// (a pipe, a device) is never read, however the folder changes meanwhile.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/file_descriptor.h"

namespace pg {

enum class EntryKind { kFile, kLink, kOther, kStandIn };

struct FolderEntry {
  std::string path;  // "logs/train_seed42.log"
  EntryKind kind = EntryKind::kFile;
  int64_t bytes = -1;  // -1: not known, of a stand-in
};

struct FolderText {
  std::string text;
  bool is_cut = false;  // the file goes on
};

class RecordFolder {
 public:
  // Names of no more files than this are read, and no deeper.
  static constexpr size_t kMostEntries = 20000;
  static constexpr int kMostDepth = 12;

  // Throws Error when `path` is no folder that can be read. `path` itself may be a link.
  explicit RecordFolder(const std::filesystem::path& path);

  const std::vector<FolderEntry>& entries() const { return entries_; }  // sorted by path
  // More entries than kMostEntries or kMostDepth, or folders that could not be read.
  bool is_cut() const { return is_cut_; }
  // A file by its path, or a stand-in for one; null where there is none. Not links.
  const FolderEntry* find(std::string_view path) const;
  bool has(std::string_view path) const { return find(path) != nullptr; }

  // Files that are not at hand, as code_sizes.json lists them ({name: bytes or null}): adds a stand-in
  // for each name that is not there. Names that lead out of the folder are left out.
  void add_stand_ins(const std::map<std::string, int64_t>& bytes_of_name);
  bool has_stand_ins() const { return has_stand_ins_; }

  // An open plain file; not valid when it is none, or is gone.
  FileDescriptor open_file(std::string_view path) const;
  // At most `most_bytes` of a file; empty for one that cannot be read.
  FolderText read_text(std::string_view path, size_t most_bytes) const;

 private:
  void list(int folder, const std::string& prefix, int depth);

  FileDescriptor root_;
  std::vector<FolderEntry> entries_;
  bool is_cut_ = false, has_stand_ins_ = false;
};

// The part of a path behind the last '/'.
std::string_view base_name(std::string_view path);

}  // namespace pg
