#include "harness/record/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pg {

AppendFile::AppendFile(const std::filesystem::path& path, bool append, Report report)
    : path_(path.string()), report_(std::move(report)) {
  const int mode = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (append ? 0 : O_TRUNC);
  fd_ = ::open(path.c_str(), mode, 0644);
  if (fd_ < 0) fail();
}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(report_, other.report_);
  std::swap(fd_, other.fd_);
  return *this;
}

void AppendFile::write_line(std::string_view line) {
  if (fd_ < 0) return;
  std::string text(line);
  text += '\n';
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd_, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail();
    done += static_cast<size_t>(n);
  }
}

void AppendFile::fail() {
  const std::string reason = std::strerror(errno);
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  if (report_) {
    report_("cannot write the log \"" + path_ + "\": " + reason + "; the run goes on without it");
  }
}

}  // namespace pg
