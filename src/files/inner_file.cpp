#include "src/files/inner_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

namespace pg {
namespace {

// Of an open() that failed: a link is ELOOP, on the way ENOTDIR, a socket ENXIO.
InnerFileState state_of(int error) {
  if (error == ENOENT) return InnerFileState::kMissing;
  const bool is_other = error == ELOOP || error == ENOTDIR || error == ENXIO;
  return is_other ? InnerFileState::kNotPlain : InnerFileState::kUnreadable;
}

bool is_part(std::string_view part) { return !part.empty() && part != "." && part != ".."; }

}  // namespace

bool is_inner_path(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return false;
  for (;;) {
    const size_t slash = path.find('/');
    if (!is_part(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool is_inner_name(std::string_view name) {
  return is_inner_path(name) && name.find('/') == std::string_view::npos;
}

const char* InnerFile::describe() const {
  switch (state) {
    case InnerFileState::kOpen:
      return "";
    case InnerFileState::kBadPath:
      return "is no name of a file in the folder";
    case InnerFileState::kMissing:
      return "is not there";
    case InnerFileState::kNotPlain:
      return "is no plain file";
    case InnerFileState::kUnreadable:
      break;
  }
  return "cannot be read";
}

InnerFile open_inner_file(int folder, std::string_view path) {
  if (!is_inner_path(path)) return {.state = InnerFileState::kBadPath};
  FileDescriptor inner;  // the last folder on the way, where it is not `folder` itself
  for (size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/')) {
    const std::string part(path.substr(0, slash));
    inner = FileDescriptor(::openat(inner.valid() ? inner.get() : folder, part.c_str(),
                                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner.valid()) return {.state = state_of(errno)};
    path.remove_prefix(slash + 1);
  }
  FileDescriptor file(::openat(inner.valid() ? inner.get() : folder, std::string(path).c_str(),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.valid()) return {.state = state_of(errno)};
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return {.state = InnerFileState::kNotPlain};
  }
  return {InnerFileState::kOpen, std::move(file)};
}

InnerFile open_inner_file(const std::filesystem::path& folder, std::string_view path) {
  const FileDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid()) return {.state = state_of(errno)};
  return open_inner_file(opened.get(), path);
}

}  // namespace pg
