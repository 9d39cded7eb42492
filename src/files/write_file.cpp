// Files written whole or not at all: beside their place under another name, flushed, then renamed.
// Links are followed to what they name, and only a regular file is ever replaced: a device or a
// pipe is written to, a folder refused.
#include "src/files/write_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/file_descriptor.h"
#include "src/base/system_error.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxLinks = 40;  // as the kernel follows

// Held while a temporary file lies about, for whoever ends the process (await_file_writes).
std::mutex& writing() {
  static std::mutex mutex;
  return mutex;
}

[[noreturn]] void fail(const char* what, const fs::path& path, int error) {
  throw Error(std::string(what) + " \"" + path.string() + "\": " + describe_system_error(error));
}

// The descriptor of this process that a link in /proc/self/fd stands for (/dev/stdout is a link to
// one). Its text is no path, and the file behind it must not be replaced.
std::optional<int> find_own_descriptor(const fs::path& link) {
  std::error_code error;
  const fs::path folder = fs::canonical(link.parent_path(), error);
  if (error || folder != "/proc/" + std::to_string(::getpid()) + "/fd") return std::nullopt;
  const std::string name = link.filename().string();
  int fd = -1;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), fd);
  return parsed.ec == std::errc() ? std::optional(fd) : std::nullopt;
}

struct Destination {
  fs::path path;                  // no link; need not exist
  std::optional<int> descriptor;  // of this process, in place of a path
};

Destination follow_links(const fs::path& given) {
  fs::path path = given;
  for (int links = 0; links <= kMaxLinks; ++links) {
    std::error_code is_no_link;
    const fs::path target = fs::read_symlink(path, is_no_link);
    if (is_no_link) return {path, std::nullopt};
    if (const auto fd = find_own_descriptor(path)) return {path, fd};
    path = path.parent_path() / target;  // which is `target` alone where that is absolute
  }
  fail("cannot write", given, ELOOP);
}

void write_all(int fd, std::span<const uint8_t> bytes, const fs::path& path) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write", path, errno);
    done += static_cast<size_t>(n);
  }
}

void close_written(FileDescriptor& file, const fs::path& path) {
  if (::close(file.release()) != 0) fail("cannot close", path, errno);
}

// Waits for a reader, as every program does that writes to a pipe.
void write_to_special(const fs::path& path, std::span<const uint8_t> bytes) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  if (!file.valid()) fail("cannot open", path, errno);
  write_all(file.get(), bytes, path);
  close_written(file, path);
}

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// path.tmp, removed on every way out but one. Of two processes that write one path the second waits
// for the first (flock), or it would rename what is half written.
class TemporaryFile {
 public:
  TemporaryFile(const fs::path& place, mode_t mode) : path_(place) {
    path_ += ".tmp";
    while (!open_and_lock(mode)) {
    }
  }
  ~TemporaryFile() {
    if (file_exists_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  FileDescriptor& file() { return file_; }
  void rename_to(const fs::path& place) {
    if (::rename(path_.c_str(), place.c_str()) != 0) fail("cannot rename to", place, errno);
    file_exists_ = false;
  }

 private:
  fs::path path_;
  FileDescriptor file_, lock_;  // of one open file: the lock outlives the closing of file_
  bool file_exists_ = true;

  // False where what lies there is not ours to write to, and has been removed, or was another's who
  // has renamed it since.
  bool open_and_lock(mode_t mode) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    file_ = FileDescriptor(::open(path_.c_str(), kFlags, mode));
    if (!file_.valid()) {
      const int error = errno;
      const bool is_foreign =
          error == ELOOP || error == ENXIO || error == EACCES;  // a link, a pipe
      if (!is_foreign || ::unlink(path_.c_str()) != 0) fail("cannot create", path_, error);
      return false;
    }
    // Where there are no locks (some network folders) nobody waits.
    while (::flock(file_.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    struct stat opened = {}, named = {};
    if (::fstat(file_.get(), &opened) != 0) fail("cannot create", path_, errno);
    if (::lstat(path_.c_str(), &named) != 0 || !is_same_file(opened, named)) return false;
    if (!S_ISREG(opened.st_mode) || opened.st_nlink != 1) {  // of a killed run it has one name
      if (::unlink(path_.c_str()) != 0) fail("cannot create", path_, errno);
      return false;
    }
    if (::ftruncate(file_.get(), 0) != 0) fail("cannot create", path_, errno);
    lock_ = FileDescriptor(::fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
    if (!lock_.valid()) fail("cannot create", path_, errno);
    return true;
  }
};

// `mode` is the old file's; it must not become readable for more people than it was.
void replace_file(const fs::path& path, std::span<const uint8_t> bytes,
                  std::optional<mode_t> mode) {
  const std::lock_guard lock(writing());
  TemporaryFile temporary(path, mode.value_or(0644));
  FileDescriptor& file = temporary.file();
  if (mode && ::fchmod(file.get(), *mode) != 0) fail("cannot set the mode of", path, errno);
  write_all(file.get(), bytes, path);
  if (::fsync(file.get()) != 0) fail("cannot flush", path, errno);
  close_written(file, path);
  temporary.rename_to(path);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const FileDescriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid()) ::fsync(directory.get());  // makes the rename itself durable
}

void create_folder_of(const fs::path& path) {
  if (!path.has_parent_path()) return;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail("cannot create the folder", path.parent_path(), error.value());
}

}  // namespace

void write_file_atomic(const fs::path& path, std::span<const uint8_t> bytes) {
  const Destination to = follow_links(path);
  if (to.descriptor) {
    std::fflush(stdout);  // what was printed before comes first
    return write_all(*to.descriptor, bytes, path);
  }
  struct stat info = {};
  if (::stat(to.path.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) fail("cannot write", path, errno);
    if (!to.path.has_filename()) fail("cannot write", path, EISDIR);
    create_folder_of(to.path);
    return replace_file(to.path, bytes, std::nullopt);
  }
  if (S_ISDIR(info.st_mode)) {
    throw Error("cannot write \"" + path.string() + "\": it is a folder; give a file's name");
  }
  if (S_ISBLK(info.st_mode) || S_ISSOCK(info.st_mode)) {
    throw Error("cannot write \"" + path.string() + "\": it is a " +
                (S_ISSOCK(info.st_mode) ? "socket" : "disk") + "; give a file's name");
  }
  if (!S_ISREG(info.st_mode)) return write_to_special(to.path, bytes);
  // A rename would not ask.
  if (::access(to.path.c_str(), W_OK) != 0) fail("cannot write", path, errno);
  replace_file(to.path, bytes, info.st_mode & 07777);
}

void write_file_atomic(const fs::path& path, std::string_view text) {
  write_file_atomic(path, as_bytes(text));
}

void await_file_writes() {
  constexpr auto kPause = std::chrono::milliseconds(1);
  constexpr int kPauses = 2000;  // a disk that hangs must not keep the process
  for (int i = 0; i < kPauses && !writing().try_lock(); ++i) std::this_thread::sleep_for(kPause);
}

}  // namespace pg
