// flock(2) rather than fcntl(2): the latter is lost when any descriptor of the file is closed, and
// NFS maps the former onto it. The file says who holds it, for the message of the one that waits.
#include "harness/record/folder_lock.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fstream>
#include <sstream>

#include "src/base/error.h"
#include "src/base/system_error.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

// "71 123456 gold 2026-11-22 10:11:12": process, its start in ticks since the machine's, host, time.
struct Holder {
  pid_t pid = 0;
  std::string ticks, host, since;

  std::string describe() const {
    return fmt::format("process {} on {} since {}", pid, escape_terminal(host),
                       escape_terminal(since));
  }
};

std::string host_name() {
  std::array<char, 256> name = {};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "?";
}

// A process number is used again; with its start it is not. "0" where there is no /proc.
std::string start_ticks(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text, '\0');
  const size_t name_end = text.rfind(')');  // the name may hold spaces
  if (name_end == std::string::npos) return "0";
  std::istringstream rest(text.substr(name_end + 1));
  std::string field = "0";
  constexpr int kStartField = 20;  // 22nd of the line, proc(5)
  for (int i = 0; i < kStartField; ++i) rest >> field;
  return field;
}

std::string read_lock(int fd) {
  std::array<char, 512> text = {};
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  return {text.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
}

// A pid of 0: nobody, or text of another origin.
Holder parse_holder(std::string_view text) {
  Holder holder;
  std::istringstream line{std::string(text)};
  line >> holder.pid >> holder.ticks >> holder.host >> std::ws;
  std::getline(line, holder.since);
  constexpr size_t kDateTimeBytes = 19;  // 2026-11-22 10:11:12
  const bool is_whole = !line.fail() && holder.since.size() == kDateTimeBytes &&
                        holder.since[4] == '-' && holder.since[13] == ':';
  if (!is_whole) holder.pid = 0;
  return holder;
}

[[noreturn]] void fail_in_use(const std::string& shown, const Holder& holder,
                              const std::string& more = {}) {
  throw FolderInUse(fmt::format(
      "the output folder is in use: \"{}\", by {}; wait for it to end{}, or choose another with "
      "--out",
      shown, holder.pid > 0 ? holder.describe() : "a run that has just begun", more));
}

[[noreturn]] void fail_foreign(const fs::path& file) {
  throw Error(fmt::format(
      "\"{}\" is no lock of ours, and a file of that name must lie there during the work; move it "
      "away or choose another folder with --out",
      escape_terminal(file.string())));
}

bool is_file_of(int fd, const fs::path& file) {
  struct stat ours = {}, there = {};
  return ::fstat(fd, &ours) == 0 && ::stat(file.c_str(), &there) == 0 &&
         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

void create_folder(const fs::path& folder, const std::string& shown) {
  std::error_code error, ignored;
  fs::create_directories(folder, error);
  if (!error) return;
  if (fs::is_symlink(folder, ignored) && !fs::exists(folder, ignored)) {
    throw Error(fmt::format(
        "the output folder \"{}\" is a link to what is not there: make that folder or remove the "
        "link",
        shown));
  }
  throw Error(fmt::format("cannot create the output folder \"{}\": {}; choose another with --out",
                          shown, error.message()));
}

int open_lock(const fs::path& file, const std::string& shown) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd >= 0) return fd;
  throw Error(fmt::format("cannot write in the output folder \"{}\": {}", shown,
                          describe_system_error(errno, "choose another with --out")));
}

// False: try again. Throws Error when another run holds it.
bool try_lock(int fd, const fs::path& file, const std::string& shown) {
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return is_file_of(fd, file);
  const int reason = errno;
  const std::string text = read_lock(fd);
  if (reason == EINTR) return false;
  if (reason == EWOULDBLOCK) fail_in_use(shown, parse_holder(text));
  if (may_be_alive(text)) {
    fail_in_use(shown, parse_holder(text),
                fmt::format(" (or delete \"{}\" if it is dead)", file.string()));
  }
  return true;
}

}  // namespace

bool may_be_alive(std::string_view lock_text) {
  const Holder holder = parse_holder(lock_text);
  if (holder.pid <= 0) return false;
  if (holder.host != host_name()) return true;
  if (::kill(holder.pid, 0) != 0 && errno == ESRCH) return false;
  return start_ticks(holder.pid) == holder.ticks;
}

std::string describe_own_lock() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  ::localtime_r(&now, &local);
  return fmt::format("{} {} {} {:%Y-%m-%d %H:%M:%S}\n", ::getpid(), start_ticks(::getpid()),
                     host_name(), local);
}

std::unique_ptr<FolderLock> lock_folder(const fs::path& folder, const std::string& shown) {
  const fs::path file = folder / ".run_lock";
  create_folder(folder, shown);
  for (;;) {
    const int fd = open_lock(file, shown);
    // Owns the descriptor from here on; the file stays as it is when it is another's.
    std::unique_ptr<FolderLock> lock(new FolderLock({}, fd, {}));
    if (!try_lock(fd, file, shown)) continue;  // its holder removed it meanwhile
    const std::string found = read_lock(fd);
    const Holder before = parse_holder(found);
    if (before.pid > 0) {
      lock->stale_holder_ = before.describe();
    } else if (!found.empty()) {
      fail_foreign(file);
    }
    lock->file_ = file;  // and goes with the lock
    const std::string text = describe_own_lock();
    // Only for the message of others: a full disk leaves an empty file that locks as well.
    if (::ftruncate(fd, 0) == 0) {
      [[maybe_unused]] const ssize_t ignored = ::pwrite(fd, text.data(), text.size(), 0);
    }
    return lock;
  }
}

bool FolderLock::is_in_place() const { return is_file_of(fd_, file_); }

FolderLock::~FolderLock() {
  if (!file_.empty() && is_file_of(fd_, file_)) ::unlink(file_.c_str());
  ::close(fd_);
}

}  // namespace pg
