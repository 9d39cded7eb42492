// Links are looked at when all that lies in the folder itself is known, so that a text which has a
// place of its own is read there, and a link back to where it came from ends the walk.
#include "src/data/corpus/corpus_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "src/base/error.h"
#include "src/base/system_error.h"

namespace pg {
namespace {

using Identity = std::pair<dev_t, ino_t>;

class FolderWalk {
 public:
  CorpusFiles run(const std::filesystem::path& folder) {
    visit(folder);
    while (!links_.empty()) {
      const std::filesystem::path link = links_.front();
      links_.pop_front();
      visit(link);
    }
    std::sort(found_.files.begin(), found_.files.end(),
              [](const auto& a, const auto& b) { return a.native() < b.native(); });
    return std::move(found_);
  }

 private:
  void leave_out(const char* kind, const std::filesystem::path& path) {
    add_left_out(found_.left_out, kind, fmt::format("\"{}\"", path.string()));
  }

  // A file or folder, or what a link leads to.
  void visit(const std::filesystem::path& path) {
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) {
      leave_out("links that lead nowhere", path);
      return;
    }
    const bool is_folder = S_ISDIR(info.st_mode);
    if (!is_folder && lower_extension(path) != ".txt") {
      // Hidden ones are not the corpus's: an editor's, or the lock of the run that reads it.
      if (!path.filename().string().starts_with('.')) leave_out("files that are no .txt", path);
    } else if (!is_folder && !S_ISREG(info.st_mode)) {
      leave_out("pipes, sockets and devices", path);
    } else if (!seen_.emplace(info.st_dev, info.st_ino).second) {
      leave_out("files and folders that are there by another name", path);
    } else if (is_folder) {
      for (const std::filesystem::path& entry : list_folder(path)) {
        std::error_code ignored;  // then it is no link
        if (std::filesystem::is_symlink(entry, ignored)) {
          links_.push_back(entry);
        } else {
          visit(entry);
        }
      }
    } else {
      found_.files.push_back(path);
    }
  }

  CorpusFiles found_;
  std::set<Identity> seen_;
  std::deque<std::filesystem::path> links_;
};

}  // namespace

void add_left_out(std::vector<LeftOut>& left_out, const std::string& kind,
                  const std::string& place) {
  const auto same = std::find_if(left_out.begin(), left_out.end(),
                                 [&](const LeftOut& l) { return l.kind == kind; });
  if (same != left_out.end()) {
    ++same->count;
  } else {
    left_out.push_back({kind, place, 1});
  }
}

std::vector<std::string> describe_left_out(const std::vector<LeftOut>& left_out) {
  std::vector<std::string> lines;
  for (const LeftOut& l : left_out) {
    lines.push_back(fmt::format("{} ({}), the first: {}", l.kind, l.count, l.first));
  }
  return lines;
}

CorpusFiles list_corpus_folder(const std::filesystem::path& folder) {
  return FolderWalk().run(folder);
}

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return extension;
}

std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> entries;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    entries.push_back(at->path());
  }
  if (error) {
    throw Error(fmt::format("cannot read folder \"{}\": {}", folder.string(),
                            describe_system_error(error.value())));
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.native() < b.native(); });
  return entries;
}

}  // namespace pg
