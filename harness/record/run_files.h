// Which files of a folder a run wrote. The folder keeps a list of their names and SHA-256, .run_files,
// so that a run overwrites and removes nothing else: neither what a user put there nor what a user
// has changed since.
#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/base/hash.h"

namespace pg {

class RunFiles {
 public:
  // Reads the folder's list; none means that no run wrote there.
  explicit RunFiles(const std::filesystem::path& folder);

  // A run has written in this folder.
  bool has_run() const { return has_list_; }
  // `name` is in the way: it exists and is not, or no longer, what a run wrote.
  bool is_foreign(const std::string& name) const;
  // The listed files that exist as a run wrote them.
  std::vector<std::string> find_own() const;

 private:
  struct Entry {
    std::set<std::string> sha256s;  // in hex; one for each time it was written
    bool grows = false;             // a log of a run that has not ended: known by its beginning
  };
  bool is_own(const std::string& name) const;

  std::filesystem::path folder_;
  bool has_list_ = false, is_list_foreign_ = false;
  std::map<std::string, Entry> entries_;
};

// Starts the list anew, with nothing in it. Throws Error.
void clear_run_files(const std::filesystem::path& folder);
// Say that a run is about to write `name` with these bytes, or lines without end. Said before the
// file is written: a kill between the two leaves a file that is still known. Throw Error.
void list_run_file(const std::filesystem::path& folder, const std::string& name,
                   const Sha256& sha256);
void list_growing_file(const std::filesystem::path& folder, const std::string& name);

}  // namespace pg
