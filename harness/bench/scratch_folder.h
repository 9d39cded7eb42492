// A folder of its own for files that are of no use afterwards.
#pragma once
#include <filesystem>
#include <string>

namespace pg {

// Removed with all it holds on every way out.
class ScratchFolder {
 public:
  // Throws Error where the system's temporary folder cannot be written to.
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace pg
