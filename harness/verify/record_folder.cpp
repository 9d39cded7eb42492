#include "harness/verify/record_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "src/base/error.h"
#include "src/base/system_error.h"
#include "src/files/inner_file.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

bool is_by_path(const FolderEntry& a, const FolderEntry& b) { return a.path < b.path; }

}  // namespace

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

RecordFolder::RecordFolder(const std::filesystem::path& path)
    : root_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!root_.valid()) {
    const int error = errno;
    throw Error("cannot read the record folder \"" + escape_terminal(path.string()) +
                "\": " + describe_system_error(error));
  }
  list(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0), "", 0);
  std::sort(entries_.begin(), entries_.end(), is_by_path);
}

void RecordFolder::list(int folder, const std::string& prefix, int depth) {
  FileDescriptor owner(folder);
  if (!owner.valid() || depth > kMostDepth) {
    is_cut_ = true;
    return;
  }
  const std::unique_ptr<DIR, CloseFolder> names(::fdopendir(owner.get()));
  if (!names) {
    is_cut_ = true;
    return;
  }
  owner.release();  // fdopendir took it
  while (const dirent* name = ::readdir(names.get())) {
    const std::string_view base = name->d_name;
    if (base == "." || base == "..") continue;
    if (entries_.size() >= kMostEntries) {
      is_cut_ = true;
      return;
    }
    struct stat status {};
    if (::fstatat(::dirfd(names.get()), name->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const std::string path = prefix + std::string(base);
    if (S_ISDIR(status.st_mode)) {
      list(::openat(::dirfd(names.get()), name->d_name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
           path + '/', depth + 1);
    } else {
      const EntryKind kind = S_ISREG(status.st_mode)   ? EntryKind::kFile
                             : S_ISLNK(status.st_mode) ? EntryKind::kLink
                                                       : EntryKind::kOther;
      entries_.push_back({path, kind, static_cast<int64_t>(status.st_size)});
    }
  }
}

const FolderEntry* RecordFolder::find(std::string_view path) const {
  const auto at = std::lower_bound(
      entries_.begin(), entries_.end(), path,
      [](const FolderEntry& entry, std::string_view wanted) { return entry.path < wanted; });
  if (at == entries_.end() || at->path != path) return nullptr;
  return at->kind == EntryKind::kFile || at->kind == EntryKind::kStandIn ? &*at : nullptr;
}

void RecordFolder::add_stand_ins(const std::map<std::string, int64_t>& bytes_of_name) {
  std::vector<FolderEntry> added;
  for (const auto& [name, bytes] : bytes_of_name) {
    const auto has_name = [&, wanted = std::string_view(name)](const FolderEntry& entry) {
      return entry.path == wanted;
    };
    if (entries_.size() + added.size() >= kMostEntries) break;
    if (!is_inner_path(name) || std::any_of(entries_.begin(), entries_.end(), has_name)) continue;
    added.push_back({name, EntryKind::kStandIn, bytes});
  }
  has_stand_ins_ = has_stand_ins_ || !added.empty();
  entries_.insert(entries_.end(), added.begin(), added.end());
  std::sort(entries_.begin(), entries_.end(), is_by_path);
}

FileDescriptor RecordFolder::open_file(std::string_view path) const {
  return open_inner_file(root_.get(), path).file;
}

FolderText RecordFolder::read_text(std::string_view path, size_t most_bytes) const {
  FolderText out;
  const FileDescriptor file = open_file(path);
  if (!file.valid()) return out;
  constexpr size_t kReadBytes = size_t{1} << 16;
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return out;
    out.text.append(buffer, 0, static_cast<size_t>(n));
    if (out.text.size() > most_bytes) {
      out.text.resize(most_bytes);
      out.is_cut = true;
      return out;
    }
  }
}

}  // namespace pg
