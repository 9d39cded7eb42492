// A file inside a folder that may be a stranger's. Its name may come out of the folder too: no name leads out of it, no
// link is followed, and what is no plain file (a pipe, a device) is never waited for or read.
#pragma once
#include <filesystem>
#include <string_view>

#include "src/base/file_descriptor.h"

namespace pg {

// Of a path, one that could lie in a folder: relative, of no empty part, no "." and no "..".
bool is_inner_path(std::string_view path);
// The same of a name: a path of one part.
bool is_inner_name(std::string_view name);

enum class InnerFileState { kOpen, kBadPath, kMissing, kNotPlain, kUnreadable };

struct InnerFile {
  InnerFileState state = InnerFileState::kMissing;
  FileDescriptor file = FileDescriptor();  // to read; valid where kOpen

  // "is no plain file": what is wrong with it, to stand behind its name; "" where it is open.
  const char* describe() const;
};

// Opens a file by its path in an open folder. A part of the path that is a link is kNotPlain.
InnerFile open_inner_file(int folder, std::string_view path);
// The same in a folder by its path, which may itself be a link.
InnerFile open_inner_file(const std::filesystem::path& folder, std::string_view path);

}  // namespace pg
