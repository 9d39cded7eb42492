// Logs of other records by their SHA-256, as a table with tabs lists them:
//
//   sha256_committed  sha256_kept  bytes  first_pr  folder  file
//
// The first line names the columns. A log is known by either hash: as it was committed, or as it is
// kept without the source text at its head.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/base/hash.h"

namespace pg {

struct KnownLog {
  int64_t first_pr = 0;
  std::string folder;  // "track_10min_16mb/2026-03-23_Name"
  std::string file;
};

class KnownLogs {
 public:
  KnownLogs() = default;
  // Throws Error for a file that cannot be read or is no such table.
  explicit KnownLogs(const std::filesystem::path& file);
  static KnownLogs from_text(std::string_view text, std::string_view name);

  bool is_empty() const { return logs_.empty(); }
  // Where a log was seen first; null for one that is not known.
  const KnownLog* find(const Sha256& sha256) const;
  // The folders that a pull request gave logs of.
  std::set<std::string> folders_of(int64_t first_pr) const;

 private:
  std::map<std::string, KnownLog> logs_;  // by hex
  std::map<int64_t, std::set<std::string>> folders_;
};

}  // namespace pg
