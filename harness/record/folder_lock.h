// One run at a time in a folder: two would mix their logs and overwrite each other's artifact.
#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "src/base/error.h"

namespace pg {

// Another run holds the folder.
class FolderInUse : public Error {
  using Error::Error;
};

// Held from its making to its end. The kernel ends it with the process, however that dies, so a
// file that a killed run left behind locks nothing.
class FolderLock {
 public:
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // The dead run whose lock lay there: "process 71 on gold since 2026-11-22 10:11:12"; or "".
  const std::string& stale_holder() const { return stale_holder_; }
  // False once somebody has moved or removed the folder.
  bool is_in_place() const;

 private:
  friend std::unique_ptr<FolderLock> lock_folder(const std::filesystem::path& folder,
                                                 const std::string& shown);
  FolderLock(const std::filesystem::path& file, int fd, const std::string& stale_holder)
      : file_(file), fd_(fd), stale_holder_(stale_holder) {}

  std::filesystem::path file_;
  int fd_;
  std::string stale_holder_;
};

// What a lock file says of who holds it: believed to live when its process does, with the same
// start, or when it is on another machine.
bool may_be_alive(std::string_view lock_text);
// Of this process, now.
std::string describe_own_lock();

// Creates the folder where there is none and takes <folder>/.run_lock. Throws FolderInUse, which names the run that holds it, and Error where it cannot be taken at all; `shown` is the folder as
// the user wrote it. Where the file system knows no locks, may_be_alive decides.
std::unique_ptr<FolderLock> lock_folder(const std::filesystem::path& folder,
                                        const std::string& shown);

}  // namespace pg
