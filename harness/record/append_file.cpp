#include "harness/record/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "src/base/system_error.h"

namespace pg {
namespace {

// Takes the last `bytes` off; where that fails the line stays cut, and readers leave it out.
void cut_end(int fd, size_t bytes) {
  struct stat info = {};
  if (bytes == 0 || ::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return;
  [[maybe_unused]] const int ignored = ::ftruncate(fd, info.st_size - static_cast<off_t>(bytes));
}

}  // namespace

AppendFile::AppendFile(const std::filesystem::path& path, bool append, Report report)
    : path_(path.string()), report_(std::move(report)) {
  const int mode = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (append ? 0 : O_TRUNC);
  file_ = FileDescriptor(::open(path.c_str(), mode, 0644));
  if (!file_.valid()) fail(errno);
}

void AppendFile::write_line(std::string_view line) {
  if (!file_.valid()) return;
  std::string text(line);
  text += '\n';
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(file_.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = errno;
      cut_end(file_.get(), done);
      return fail(error);
    }
    done += static_cast<size_t>(n);
  }
}

void AppendFile::check_kept() {
  struct stat info = {};
  if (file_.valid() && ::fstat(file_.get(), &info) == 0 && info.st_nlink == 0) fail(ENOENT);
}

void AppendFile::close() {
  if (file_.valid() && ::fsync(file_.get()) != 0 && errno == EIO) return fail(errno);
  file_.reset();
}

int64_t AppendFile::size_bytes() const {
  struct stat info = {};
  return file_.valid() && ::fstat(file_.get(), &info) == 0 ? static_cast<int64_t>(info.st_size) : 0;
}

void AppendFile::fail(int error) {
  file_.reset();
  if (report_) {
    report_("cannot write the log \"" + path_ + "\": " + describe_system_error(error) +
            "; the run goes on without it");
  }
}

}  // namespace pg
