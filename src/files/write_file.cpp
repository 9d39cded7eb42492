// Files written whole or not at all: beside their place under another name, flushed, then renamed.
// Links are followed to what they name, and only a regular file is ever replaced: a device or a
// pipe is written to, a folder refused.
#include "src/files/write_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

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

// Large files go past the page cache, where the system can do that: its copy of a checkpoint costs
// more of a core than all else about it.
constexpr size_t kDirectFrom = size_t{8} << 20, kDirectBlock = size_t{4} << 20;
constexpr size_t kDirectAlignment = 4096;  // of place, length and memory

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};

// Gives how many of the first bytes it has written; the rest is for write_all().
size_t write_direct(int fd, std::span<const uint8_t> bytes, const fs::path& path) {
  if (bytes.size() < kDirectFrom) return 0;
  const std::unique_ptr<void, FreeMemory> block(std::aligned_alloc(kDirectAlignment, kDirectBlock));
  const int flags = ::fcntl(fd, F_GETFL);
  if (block == nullptr || flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return 0;
  size_t done = 0;
  while (done % kDirectAlignment == 0 && bytes.size() - done >= kDirectAlignment) {
    const size_t left = bytes.size() - done;
    const size_t size = std::min(kDirectBlock, left - left % kDirectAlignment);
    std::memcpy(block.get(), bytes.data() + done, size);
    const ssize_t n = ::write(fd, block.get(), size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL) break;  // not on this file system
    if (n < 0) fail("cannot write", path, errno);
    done += static_cast<size_t>(n);
  }
  ::fcntl(fd, F_SETFL, flags);
  return done;
}

// Waits for a reader, as every program does that writes to a pipe.
void write_to_special(const fs::path& path, std::span<const uint8_t> bytes) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  if (!file.valid()) fail("cannot open", path, errno);
  write_all(file.get(), bytes, path);
  if (::close(file.release()) != 0) fail("cannot close", path, errno);
}

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// ".<name>.<process>-<n>.train_gpt.tmp": no glob for shards or texts matches it, nobody else writes
// such names, and it says which file it was to become. Locked from its making to its end, so that
// one without a lock is a dead process's.
constexpr std::string_view kTemporaryEnd = ".train_gpt.tmp";
constexpr size_t kMostNameBytes = 200;  // of the place's; file systems allow 255 in all

bool is_temporary_name(std::string_view name) {
  return name.starts_with('.') && name.ends_with(kTemporaryEnd);
}

// A regular file with one name that is still the one at `path`.
bool is_at(int fd, const fs::path& path) {
  struct stat opened = {}, named = {};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         is_same_file(opened, named) && S_ISREG(opened.st_mode) && opened.st_nlink == 1;
}

// A new file beside `place`, removed on every way out but one.
class TemporaryFile {
 public:
  TemporaryFile(const fs::path& place, mode_t mode) : TemporaryFile() {
    for (int number = 0; !file_exists_; ++number) create(place, number, mode);
  }
  ~TemporaryFile() {
    if (file_exists_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  int fd() const { return file_.get(); }
  void rename_to(const fs::path& place) {
    if (::rename(path_.c_str(), place.c_str()) != 0) fail("cannot rename to", place, errno);
    file_exists_ = false;
  }

 private:
  TemporaryFile() = default;  // complete: what throws from here on goes through the destructor

  fs::path path_;
  FileDescriptor file_;
  bool file_exists_ = false;

  // Makes none where the name is taken, or was taken away before the lock was there.
  void create(const fs::path& place, int number, mode_t mode) {
    std::string name = ".";
    name += place.filename().string().substr(0, kMostNameBytes);
    name += '.' + std::to_string(::getpid()) + '-' + std::to_string(number);
    name += kTemporaryEnd;
    path_ = place.parent_path() / name;
    file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!file_.valid()) {
      if (errno != EEXIST) fail("cannot write", place, errno);
      return;
    }
    // Where there are no locks (some network folders) nobody takes it away.
    while (::flock(file_.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    file_exists_ = is_at(file_.get(), path_);
  }
};

// `mode` is the old file's; it must not become readable for more people than it was.
void replace_file(const fs::path& path, std::span<const uint8_t> bytes,
                  std::optional<mode_t> mode) {
  const std::lock_guard lock(writing());
  TemporaryFile temporary(path, mode.value_or(0644));
  if (mode && ::fchmod(temporary.fd(), *mode) != 0) fail("cannot set the mode of", path, errno);
  write_all(temporary.fd(), bytes.subspan(write_direct(temporary.fd(), bytes, path)), path);
  if (::fsync(temporary.fd()) != 0) fail("cannot flush", path, errno);  // closing tells no more
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

void remove_stray_files(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator at(folder.empty() ? "." : folder, error), end; !error && at != end;
       at.increment(error)) {
    if (is_temporary_name(at->path().filename().string())) found.push_back(at->path());
  }
  for (const fs::path& path : found) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file.valid() && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 && is_at(file.get(), path)) {
      ::unlink(path.c_str());
    }
  }
}

void await_file_writes() {
  constexpr auto kPause = std::chrono::milliseconds(1);
  constexpr int kPauses = 2000;  // a disk that hangs must not keep the process
  for (int i = 0; i < kPauses && !writing().try_lock(); ++i) std::this_thread::sleep_for(kPause);
}

}  // namespace pg
